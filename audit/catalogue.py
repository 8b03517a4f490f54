"""Every check by its name and what it asks: the rules of SARIF, the cases of JUnit, the table of docs/audit.md."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from audit.finding import Severity

# what a check looks at: one log folder, all of a result, the whole tree, a plan before it runs; what `audit verify` and
# the reruns ask
RUN, RESULT, TREE, PLAN, TEST, RERUN = "run", "result", "tree", "plan", "test", "rerun"
HELP = "Each finding names the clause of the rules and the remedy; docs/audit.md lists all checks."


@dataclass(frozen=True)
class Asked:
    """What a check asks, of what, and how much its gravest finding weighs."""

    scope: str
    question: str
    severity: Severity = Severity.ERROR


def _warns(scope: str, question: str) -> Asked:
    return Asked(scope, question, Severity.WARNING)


CHECKS: Mapping[str, Asked] = {
    "readable": Asked(RUN, "Can every log be read to its end, as LoadGen wrote it?"),
    "round": Asked(RUN, "Does the round know this benchmark in this scenario?"),
    "validity": Asked(RUN, "Did LoadGen call the run VALID?"),
    "early-stopping": Asked(RUN, "Was LoadGen's early-stopping criterion met?"),
    "loadgen-errors": Asked(RUN, "Did LoadGen record no error?"),
    "mode": Asked(RUN, "Is the test mode the one that its place claims?"),
    "scenario": Asked(RUN, "Is the scenario in the log the claimed one?"),
    "audit-config": Asked(RUN, "Was audit.config read in compliance tests, and in no other run?"),
    "audit-settings": Asked(RUN, "Are the settings of audit.config in effect in their test alone?"),
    "loadgen-version": _warns(RUN, "Is LoadGen the version that the round prescribes?"),
    "loadgen-sources": Asked(RUN, "Was LoadGen built from the sources of its release?"),
    "loadgen-modified": Asked(RUN, "Was LoadGen built from a checkout without changes?"),
    "locked-setting": Asked(RUN, "Are the settings untouched that closed and network lock?"),
    "requested": Asked(RUN, "Are the settings in effect those that LoadGen was asked for?"),
    "percentiles": Asked(RUN, "Do latencies rise from least to most, with a mean that fits between?"),
    "rates": Asked(RUN, "Do the rates agree with counts, latencies, the target rate and the clock?"),
    "times": Asked(RUN, "Do lines and time stamps follow each other, within the run and between runs?"),
    "tokens": Asked(RUN, "Do token rates and first-token latencies agree with the rest?"),
    "early-stopping-figures": Asked(
        RUN, "Do early-stopping estimates and over-latency counts agree with the percentiles?"
    ),
    "verdict": Asked(RUN, "Does result_validity agree with the conditions that it sums up?"),
    "summary": Asked(RUN, "Does mlperf_log_summary.txt say what the detail log says?"),
    "absent": _warns(RUN, "Is every line there that LoadGen always writes?"),
    "repeated": Asked(RUN, "Does the detail log state every figure once?"),
    "seeds": Asked(RUN, "Are LoadGen's three random seeds the round's?"),
    "duration-setting": Asked(RUN, "Was LoadGen told to run for the minimum duration?"),
    "duration": Asked(RUN, "Did the run really last the minimum duration?"),
    "query-count": Asked(RUN, "Were enough queries demanded and issued?"),
    "samples-per-query": Asked(RUN, "Does a query hold as many samples as the scenario demands?"),
    "performance-sample-count": Asked(RUN, "Is the performance sample set as large as the round's?"),
    "accuracy-sample-count": Asked(RUN, "Does the accuracy run cover the whole data set?"),
    "percentile": Asked(RUN, "Is the tail percentile the round's?"),
    "latency-setting": Asked(RUN, "Did LoadGen judge by the scenario's own latency limits?"),
    "latency": Asked(RUN, "Is the measured tail latency within the scenario's limit?"),
    "token-latencies": Asked(RUN, "Were token latencies measured where the round wants them?"),
    "equal-issue": Asked(RUN, "Were samples of unlike size issued equally often?"),
    "consistency": Asked(RUN, "Do the figures of LoadGen's log agree with each other?"),
    "sample-count": Asked(RUN, "Does samples.npy hold as many samples as LoadGen counted?"),
    "sample-times": Asked(RUN, "Are the times of every sample in order?"),
    "percentile-recomputed": Asked(RUN, "Does the percentile recomputed from samples.npy agree with LoadGen's?"),
    "early-stopping-recomputed": Asked(RUN, "Does early stopping recomputed from samples.npy agree with LoadGen's?"),
    "responses": Asked(
        RUN, "Does the accuracy run answer each sample once, and does a test log what its settings choose?"
    ),
    "empty-responses": _warns(RUN, "Is no response empty?"),
    "digest": Asked(RUN, "Is every file still what run.json recorded when the run ended?"),
    "record": Asked(RUN, "Does run.json say what the logs beside it say, with a digest of each?"),
    "runtime": Asked(RUN, "Did the backend run what was asked for, without caches, fallbacks and retries?"),
    "load": _warns(RUN, "Did other processes leave the machine to the run?"),
    "tax": _warns(RUN, "Does the harness itself add little to the measured latency?"),
    "power": Asked(RUN, "Are the power logs complete, plausible and inside LoadGen's window?"),
    "reproduce": Asked(RERUN, "Do repetitions of the run reach its result less 2 %?"),
    "perturb": Asked(RERUN, "Is a slightly broken model as fast and clearly worse?"),
    "cache": Asked(RERUN, "Is a repeated sample answered no faster than unique ones?"),
    "order": Asked(RERUN, "Do speed and answers stay the same under other seeds, in other order, in both modes?"),
    "accuracy": Asked(RESULT, "Does the accuracy reach the round's target and stay under its upper limit?"),
    "accuracy-text": Asked(
        RESULT, "Do the figures of accuracy.txt agree with each other and with the number of samples?"
    ),
    "inferred": Asked(RESULT, "May an inferred result be inferred, and does LoadGen hold what it follows from?"),
    "compliance": Asked(RESULT, "Are the round's compliance tests there, and do they say that they passed?"),
    "verdict-text": Asked(RESULT, "Does the verdict of a compliance test follow from the counts that stand above it?"),
    "TEST01": Asked(TEST, "Are sampled responses of a performance run those of the accuracy run, at the same speed?"),
    "TEST04": Asked(TEST, "Is one sample repeated no faster than the submission's mix of samples?"),
    "TEST06": Asked(TEST, "Do first token, end of sequence and token count of logged responses agree?"),
    "TEST07": Asked(TEST, "Do the responses of a performance run over the compliance set score enough?"),
    "TEST08": Asked(TEST, "Are sampled recommendations worth what the accuracy run's are?"),
    "TEST09": Asked(TEST, "Is the mean output length of a performance run within the round's range?"),
    "measurements": Asked(RESULT, "Does measurements.json state what it must?"),
    "truncation": Asked(RESULT, "Is the accuracy log truncated, with the hash of the whole log beside it?"),
    "backup": Asked(RESULT, "Is the recorded hash that of the sealed whole log?"),
    "structure": Asked(RESULT, "Are all files of a result where the round's layout wants them?"),
    "stray": Asked(RESULT, "Does nothing lie there that the layout does not name: further runs, notes, archives?"),
    "same-loadgen": Asked(RESULT, "Did the same LoadGen make every run of a result?"),
    "same-system": Asked(RESULT, "Are all runs of one system under test, machine, code and model?"),
    "same-data": Asked(RESULT, "Do all runs use the same sample library?"),
    "network": Asked(RESULT, "Was a result of the network division run through a Query Dispatch Library?"),
    "test-settings": Asked(RESULT, "Did compliance tests run under the settings of the performance run?"),
    "overlap": Asked(RESULT, "Did no two timed runs take place at once?", Severity.NOTE),
    "power-window": Asked(RESULT, "Was power measured over the whole of the performance run?"),
    "power-record": Asked(RESULT, "Can the summaries of client and server of a power session be read?"),
    "power-sources": Asked(RESULT, "Did client and server of a power session run MLCommons' published code alone?"),
    "power-replies": Asked(
        RESULT, "Did an accepted PTDaemon and analyzer answer every command, and get its ranges back?"
    ),
    "power-uuid": Asked(RESULT, "Do client and server tell of the same two UUIDs?"),
    "power-name": Asked(RESULT, "Do client and server tell of the same session?"),
    "power-phases": Asked(RESULT, "Did both see each phase at once, with LoadGen's run inside it?"),
    "power-ranging": Asked(RESULT, "Did the test draw no more than 5 % less power than the ranging run?"),
    "power-messages": Asked(RESULT, "Do client and server tell of the same conversation?"),
    "power-digest": Asked(RESULT, "Is every file of a power session what client and server digested?"),
    "power-log": Asked(RESULT, "Does the analyzer's log hold both phases, its uncertainty checked, without errors?"),
    "power-device": Asked(RESULT, "Was PTDaemon started for an accepted analyzer with its channels?"),
    "power-debug": Asked(RESULT, "Was the power server not in debug mode?"),
    "power-samples": _warns(RESULT, "Does a sample of power lie in every second of LoadGen's window?"),
    "power-simulated": Asked(RESULT, "Did a real PTDaemon measure, not this suite's simulator?"),
    "user-conf": _warns(RESULT, "Is user.conf what LoadGen was given?"),
    "system-collected": _warns(RESULT, "Does the description of the system say what the suite saw of it?"),
    "system-name": _warns(RESULT, "Do counts in names agree with the counts of the description?"),
    "tokens-per-sample": _warns(RESULT, "Do accuracy and performance runs generate as many tokens a sample?"),
    "duplicate": Asked(TREE, "Is no run submitted twice?"),
    "suite": Asked(TREE, "Are all required scenarios of a benchmark there, and no others?"),
    "system": Asked(TREE, "Is the description of every system complete and true to its folder?"),
    "rehearsal": Asked(PLAN, "Can LoadGen issue and settle one query of every run of the plan?"),
    "plan-setting": _warns(PLAN, "Does every run of the plan have the settings that the round wants?"),
    "model-name": Asked(PLAN, "Does LoadGen know the model's name, so that its own figures hold?"),
    "backend": Asked(PLAN, "Can the backend of every run be used here as the plan asks for it?"),
    "data": Asked(PLAN, "Are model and data here, with their digests?"),
    "calibration": Asked(PLAN, "Do expected rates and latencies let every run last its minimum?"),
    "meter": Asked(PLAN, "Can the plan's power meters measure here?"),
    "ecc": Asked(PLAN, "Does a datacenter system correct errors in its memories?"),
    "disk": Asked(PLAN, "Is there room for the logs of the plan?"),
    "bandwidth": Asked(PLAN, "Has a datacenter system the network that its throughput demands?"),
    "files": Asked(TREE, "Are there no links, hidden files, left-overs, large files or blanks in names?"),
}


def asked(name: str) -> Asked:
    """What a check asks; one that another distribution brought asks what its name says."""
    return CHECKS.get(name, Asked(RESULT, f"Is the result in order by {name}?"))
