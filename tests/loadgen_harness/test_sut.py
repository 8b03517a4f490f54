"""BatchSUT: how samples become batches and what they cost."""

from __future__ import annotations

import numpy as np
import pytest

from loadgen_harness.qsl import QuerySampleLibrary
from tests.fakes import Echo, EchoSUT, FakeDriver, Numbers


class Costly(EchoSUT):
    """A sample costs its square."""

    def cost(self, sample: np.ndarray) -> float:
        return float(sample[0] ** 2)


def test_issue_answers_before_it_returns() -> None:
    driver = FakeDriver()
    EchoSUT(Echo(), Numbers(), driver).issue([7, 8], [3, 4])
    assert driver.of(7) == [("complete", np.int32(3).tobytes(), 0)]
    assert driver.of(8) == [("complete", np.int32(4).tobytes(), 0)]


def test_mappings_are_stacked_by_key() -> None:
    sut = EchoSUT(Echo(), Numbers(), FakeDriver())
    batch = sut.collate([{"a": np.zeros(2), "b": np.ones(3)}] * 4)
    assert {key: value.shape for key, value in batch.items()} == {"a": (4, 2), "b": (4, 3)}


def test_costs_are_of_samples_in_memory() -> None:
    costs = Costly(Echo(), Numbers(), FakeDriver()).costs([1, 3, 2])
    assert costs is not None
    assert costs.tolist() == [1, 9, 4]


def test_samples_are_alike_unless_a_task_says_otherwise() -> None:
    assert EchoSUT(Echo(), Numbers(), FakeDriver()).costs([1, 3, 2]) is None


@pytest.mark.parametrize("kind", [list, np.array])
def test_a_library_takes_lists_and_arrays(kind: type) -> None:
    library: QuerySampleLibrary = Numbers(8)
    library.unload(range(8))
    library.load(kind([1, 2, 2]))
    assert [int(sample[0]) for sample in library.get(kind([2, 1, 2]))] == [2, 1, 2]
    library.unload(kind([2]))
    with pytest.raises(KeyError):
        library.get(kind([2]))
