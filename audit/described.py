"""What a submitter writes beside the logs, against them: the system description, tokens in accuracy.txt."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from audit import accuracy
from audit.evidence import CrossCheck, Evidence
from audit.finding import Finding, Severity
from audit.stated import small_text
from loadgen_harness.errors import UnknownName
from loadgen_harness.run import Run

TOKENS = 0.1  # the accuracy run may generate so much more or less than the performance run
SYSTEM_CLAUSE = "inference_rules.adoc, System and framework must be consistent; MLPerf_Audit_Guidelines.adoc, Hardware"
SEEN = (  # keys that the description of a system and what the suite saw of it share
    "host_processor_model_name",
    "host_processors_per_node",
    "host_processor_core_count",
    "accelerator_model_name",
    "accelerators_per_node",
)
TIMES = re.compile(r"(?<![\w.])(\d{1,4})x(?=[\s_-]?[A-Za-z])|(?<=[A-Z0-9])[_ -]?x(\d{1,4})(?![\w.])")


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
    said = accuracy.read(small_text(path), evidence.benchmark.metrics).get("TOKENS_PER_SAMPLE")
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


CHECKS: tuple[CrossCheck, ...] = (collected, counts, tokens)
