"""What a submitter writes beside the logs, against them: user.conf, the system description, tokens in accuracy.txt."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from audit import accuracy
from audit.evidence import CrossCheck, Evidence
from audit.finding import Finding, Severity
from loadgen_harness.errors import UnknownName
from loadgen_harness.run import Run

MOST_BYTES = 1_000_000
CONF_LINE = re.compile(r"\s*([\w*+-]{1,80})\.(\*|\w{1,20})\.(\w{1,60})\s*=\s*(-?\d{1,18}(?:\.\d{1,18})?)\s*(?:#.*)?")
ROUNDED = 1e-4  # LoadGen prints settings with six digits
TOKENS = 0.1  # the accuracy run may generate so much more or less than the performance run
REPEATED = "inference_rules.adoc, Replicability is mandatory"
SYSTEM_CLAUSE = "inference_rules.adoc, System and framework must be consistent; MLPerf_Audit_Guidelines.adoc, Hardware"
# user.conf key -> the detail log's key and its unit in user.conf's
SETTINGS: Mapping[str, tuple[str, float]] = {
    "min_duration": ("requested_min_duration_ms", 1),
    "max_duration": ("requested_max_duration_ms", 1),
    "min_query_count": ("requested_min_query_count", 1),
    "max_query_count": ("requested_max_query_count", 1),
    "performance_sample_count_override": ("requested_performance_sample_count_override", 1),
    "target_latency_percentile": ("effective_target_latency_percentile", 0.01),
}
OF_SCENARIO: Mapping[str, Mapping[str, tuple[str, float]]] = {
    "SingleStream": {"target_latency": ("requested_single_stream_expected_latency_ns", 1e6)},
    "MultiStream": {
        "target_latency": ("requested_multi_stream_expected_latency_ns", 1e6),
        "samples_per_query": ("effective_samples_per_query", 1),
    },
    "Server": {"target_latency": ("effective_target_latency_ns", 1e6), "target_qps": ("effective_target_qps", 1)},
    "Offline": {"target_qps": ("effective_target_qps", 1)},
}
SEEN = (  # keys that the description of a system and what the suite saw of it share
    "host_processor_model_name",
    "host_processors_per_node",
    "host_processor_core_count",
    "accelerator_model_name",
    "accelerators_per_node",
)
TIMES = re.compile(r"(?<![\w.])(\d{1,4})x(?=[\s_-]?[A-Za-z])|(?<=[A-Z0-9])[_ -]?x(\d{1,4})(?![\w.])")


def user_conf(evidence: Evidence) -> Iterator[Finding]:
    """What user.conf sets is what LoadGen was given in the performance run."""
    run, path = evidence.performance, evidence.files.get("user.conf")
    if run is None or path is None or not run.log:
        return
    lines = _conf(path, _models(evidence), run.scenario)
    for key, (number, stated) in lines.items():
        logged, scale = {**SETTINGS, **OF_SCENARIO.get(run.scenario, {})}.get(key, ("", 1.0))
        value = run.log.get(logged)
        if not isinstance(value, int | float) or abs(value - stated * scale) <= ROUNDED * abs(stated * scale):
            continue
        yield Finding(
            check="user-conf",
            severity=Severity.WARNING,
            file=evidence.name(path),
            key=key,
            found=f"{stated:g}",
            wanted=f"{value / scale:g}, by {logged} of the run",
            clause=f"{REPEATED}: user.conf is what the run was made with",
            fix="Submit the user.conf of this run, or repeat the run with the one submitted.",
            line=number,
        )


def _conf(path: Path, models: set[str], scenario: str) -> dict[str, tuple[int, float]]:
    """Key to (line, value) as LoadGen looks them up: the line for the model and scenario before the general ones."""
    chosen: dict[str, tuple[int, int, float]] = {}
    for number, line in enumerate(_text(path).splitlines(), start=1):
        match = CONF_LINE.fullmatch(line)
        if not match or match[1] not in {"*", *models} or match[2] not in ("*", scenario):
            continue
        rank = 2 * (match[2] != "*") + (match[1] != "*")
        if rank >= chosen.get(match[3], (0, 0, 0.0))[0]:
            chosen[match[3]] = (rank, number, float(match[4]))
    return {key: (number, value) for key, (_, number, value) in chosen.items()}


def _models(evidence: Evidence) -> set[str]:
    return {variant.model_name for variant in evidence.benchmark.variants.values()}


def collected(evidence: Evidence) -> Iterator[Finding]:
    """The description of the system says what this suite saw of it when it ran."""
    run = evidence.performance
    seen = run.meta.get("system") if run else None
    if not isinstance(seen, Mapping):
        return
    for key in SEEN:
        said, saw = (str(each.get(key) or "").strip() for each in (evidence.system, seen))
        if said and saw and "N/A" not in (said, saw) and said.lower() != saw.lower():
            fix = "Describe the system that the runs were made on."
            yield _of_system(evidence, "system-collected", key=key, found=said, wanted=f"{saw}, as run.json", fix=fix)


def counts(evidence: Evidence) -> Iterator[Finding]:
    """A count in a name, as in 8xH100 or H100x8, is a count of something that the description counts."""
    described = evidence.system
    numbers = {key: _count(described.get(key)) for key in COUNTED}
    nodes = numbers["number_of_nodes"] or 1
    known = {each * times for each in numbers.values() if each for times in (1, nodes)}
    if not described or not known:
        return
    named = {"system name": evidence.system_name}
    named |= {key: str(described.get(key) or "") for key in ("system_name", "accelerator_model_name")}
    for key, text in named.items():
        wrong = [number for match in TIMES.finditer(text) if (number := int(match[1] or match[2])) not in known]
        if wrong:
            wanted = ", ".join(f"{name} {number}" for name, number in numbers.items() if number)
            fix = "Correct the name or the counts."
            yield _of_system(evidence, "system-name", key=key, found=text, wanted=wanted, fix=fix)
            return


COUNTED = ("accelerators_per_node", "number_of_nodes", "host_processors_per_node")


def _count(value: Any) -> int:
    text = str(value).strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 7 else 0


def tokens(evidence: Evidence) -> Iterator[Finding]:
    """The performance run generated about as many tokens a sample as accuracy.txt says that the accuracy run did."""
    run, path = evidence.performance, evidence.files.get("accuracy.txt")
    if run is None or path is None or _other_data(evidence):
        return
    said = accuracy.read(_text(path), evidence.benchmark.metrics).get("TOKENS_PER_SAMPLE")
    rate = _per_sample(run)
    if said and rate and abs(rate / said - 1) > TOKENS:
        yield Finding(
            check="tokens-per-sample",
            severity=Severity.WARNING,
            file=evidence.name(path),
            key="TOKENS_PER_SAMPLE",
            found=f"{said:g}",
            wanted=f"{rate:.2f} within {TOKENS:.0%}, by the rates of the performance run",
            clause="inference_rules.adoc, LoadGen Operation: the same code for accuracy and performance",
            fix="Find out why the two runs generate different amounts of tokens.",
        )


def _per_sample(run: Run) -> float:
    for tokens_key, samples_key in (
        ("result_tokens_per_second", "result_samples_per_second"),
        ("result_completed_tokens_per_second", "result_completed_samples_per_sec"),
    ):
        rates = [run.log.get(key) for key in (tokens_key, samples_key)]
        if all(isinstance(rate, int | float) and rate > 0 for rate in rates):
            return float(rates[0]) / float(rates[1])  # type: ignore[arg-type]
    return 0.0


def _other_data(evidence: Evidence) -> bool:
    """Whether the round lets performance runs use other data than accuracy runs."""
    try:
        limits = evidence.rules.limits.get(evidence.scenario)
    except UnknownName:
        return True
    return limits is None or limits.performance_sample_count > limits.accuracy_sample_count


def _of_system(evidence: Evidence, check: str, **said: Any) -> Finding:
    path = evidence.files.get("system.json")
    file = evidence.name(path) if path else evidence.system_name
    return Finding(check=check, severity=Severity.WARNING, file=file, clause=SYSTEM_CLAUSE, **said)


def _text(path: Path) -> str:
    if path.is_symlink() or not path.is_file():
        return ""
    with path.open("rb") as file:
        return file.read(MOST_BYTES).decode("utf-8", errors="replace")


CHECKS: tuple[CrossCheck, ...] = (user_conf, collected, counts, tokens)
