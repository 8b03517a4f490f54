"""BERT's logits in either layout, [tokens, 2] or [2, tokens], give the same figures; anything else is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from audit.metrics import squad
from benchmarks._metrics import spans
from loadgen_harness.errors import BadInput
from tests.audit import logs, squad_data


@pytest.mark.parametrize("seed", [11, 12, 13])
def test_transposed_logits_are_told_by_their_spans(tmp_path: Path, seed: int) -> None:
    run, _ = squad_data.make(tmp_path, paragraphs=8, seed=seed)
    straight = squad.score(run, tmp_path)
    assert straight == squad.score(squad_data.turned(run, tmp_path / "turned"), tmp_path)
    assert straight[1].metric == "F1" and straight[1].value > 50


def test_noise_is_read_as_the_reference_reads_it_by_default(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).normal(size=(100, spans.LENGTH, 2)).astype("<f4")
    assert not squad._transposed({index: each.tobytes() for index, each in enumerate(noise)}, "<f4")


def test_three_numbers_a_token_are_no_logits(tmp_path: Path) -> None:
    run, _ = squad_data.make(tmp_path)
    entries = [(each.qsl_idx, bytes(12 * spans.LENGTH)) for each in run.response_entries]
    with pytest.raises(BadInput, match="no float32 start and end logits"):
        squad.score(logs.write(tmp_path / "odd", entries), tmp_path)
