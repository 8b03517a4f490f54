"""What a backend says it really ran, and what ran beside it: a fallback, a cache or other load is never silent."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from audit.case import LARGEST, Case, Check
from audit.finding import Finding, Severity
from loadgen_harness.run import Run

FILE = "run.json"
OTHERS = 0.10  # of the processors, busy with something else while a run is timed
TRUE = "this suite's own: a result names what really ran"
WHOLE = "rules, LLM benchmarks: every query is computed in its entirety, nothing is cached across queries"


class Demand(NamedTuple):
    """What a key of the backend's description must not say, and what a Finding about it reads."""

    key: str
    broken: Callable[[str], bool]
    severity: Severity
    wanted: str
    clause: str
    fix: str


def _positive(text: str) -> bool:
    return text.strip() not in ("", "0")


DEMANDS = (
    Demand(
        "fallback", bool, Severity.WARNING, "nothing but what was asked for", TRUE,
        "Install what the provider lacks, choose a supported precision or operator, or report it with the result.",
    ),
    Demand(
        "prefix_cache", lambda text: text.startswith("on"), Severity.ERROR, "off", WHOLE,
        "Switch prefix caching off in the server or backend and repeat the run.",
    ),
    Demand(
        "prefix_cache", lambda text: text.startswith("unknown"), Severity.WARNING, "off", WHOLE,
        "Start the server with prefix caching off and state so, or use a server that reports cached tokens.",
    ),
    Demand(
        "response_cache", lambda text: text.startswith("on"), Severity.ERROR, "off", WHOLE,
        "Switch the server's response cache off and repeat the run.",
    ),
    Demand(
        "response_cache", lambda text: text.startswith("unknown"), Severity.WARNING, "off", WHOLE,
        "State how the server is configured: its response cache cannot be seen from here.",
    ),
    Demand(
        "retries", _positive, Severity.WARNING, "0", TRUE,
        "Find out why requests failed: a retried request was answered by its second or later attempt.",
    ),
    Demand(
        "recompiled", _positive, Severity.WARNING, "0", TRUE,
        "Name the batch sizes that occur in the backend's option `buckets`, so that nothing is compiled while timed.",
    ),
    Demand(
        "weights", lambda text: text.startswith("random"), Severity.WARNING, "the trained weights", TRUE,
        "Random weights measure speed alone: call the result synthetic.",
    ),
    Demand(
        "tokens", lambda text: text.startswith(("usage", "responses")), Severity.WARNING, "token ids", TRUE,
        "Have the server return token ids, or give a tokenizer: counts alone carry no accuracy.",
    ),
    Demand(
        "tokens_without_id", _positive, Severity.WARNING, "0", TRUE,
        "Tokens of split characters are counted without their ids: metrics that compare ids see them as wrong.",
    ),
    Demand(
        "tls", lambda text: text.startswith("not verified"), Severity.WARNING, "verified", TRUE,
        "Give the server's certificate in the option `ca` instead of switching verification off.",
    ),
)  # fmt: skip


def described(case: Case) -> Iterator[Finding]:
    """Every key of run.json's `backend` that says something a reader of the result must know."""
    backend = case.run.meta.get("backend")
    if not isinstance(backend, Mapping):
        return
    for demand in DEMANDS:
        said = str(backend.get(demand.key) or "")
        if said and demand.broken(said):
            yield _finding(demand.key, said, demand)


def precision(case: Case) -> Iterator[Finding]:
    """The kernels computed in the precision that was asked for."""
    backend = case.run.meta.get("backend")
    if not isinstance(backend, Mapping):
        return
    wanted, found = (str(backend.get(key) or "") for key in ("wanted_precision", "precision"))
    if found.startswith("as served"):
        fix = "State in the system description at which precision the server computes."
        yield _finding("precision", found, Demand("precision", bool, Severity.NOTE, "known", TRUE, fix))
    elif wanted and found and not found.lower().startswith(wanted.lower()):
        fix = f"State the precision as {found}, or choose a device that computes in {wanted}."
        yield _finding("precision", found, Demand("precision", bool, Severity.WARNING, wanted, TRUE, fix))


def load(case: Case) -> Iterator[Finding]:
    """The machine belonged to the run; a backend that is a server of its own may be what was seen there."""
    backend = case.run.meta.get("backend")
    taken = others(case.run)
    if taken is None or taken.share <= OTHERS or (isinstance(backend, Mapping) and backend.get("url")):
        return
    yield Finding(
        check="load",
        severity=Severity.WARNING,
        file=FILE,
        key="load.other_cores",
        found=f"{taken.cores:.2f} of {taken.of:g} processors ({taken.share:.0%}) were busy with something else",
        wanted=f"<= {OTHERS:.0%}",
        clause="this suite: figures are those of a machine that does nothing else",
        fix="Stop what runs beside the benchmark, or give it a machine of its own, and repeat the run.",
    )


class Taken(NamedTuple):
    """Processors that other processes kept busy during the timed part, of how many."""

    cores: float
    of: float

    @property
    def share(self) -> float:
        """Of the whole machine."""
        return self.cores / self.of


def others(run: Run) -> Taken | None:
    """What run.json says of that; None where it says nothing."""
    said = run.meta.get("load")
    cores, of = (said.get("other_cores"), said.get("cores")) if isinstance(said, Mapping) else (None, None)
    if not isinstance(cores, int | float) or not isinstance(of, int | float) or not (of > 0 and 0 <= cores < LARGEST):
        return None
    return Taken(float(cores), float(of))


def _finding(key: str, found: str, demand: Demand) -> Finding:
    return Finding("runtime", demand.severity, FILE, f"backend.{key}", found, demand.wanted, demand.clause, demand.fix)


CHECKS: tuple[Check, ...] = (described, precision, load)
