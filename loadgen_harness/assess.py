"""What a campaign's runs amount to: scores, verdicts, energy and findings per result, ready for report and tree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from audit import accuracy, across, power_check, rules, runtime, tax
from audit.case import Case, Claim
from audit.evidence import Evidence
from audit.finding import Finding, Severity
from audit.verdict import Verdict
from loadgen_harness import campaign_power, registry, rounds
from loadgen_harness.campaign import Outcome
from loadgen_harness.plan import ACCURACY, PERFORMANCE
from loadgen_harness.run import Run
from loadgen_harness.types import Benchmark, Division, Round, Scenario, Score, TestMode
from power import energy
from power.figures import ends
from submissions.generate import Entry
from submissions.record import RunResult


@dataclass(frozen=True)
class Assessment:
    """One performance result with everything that stands behind it."""

    outcome: Outcome
    result: RunResult
    accuracy: Run | None
    accuracy_text: str
    compliance: Mapping[str, tuple[Run, Verdict]]

    @property
    def energy_cells(self) -> tuple[str, ...]:
        """Meter, joules, joules per sample and per token, of an estimate the interval alone; empty without any."""
        found = energy.summarize(self.result.run)
        if not found:
            return ()
        figures = (found.joules, found.per_sample_j, found.per_token_j)
        return found.word or found.meter, *(_joules(found, each) for each in figures)

    def entry(self) -> Entry:
        """The result as a submission takes it."""
        return Entry(
            benchmark=self.result.benchmark,
            scenario=self.outcome.job.spec.scenario,
            performance=self.result.run,
            accuracy=self.accuracy,
            accuracy_text=self.accuracy_text,
            compliance=self.compliance,
        )


def _joules(found: energy.Energy, value: float | None) -> str:
    """A share of the energy: for an estimate its interval."""
    if not value:
        return ""
    return ends(*found.interval(value)) if found.estimated else energy.figure(value, 3)


def assess(outcomes: Sequence[Outcome]) -> list[Assessment]:
    """One Assessment per finished performance run."""
    runs = {outcome.job.key: outcome.run for outcome in outcomes if outcome.run}
    measured: dict[Path, tuple[Score, ...]] = {}
    return [_assess(outcome, runs, measured) for outcome in outcomes if outcome.run and _is_performance(outcome)]


def _is_performance(outcome: Outcome) -> bool:
    return outcome.job.key.endswith(f"/{PERFORMANCE}")


def _assess(outcome: Outcome, runs: Mapping[str, Run], measured: dict[Path, tuple[Score, ...]]) -> Assessment:
    spec, run = outcome.job.spec, runs[outcome.job.key]
    benchmark: Benchmark = registry.load(registry.BENCHMARKS, spec.benchmark)
    round_ = rounds.load(spec.round)
    place = outcome.job.key.removesuffix(f"/{PERFORMANCE}")
    own = runs.get(f"{place}/{ACCURACY}")
    behind = own or _shared_accuracy(benchmark, round_, runs)
    scores: tuple[Score, ...] = ()
    if behind:
        if behind.path not in measured:
            measured[behind.path] = scores_of(behind, benchmark, round_)
        scores = measured[behind.path]
    compliance = dict(_verdicts(place, runs, (run, behind), benchmark, round_))
    return Assessment(
        outcome=outcome,
        result=RunResult(
            run=run,
            benchmark=benchmark,
            scores=scores,
            targets=round_.rules(benchmark.name).targets,
            energy=energy_text(run),
            verdicts={name: verdict.passed for name, (_, verdict) in compliance.items()},
            findings=tuple(
                _placed(finding, place)
                for finding in (*_findings(run, own, scores, compliance), *campaign_power.findings(outcome.job))
            ),
        ),
        accuracy=own,
        accuracy_text=accuracy.text(scores, benchmark) if own else "",
        compliance=compliance,
    )


def _placed(finding: Finding, place: str) -> Finding:
    """The finding with benchmark and scenario before its file."""
    return replace(finding, file=f"{place}: {finding.file}")


def _shared_accuracy(benchmark: Benchmark, round_: Round, runs: Mapping[str, Run]) -> Run | None:
    """The one accuracy run that stands for all scenarios where the round says so."""
    keys = (f"{benchmark.name}/{scenario}/{ACCURACY}" for scenario in round_.accuracy_scenarios)
    return next((runs[key] for key in keys if key in runs), None)


def scores_of(run: Run, benchmark: Benchmark, round_: Round) -> tuple[Score, ...]:
    """The benchmark's accuracy computed from the run's responses."""
    return tuple(score_responses(run.responses, run, benchmark, round_))


def score_responses(responses: Mapping[int, bytes], run: Run, benchmark: Benchmark, round_: Round) -> Sequence[Score]:
    """Scores of some responses against the labels of the run's own data."""
    spec = run.spec
    scenario = run_scenario(run)
    variant = benchmark.variant(scenario, TestMode.ACCURACY, str(spec.get("test") or ""), round_)
    folder = Path(spec["data_dir"]) if spec.get("data_dir") else None
    library = registry.part(benchmark.name, "qsl").QSL(variant, folder)
    scores: Sequence[Score] = registry.part(benchmark.name, "accuracy").score(responses, library)
    return scores


def remarks(run: Run) -> list[str]:
    """What the backend said of a run of ours that a reader must know, in a line each."""
    benchmark: Benchmark = registry.load(registry.BENCHMARKS, str(run.spec["benchmark"]))
    round_ = rounds.load(str(run.meta["round"]))
    scenario = run_scenario(run)
    case = Case(run, benchmark, round_, Claim.of(run), round_.limits(benchmark.name, scenario))
    found = (finding for check in runtime.CHECKS for finding in check(case))
    return [f"{each.key} is {each.found!r}, wanted {each.wanted}. {each.fix}" for each in found]


def run_scenario(run: Run) -> Scenario:
    """The scenario asked for (Interactive where LoadGen says Server)."""
    return Scenario(str(run.spec.get("scenario") or run.scenario))


def _verdicts(
    place: str, runs: Mapping[str, Run], reference: tuple[Run, Run | None], benchmark: Benchmark, round_: Round
) -> Iterator[tuple[str, tuple[Run, Verdict]]]:
    for key, audited in runs.items():
        name = key.removeprefix(f"{place}/")
        if name.lower() in registry.names(registry.TESTS):
            yield name, (audited, verdict_of(name, audited, reference, benchmark, round_))


def verdict_of(
    name: str, audited: Run, reference: tuple[Run, Run | None], benchmark: Benchmark, round_: Round
) -> Verdict:
    """A compliance test's verdict on its run against the performance run and the accuracy run."""

    def score(responses: Mapping[int, bytes]) -> Sequence[Score]:
        return score_responses(responses, audited, benchmark, round_)

    test = registry.load(registry.TESTS, name.lower())
    verdict: Verdict = test.verify(reference[0], reference[1], audited, score=score)
    return verdict


def energy_text(run: Run) -> str:
    """The energy of a run in one phrase, empty where none was measured."""
    found = energy.summarize(run)
    return "; ".join(filter(None, (found.text(), found.per_text(), found.idle_text()))) if found else ""


def _findings(
    run: Run, own: Run | None, scores: Sequence[Score], compliance: Mapping[str, tuple[Run, Verdict]]
) -> Iterator[Finding]:
    yield from findings_of(run)
    if own:
        yield from findings_of(own)
    if scores:
        benchmark, round_ = _named(run)
        division = Division(run.spec["division"])
        yield from accuracy.judge(scores, round_.rules(benchmark.name), division=division)
    for audited, verdict in compliance.values():
        yield from findings_of(audited)
        yield from verdict.findings
    yield from across.check(evidence_of(run, own, {name: audited for name, (audited, _) in compliance.items()}))


def evidence_of(run: Run, own: Run | None, tests: Mapping[str, Run]) -> Evidence:
    """The runs of one result of a campaign, for the checks across them."""
    benchmark, round_ = _named(run)
    conf = run.file("user.conf")
    return Evidence(
        benchmark=benchmark,
        scenario=run_scenario(run),
        round=round_,
        division=Division(run.spec["division"]),
        root=run.path.parent,
        performance=run,
        accuracy=own,
        tests=tests,
        files={"user.conf": conf} if conf.is_file() else {},
    )


def findings_of(run: Run, claim: Claim | None = None, *, round_: Round | None = None) -> Iterator[Finding]:
    """Everything that the rules (by default the run's own) and the power checks say of one run of ours."""
    benchmark, own = _named(run)
    round_ = round_ or own
    yield from rules.check(run, benchmark, round_, claim)
    yield from tax.findings(run)
    yield from power_check.simulated(run.path, files=power_check.LONE)
    for fault in energy.findings(run):
        if fault.key == energy.SIMULATED:
            continue  # the error above tells of it
        yield Finding(
            check="power",
            severity=Severity.WARNING,
            file=fault.file,
            key=fault.key,
            found=fault.found,
            wanted=fault.wanted,
            clause="a power figure needs a whole, plausible sample log inside LoadGen's window",
            fix=fault.fix,
        )


def _named(run: Run) -> tuple[Benchmark, Round]:
    return registry.load(registry.BENCHMARKS, run.spec["benchmark"]), rounds.load(str(run.spec["round"]))
