"""The mutation table: every fault of the golden tree by name, and changes that the rules allow."""

from __future__ import annotations

from tests.submissions import faults_evidence, faults_power
from tests.submissions.faults_files import FILES, RUNS, TEXTS, TREE
from tests.submissions.faults_logs import FIGURES, SETTINGS, VERDICTS
from tests.submissions.mutations import (
    MULTI,
    OFFLINE,
    OPEN,
    RESULT,
    RUN,
    SINGLE,
    SYSTEM,
    Change,
    Mutation,
    accuracy_text,
    copy,
    edit,
    json_key,
    write,
)

FAULTS: dict[str, Mutation] = {
    **SETTINGS,
    **VERDICTS,
    **FIGURES,
    **RUNS,
    **FILES,
    **TEXTS,
    **TREE,
    **faults_power.POWER,
    **faults_evidence.EVIDENCE,
}

# Changes that the rules allow.
ALLOWED: dict[str, Change] = {
    "MultiStream inferred from SingleStream": copy(SINGLE, MULTI),
    "Offline inferred from MultiStream": copy(MULTI, OFFLINE),
    "open result below the target": accuracy_text(OPEN, "accuracy=1.000%, good=500, total=50000"),
    "open result without a hash": edit(OPEN / "accuracy/accuracy.txt", "hash=", "sum="),
    "a quotation mark in the notes": json_key(SYSTEM, "hw_notes", 'a "fast" one'),
    "open result of retrained weights": json_key(OPEN / "measurements.json", "retraining", "Yes"),
    "cores of two kinds": json_key(SYSTEM, "host_processor_core_count", "2 (big); 4 (LITTLE)"),
    "a description of the software beside a result": write(OPEN / "pip_freeze.json", "{}"),
    "LoadGen's trace": write(SINGLE / RUN / "mlperf_log_trace.json", "[]"),
    **faults_power.ALLOWED,
    **faults_evidence.ALLOWED,
    "folder names in lower case": lambda tree: (tree / OFFLINE).rename(tree / RESULT / "offline"),
}
