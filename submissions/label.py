"""An energy label of some runs: SVG for pages, PNG for everything else, and the metadata block of a model card."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from loadgen_harness import __version__, durable
from loadgen_harness.errors import BadInput, MissingDependency
from loadgen_harness.run import Run
from loadgen_harness.visible import visible
from power.amount import Amount
from power.derived import Figure, derive
from power.figures import JOULES_PER_WH, figure
from power.repeated import NOT_OFFICIAL, QUANTITIES, Repeated
from power.stars import MOST, Rating
from power.surroundings import Surroundings
from submissions import label_drawing
from submissions.energy_facts import clipped
from submissions.label_drawing import Label

NAME, CARD, LONGEST = "energy-label", "model-card.md", 120
ZOOM = 2.0
CARBON = ("carbon, both", "carbon of operation")


@dataclass(frozen=True)
class Given:
    """What a person may say of a label; "" takes what the runs say."""

    model: str = ""
    system: str = ""
    date: str = ""


@dataclass(frozen=True)
class Facts:
    """A label's picture and metadata, not yet written."""

    label: Label
    card: str


def facts(found: Repeated, around: Surroundings, rating: Rating | None, given: Given = Given()) -> Facts:
    """What the label says; raises BadInput for runs that are INVALID or a name that cannot be shown."""
    for run in found.runs:
        if not run.valid:
            raise BadInput(f"{run.path} is INVALID: {'; '.join(run.invalid_reasons)}: a label takes valid runs alone.")
    per_sample = _amount(found, "per_sample_j")
    if per_sample is None:
        raise BadInput(f"{found.runs[0].path} does not say how many samples there were: a label is made per sample.")
    shown = _Names(
        model=_name("--model", given.model or str(found.runs[0].spec.get("benchmark") or "unnamed model")),
        system=_name("--system", given.system or _system(found.runs[0])),
        task=", ".join(filter(None, (str(found.runs[0].spec.get("benchmark") or ""), _scenario(found)))),
        day=_day(given.date, found.runs),
    )
    carbon = _carbon(derive(found, around))
    label = Label(
        model=shown.model,
        task=shown.task,
        system=shown.system,
        day=shown.day,
        main=_main(found, per_sample),
        rows=tuple(_rows(found, per_sample, carbon)),
        stars=rating.stars if rating else 0,
        rating=_rating(rating),
        notes=tuple(_notes(found, shown, around)),
        word=found.word,
        footer=NOT_OFFICIAL,
    )
    return Facts(label, _card(found, shown, (around, carbon, rating)))


def write(made: Facts, output: Path, *, png: bool = True) -> list[Path]:
    """Write the label into a new folder; raises BadInput where it exists, MissingDependency without a renderer."""
    if os.path.lexists(output):
        raise BadInput(f"{output} exists: choose another --output for the label.")
    files: dict[str, bytes] = {
        f"{NAME}.svg": label_drawing.draw(made.label).encode(),
        CARD: made.card.encode(),
    }
    if png:
        files[f"{NAME}.png"] = raster(label_drawing.draw(made.label, "light"))
        files[f"{NAME}-dark.png"] = raster(label_drawing.draw(made.label, "dark"))
    durable.put_folder(output, files)
    return [output / name for name in files]


def raster(svg: str) -> bytes:
    """A PNG of an SVG at twice its size; raises MissingDependency, or BadInput where no font is installed."""
    try:
        import resvg_py
    except ImportError as error:
        raise MissingDependency("a label as PNG (leave it out with --no-png)", "resvg-py") from error
    bare = re.sub(r"<text\b.*?</text>", "", svg, flags=re.S)
    picture, empty = (bytes(resvg_py.svg_to_bytes(svg_string=text, zoom=ZOOM)) for text in (svg, bare))
    if picture == empty:
        raise BadInput(
            "no font is installed to draw the PNG with: install one, such as fonts-dejavu-core, or use --no-png."
        )
    return picture


@dataclass(frozen=True)
class _Names:
    model: str
    system: str
    task: str
    day: str


def _name(flag: str, text: str) -> str:
    """A name as it can be shown; raises BadInput for one that is too long."""
    shown = visible(" ".join(text.split()))
    if len(shown) > LONGEST:
        raise BadInput(f"{flag} takes at most {LONGEST} letters, not {len(shown)}: shorten the name.")
    return shown


def _scenario(found: Repeated) -> str:
    return str(found.runs[0].spec.get("scenario") or found.first.scenario)


def _system(run: Run) -> str:
    """Accelerator, else processor, as run.json has it."""
    seen = run.meta.get("system")
    known = seen if isinstance(seen, dict) else {}
    for key in ("accelerator_model_name", "host_processor_model_name"):
        value = str(known.get(key) or "")
        if value and value != "N/A":
            return value
    return "system not named"


def _day(given: str, runs: Sequence[Run]) -> str:
    """The date given, else of the last run, as YYYY-MM-DD; raises BadInput for one that is none."""
    if given:
        try:
            return date.fromisoformat(given).isoformat()
        except ValueError as error:
            raise BadInput(f"--date cannot be {given!r}: write it as 2026-11-22.") from error
    windows = [run.power_window for run in runs]
    return max(datetime.fromtimestamp(window[1], UTC).date().isoformat() for window in windows if window)


def _amount(found: Repeated, field: str) -> Amount | None:
    mean = found.mean(next(quantity for quantity in QUANTITIES if quantity.field == field))
    return mean.amount if mean else None


def _main(found: Repeated, per_sample: Amount) -> tuple[str, str, str]:
    """The largest figure of the label: number, unit, interval; per token where there are tokens."""
    per_token = _amount(found, "per_token_j")
    spent, what = (per_token, "output token") if per_token else (per_sample, "sample")
    if found.estimated:
        return spent.interval(), f"J per {what}", "95 % interval of an estimate"
    return spent.middle(3), f"J per {what}", f"95 % interval {spent.interval()} J"


def _rows(found: Repeated, per_sample: Amount, carbon: Figure | None) -> list[tuple[str, str]]:
    """The lines below: name and figure with its interval."""
    rows: list[tuple[str, str]] = []
    if found.first.per_token_j:
        rows.append(("Energy per sample", _told(per_sample, "J", found.estimated)))
    rows.append(("Per 1,000 samples", _told(per_sample.times(1000 / JOULES_PER_WH), "Wh", found.estimated)))
    power = _amount(found, "mean_w")
    if power:
        rows.append(("Mean power", _told(power, "W", found.estimated)))
    if carbon:
        rows.append(("CO2e per 1,000 samples", _told(carbon.amount.times(1 / 1000), "g", carbon.estimated)))
    rows.append(("Runs", f"{len(found.runs)}" + (", mean" if len(found.runs) > 1 else "")))
    return rows


def _told(amount: Amount, unit: str, estimated: bool) -> str:
    if estimated:
        return f"{amount.interval()} {unit}"
    return f"{amount.middle(3)} ({amount.interval()}) {unit}" if amount.low < amount.high else (
        f"{figure(amount.value, 3)} {unit}"
    )  # fmt: skip


def _carbon(derived: Sequence[Figure]) -> Figure | None:
    """Carbon of a million samples, with what was embodied where that is known."""
    known = {each.title: each for each in derived if each.per == "million samples"}
    return next((known[title] for title in CARBON if title in known), None)


def _notes(found: Repeated, names: _Names, around: Surroundings) -> Iterator[str]:
    told = "Meter" if found.estimated else "Measured by"
    yield f"{told}: {found.first.meter}, scope {found.first.scope}"
    yield f"System: {names.system}"
    per_sample = _amount(found, "per_sample_j")
    if per_sample and per_sample.clipped:
        yield f"Lower ends {clipped(len(found.runs))}"
    if around.grid:
        yield f"Grid: {around.grid.g_per_kwh:g} g CO2e/kWh, {around.grid.source}"
        pue = around.factors.pue
        yield f"PUE: {'1, not set' if pue is None else format(pue, 'g')}"


def _rating(rating: Rating | None) -> str:
    if rating is None:
        return ""
    within = rating.within
    return (
        f"{rating.stars} of {MOST} stars within {visible(within.name)!r}: {len(within.entries)} entries,"
        f" scope {within.scope}, digest {within.digest[:12]}"
    )


def _card(found: Repeated, names: _Names, more: tuple[Surroundings, Figure | None, Rating | None]) -> str:
    """Front matter: Hugging Face's co2_eq_emissions, which has no place for an interval, of measured carbon; ours."""
    around, carbon, rating = more
    lines = ["---"]
    operation = next((e for e in derive(found, around) if e.title in CARBON[1:] and e.per == "run"), None)
    if operation and not operation.estimated:
        lines += ["co2_eq_emissions:", *_block(_emissions(found, names, around, operation))]
    lines += ["energy_measurement:", *_block(_own(found, names, carbon, rating)), "---"]
    return "\n".join(lines) + "\n"


def _emissions(found: Repeated, names: _Names, around: Surroundings, operation: Figure) -> dict[str, Any]:
    """Keys of Hugging Face's metadata; grams of one run, which `source` says."""
    grid = around.grid
    where = grid.place if grid else ""
    samples = found.first.samples_done
    source = (
        f"loadgen-harness {__version__}: 95 % interval {operation.amount.interval()} g, inference alone,"
        f" one run of {names.task} ({samples} samples);"
        f" {'; '.join(map(str, operation.inputs[1:]))}; {NOT_OFFICIAL}"
    )
    return {
        "emissions": _rounded(operation.amount.value),
        "source": source,
        "training_type": "n/a: inference",
        "geographical_location": where or "not given",
        "hardware_used": names.system,
    }


def _own(found: Repeated, names: _Names, carbon: Figure | None, rating: Rating | None) -> dict[str, Any]:
    """What the label says, for programs; every energy with its 95 % interval, and of an estimate nothing else."""
    per_sample, per_token = _amount(found, "per_sample_j"), _amount(found, "per_token_j")
    content: dict[str, Any] = {
        "model": names.model,
        "task": names.task,
        "system": names.system,
        "date": names.day,
        "meter": found.first.meter,
        "scope": found.first.scope,
        "estimated": found.estimated,
        "runs": len(found.runs),
        "joules_per_sample": _card_amount(per_sample, found.estimated),
        "joules_per_output_token": _card_amount(per_token, found.estimated),
        "wh_per_1000_samples": _card_amount(
            per_sample.times(1000 / JOULES_PER_WH) if per_sample else None, found.estimated
        ),
        "g_co2e_per_1000_samples": _card_amount(
            carbon.amount.times(1 / 1000) if carbon else None, found.estimated
        ),
    }  # fmt: skip
    if rating:
        within = rating.within
        content |= {"stars": rating.stars, "stars_set": within.name, "stars_set_size": len(within.entries)}
        content["stars_set_sha256"] = within.digest
    return {**{key: value for key, value in content.items() if value is not None}, "remark": NOT_OFFICIAL}


def _card_amount(amount: Amount | None, estimated: bool) -> dict[str, float] | None:
    if amount is None:
        return None
    ends = {"low": _rounded(amount.low), "high": _rounded(amount.high)}
    return ends if estimated else {"value": _rounded(amount.value), **ends}


def _rounded(value: float) -> float:
    return float(f"{value:.5g}")


def _block(content: dict[str, Any]) -> list[str]:
    """YAML lines of a mapping; a quoted string of JSON is one of YAML as well."""
    return [f"  {key}: {json.dumps(value, ensure_ascii=False)}" for key, value in content.items()]
