"""Makes files that no package ships: a good one, one that fails its comparison, one whose maker lacks a package."""

from __future__ import annotations

from pathlib import Path

from loadgen_harness.errors import BadInput


def make(name: str, path: Path) -> None:
    """Write the file called `name` to `path`."""
    if name == "wrong":
        path.write_text("half")
        raise BadInput("the export differs from its source: report it.")
    if name == "lacking":
        import no_such_package  # noqa: F401
    path.write_text("1 2 3\n")
