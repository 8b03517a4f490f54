"""Is LoadGen the one that was released? Its version, the digests of its sources, changes that were never committed."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Iterator, Mapping
from importlib import resources

from audit.case import ENDPOINTS, Case, Check
from audit.finding import Finding, Severity

UNCOMMITTED = "built with uncommitted changes"
SOURCES = (".cc", ".h", ".conf")
CLAUSE = "inference_rules.adoc, LoadGen Operation: compiled from a tagged approved revision without alteration"


def version(case: Case) -> Iterator[Finding]:
    """LoadGen is the version that the round's rules were read from."""
    wanted = case.round.loadgen_version
    found = str(case.log.get("loadgen_version", "missing"))
    if wanted and case.run.syntax != ENDPOINTS and found.split(" ")[0] != wanted:
        yield case.finding(
            "loadgen-version",
            "loadgen_version",
            wanted,
            severity=Severity.WARNING,
            clause=CLAUSE,
            fix=f"Run `pip install mlcommons-loadgen=={wanted}` and repeat, or name your approved revision.",
        )


def sources(case: Case) -> Iterator[Finding]:
    """The sources that LoadGen says it was built from are those of its version, where that version is known."""
    known = released().get(case.run.loadgen_version, {})
    logged = {name.lstrip("/"): digest for name, digest in case.run.loadgen_sources.items()}
    if not known or not logged:
        return
    code = {name: digest for name, digest in logged.items() if name.endswith(SOURCES)}
    other = sorted(name for name, digest in code.items() if known.get(name) != digest)
    if other:
        yield case.finding(
            "loadgen-sources",
            "loadgen_file_sha1",
            f"the files of {case.run.loadgen_version}",
            found=f"other contents in {', '.join(other[:5])}",
            clause=CLAUSE,
            fix="Install the released package and repeat every run.",
        )


def modified(case: Case) -> Iterator[Finding]:
    """LoadGen was built from a clean checkout."""
    status = str(case.log.get("loadgen_git_status_message") or "").strip()
    if status not in ("", "NA"):
        yield case.finding(
            "loadgen-modified",
            "loadgen_git_status_message",
            "no uncommitted changes",
            found=" ".join(status.split())[:160],
            clause=CLAUSE,
            fix="Build LoadGen from a clean checkout of an approved tag, or install the released package.",
        )


@functools.cache
def released() -> Mapping[str, Mapping[str, str]]:
    """LoadGen version -> file -> SHA-1, as LoadGen logs them."""
    folder = resources.files("audit") / "releases"
    files = [file for file in folder.iterdir() if file.name.endswith(".toml")]
    return {file.name.removesuffix(".toml"): tomllib.loads(file.read_text(encoding="utf-8"))["sha1"] for file in files}


CHECKS: tuple[Check, ...] = (version, sources, modified)
