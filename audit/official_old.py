"""Where the old official checker does otherwise than the new one about a fault, and why.

Read from and tried on submission_checker_old.py at b66003e1, like the table of `audit.official`, to which these rows
are the exceptions; docs/checker-differences.md is written by running both.
"""

from __future__ import annotations

from audit.finding import Finding
from audit.official import ACCEPTS, CRASHES, REJECTS, TABLE, Row

EXACT_LIST = "it compares folders with exact lists of files"
APART = "it judges each result apart, so that a log which cannot be read fails its own result"
NAMES = "it looks at names, links and empty folders itself"
UNKNOWN_MODEL = "a model that it does not know fails with an error of its own"

LENIENT = "it reads it as the new one does"

DIFFERENT: tuple[Row, ...] = (
    Row("readable", ACCEPTS, LENIENT, found="not strict JSON"),
    Row("readable", ACCEPTS, LENIENT, key="^result_"),
    Row("system", ACCEPTS, LENIENT, found="^stated "),
    Row("structure", ACCEPTS, LENIENT, found="^nothing but blanks"),
    Row("accuracy-sample-count", ACCEPTS, "it does not compare the number of samples that LoadGen was given"),
    Row("validity", REJECTS, "it demands result_validity VALID", part="performance"),
    Row("loadgen-errors", REJECTS, "it counts errors in performance logs", part="performance"),
    Row("loadgen-errors", CRASHES, "it dies while it words this very error", part="accuracy"),
    Row("scenario", ACCEPTS, "it compares the scenario of a log with its folder for Interactive alone"),
    Row("readable", REJECTS, APART, file=r"mlperf_log_detail\.txt$"),
    Row("measurements", CRASHES, "its table reads this key before the file is judged", key="^weight_data_types$"),
    Row("structure", REJECTS, EXACT_LIST, key="^file$", found="^missing"),
    Row("structure", REJECTS, "it asks for the document of the calibration", key=r"^calibration\.md$"),
    Row("structure", REJECTS, "it asks for results of every system described", key="^system$"),
    Row("structure", REJECTS, "it passes over a scenario that it does not know, with an error", key="^scenario$"),
    Row("structure", CRASHES, "it looks the mapped name up in its own tables alone", key="^model_mapping$"),
    Row("structure", REJECTS, UNKNOWN_MODEL, key="^benchmark$"),
    Row("stray", REJECTS, EXACT_LIST, found="^(a file more|beside the submitters)"),
    Row("files", REJECTS, NAMES),
    Row("system", REJECTS, "it looks for the description before it reads it", key="^file$", found="^missing"),
    Row("system", REJECTS, "it knows the types of systems", key="^system_type$"),
    Row("system", ACCEPTS, "counts are texts to it", key="^(number_of_nodes|accelerators_per_n)", found="^'"),
    Row("system", ACCEPTS, "without the word true it is no network system", key="^is_network$", division="closed"),
    Row("suite", REJECTS, UNKNOWN_MODEL, key="system_type"),
    Row("power", REJECTS, "it asks for these two files", key="^(analyzer_table|power_settings)$"),
)  # fmt: skip


def row_of(finding: Finding) -> Row | None:
    """The row that a finding falls under, of the exceptions first."""
    fitting = (row for row in (*DIFFERENT, *TABLE) if row.fits(finding))
    return next(fitting, None)
