"""A folder is a registry: a module's file name is the plug-in's name, and it defines one agreed symbol."""

from __future__ import annotations

import ast
import importlib
import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path
from typing import Any

from loadgen_harness.errors import MissingDependency, UnknownName

ENTRY_POINTS = "loadgen_harness.plugins"  # third parties: `kind.name = "package.module"` with the symbols below


@dataclass(frozen=True)
class Kind:
    """One kind of plug-in: what people call it, the package that holds it, the symbol a module defines."""

    title: str
    package: str
    symbol: str


BENCHMARKS = Kind("benchmark", "benchmarks", "BENCHMARK")
BACKENDS = Kind("backend", "loadgen_harness.backends", "BACKEND")
WORKERS = Kind("worker", "loadgen_harness.workers", "WORKER")
METERS = Kind("meter", "power.meters", "METER")
TESTS = Kind("compliance test", "audit.compliance", "TEST")


def names(kind: Kind) -> list[str]:
    """All plug-ins of one kind, without importing any of them."""
    package = importlib.import_module(kind.package)
    own = {module.name for module in pkgutil.iter_modules(package.__path__) if not module.name.startswith("_")}
    return sorted(own | _foreign(kind).keys())


def load(kind: Kind, name: str) -> Any:
    """The symbol that plug-in `name` defines; raises UnknownName or MissingDependency."""
    if name not in names(kind):
        raise UnknownName(kind.title, name, names(kind))
    path = _foreign(kind).get(name, f"{kind.package}.{name}")
    return getattr(load_module(path, f"{kind.title} {name}"), kind.symbol)


def missing(kind: Kind, name: str) -> str:
    """The pip requirement that plug-in `name` lacks, empty where it has all; imports nothing."""
    lacking = sorted(root for root in imports(kind, name) if util.find_spec(root) is None)
    return " ".join(PACKAGES.get(root, root) for root in lacking)


def summary(kind: Kind, name: str) -> str:
    """The first line of a plug-in's docstring; imports nothing."""
    tree = next(_parsed(kind, name), None)
    return ((ast.get_docstring(tree) or "") if tree else "").partition("\n")[0]


def imports(kind: Kind, name: str) -> set[str]:
    """The top-level packages that plug-in `name` imports by statement, wherever the statement stands."""
    trees = list(_parsed(kind, name))
    if not trees:
        return {name}
    nodes = [node for tree in trees for node in ast.walk(tree)]
    roots = {alias.name.split(".")[0] for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    roots |= {(node.module or "").split(".")[0] for node in nodes if isinstance(node, ast.ImportFrom)}
    return {root for root in roots if root}


def _parsed(kind: Kind, name: str) -> Iterator[ast.Module]:
    """A plug-in's module, of a package its __init__ first and then its modules; nothing where it is not there."""
    spec = util.find_spec(_foreign(kind).get(name, f"{kind.package}.{name}"))
    if spec is None or spec.origin is None:
        return
    first = Path(spec.origin)
    others = sorted(set(first.parent.glob("*.py")) - {first}) if spec.submodule_search_locations else []
    for file in (first, *others):
        yield ast.parse(file.read_text(encoding="utf-8"))


def part(benchmark: str, module: str) -> Any:
    """A benchmark's module `qsl`, `sut`, `accuracy` or `make_models`, imported only now."""
    path = _foreign(BENCHMARKS).get(benchmark, f"{BENCHMARKS.package}.{benchmark}")
    return load_module(f"{path}.{module}", f"benchmark {benchmark}")


def load_module(path: str, what: str) -> Any:
    """A module that `what` consists of; raises MissingDependency where it needs a package that is not there."""
    try:
        return importlib.import_module(path)
    except ModuleNotFoundError as error:
        missing = (error.name or "").split(".")[0]
        if not missing or missing == path.split(".")[0]:
            raise
        raise MissingDependency(what, PACKAGES.get(missing, missing)) from error


def _foreign(kind: Kind) -> dict[str, str]:
    return foreign(kind.symbol.lower())


def foreign(kind: str) -> dict[str, str]:
    """Plug-ins of other distributions by name: the values of their entry points named `<kind>.<name>`."""
    points = metadata.entry_points(group=ENTRY_POINTS)
    return {point.name.removeprefix(f"{kind}."): point.value for point in points if point.name.startswith(f"{kind}.")}


PACKAGES = {  # import name -> pip requirement, where the two differ
    "mlperf_loadgen": "mlcommons-loadgen==6.0.17",
    "pynvml": "nvidia-ml-py",
    "rouge_score": "rouge-score",
    "absl": "absl-py",
    "ai_edge_litert": "ai-edge-litert",
    "tritonclient": "tritonclient[all]",
    "PIL": "pillow",
    "yaml": "pyyaml",
    "litert_torch": "litert-torch",
    "cuda": "cuda-bindings",
}
