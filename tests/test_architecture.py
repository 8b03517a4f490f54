"""The house rules hold for every file, and each rule sees what it is there for."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from loadgen_harness import registry
from loadgen_harness.types import Benchmark
from tests import architecture as rules
from tests.architecture import PACKAGES, ROOT, Breaches, Module

Rule = Callable[[Module], Breaches]

MACHINE_PATH = re.compile(rb"(?<![\w.~/$})*>-])/(?:home|root|work|tmp|Users)/[\w.]")
FREE = {"numpy", "loadgen_harness"}  # what `import loadgen_harness` and its lower floors may need

BLOCKED_IMPORT = """
import sys
allowed = set(sys.stdlib_module_names) | {free}
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] not in allowed:
            raise ImportError("blocked: " + name)
sys.meta_path.insert(0, Block())
import {module}
"""
LOADED_BY_VERB = """
import sys
from loadgen_harness.cli import entry
sys.argv = ["lgh", {verb!r}]
try:
    entry()
except SystemExit:
    pass
sys.stderr.write("LOADED " + " ".join(sorted(set({frameworks!r}) & set(sys.modules))) + chr(10))
"""


def breaches(rule: Rule, modules: list[Module]) -> list[str]:
    """What a rule finds, one line each: file, line, rule, sentence."""
    return [f"{m.path}:{line} [{rule.__name__}] {text}" for m in modules for line, text in rule(m)]


@pytest.fixture(scope="module")
def product() -> list[Module]:
    """What ships, parsed once for all rules."""
    return rules.modules(*PACKAGES)


@pytest.fixture(scope="module")
def tests() -> list[Module]:
    """The tests, parsed once for all rules."""
    return rules.modules("tests")


@pytest.mark.parametrize("rule", (*rules.PRODUCT, *rules.EVERYWHERE), ids=lambda rule: rule.__name__)
def test_the_product_keeps(rule: Rule, product: list[Module]) -> None:
    found = breaches(rule, product)
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize("rule", rules.EVERYWHERE, ids=lambda rule: rule.__name__)
def test_the_tests_keep(rule: Rule, tests: list[Module]) -> None:
    found = breaches(rule, tests)
    assert not found, "\n" + "\n".join(found)


BAD = [
    (rules.imports_point_down, "loadgen_harness/qsl.py", "from loadgen_harness import sut"),
    (rules.imports_point_down, "loadgen_harness/errors.py", "import loadgen_harness.types, loadgen_harness.qsl"),
    (rules.imports_point_down, "power/energy.py", "def f():\n    from audit import finding"),
    (rules.imports_point_down, "audit/rules.py", "import loadgen_harness.cli"),
    (rules.imports_point_down, "loadgen_harness/run.py", "from . import sut"),
    (rules.floors_keep_apart, "audit/rules.py", "from benchmarks.digits import BENCHMARK"),
    (rules.floors_keep_apart, "benchmarks/digits/qsl.py", "import benchmarks.smollm2.qsl"),
    (rules.floors_keep_apart, "benchmarks/digits/qsl.py", "import power.energy"),
    (rules.ground_is_stdlib, "loadgen_harness/types.py", "import numpy"),
    (rules.outside_worlds_have_one_owner, "loadgen_harness/sut.py", "import mlperf_loadgen"),
    (
        rules.outside_worlds_have_one_owner,
        "loadgen_harness/sut.py",
        "import importlib\nimportlib.import_module('torch')",
    ),
    (rules.outside_worlds_have_one_owner, "benchmarks/digits/sut.py", "import onnxruntime"),
    (rules.outside_worlds_have_one_owner, "submissions/report.py", "from rich.table import Table"),
    (rules.only_console_prints, "loadgen_harness/run.py", "print(1)"),
    (rules.only_console_prints, "loadgen_harness/run.py", "import sys\nsys.stderr.write('x')"),
    (rules.files_are_short, "power/energy.py", "\n" * 401),
    (rules.functions_are_short, "power/energy.py", "def f():\n" + "    x = 1\n" * 50),
    (rules.functions_are_short, "power/energy.py", "def f(a, b, *, c, d, e, f, g): ..."),
    (rules.classes_are_small, "power/energy.py", "class A:\n" + "    x = 1\n" * 200),
    (
        rules.classes_are_small,
        "power/energy.py",
        "class A:\n" + "\n".join(f"    def f{n}(self): ..." for n in range(13)),
    ),
    (rules.classes_are_small, "power/energy.py", "class A:\n" + "    @abstractmethod\n    def f(self): ...\n" * 4),
    (rules.public_names_have_docstrings, "power/energy.py", "x = 1"),
    (rules.public_names_have_docstrings, "power/energy.py", '"""Doc."""\ndef f(): ...'),
    (
        rules.public_names_have_docstrings,
        "power/energy.py",
        '"""Doc."""\nclass A:\n    """Doc."""\n    def odd(self): ...',
    ),
    (rules.names_say_what_they_are, "power/utils.py", ""),
    (rules.names_say_what_they_are, "power/energy.py", "class RunManager: ..."),
    (rules.nothing_is_asserted, "power/energy.py", "assert True"),
    (rules.nothing_is_swallowed, "power/energy.py", "try:\n    f()\nexcept Exception:\n    pass"),
    (rules.nothing_is_swallowed, "power/energy.py", "try:\n    f()\nexcept:\n    raise"),
    (rules.annotations_are_lazy, "power/energy.py", "def f(): ..."),
    (rules.plugins_define_their_symbol, "power/meters/wall.py", "METERS = 1"),
    (rules.plugins_define_their_symbol, "benchmarks/digits/accuracy.py", "def scores(): ..."),
    (rules.benchmarks_are_data, "benchmarks/digits/__init__.py", "import numpy"),
]


@pytest.mark.parametrize(
    ("rule", "path", "source"), BAD, ids=[f"{rule.__name__}-{n}" for n, (rule, *_) in enumerate(BAD)]
)
def test_a_rule_sees_its_breach(rule: Rule, path: str, source: str) -> None:
    assert list(rule(Module(path, source)))


def test_scripts_may_print_and_import_what_they_like() -> None:
    script = Module("benchmarks/digits/train.py", "import onnx\nprint(1)")
    assert not breaches(rules.only_console_prints, [script])
    assert not breaches(rules.outside_worlds_have_one_owner, [script])


@pytest.mark.parametrize("folder", ["loadgen_harness/backends", "power/meters"])
def test_one_framework_has_one_plugin(folder: str) -> None:
    users: dict[str, set[str]] = {}
    for module in rules.modules(folder):
        for _, name in module.imported:
            plugin = module.name.split(".")[2:3]  # none: the package of all plug-ins itself
            users.setdefault(name.split(".")[0], set()).update(plugin)
    known = {*PACKAGES, *rules.OWNERS, *sys.stdlib_module_names}
    shared = {name: sorted(paths) for name, paths in users.items() if name not in known and len(paths) > 1}
    assert not shared, f"each framework belongs to one module: {shared}"


def test_no_import_cycles(product: list[Module]) -> None:
    graph = {m.name: {name for name in at_the_top(m) if name != m.name} for m in product}
    while leaves := {name for name, needs in graph.items() if not needs & graph.keys()}:
        graph = {name: needs for name, needs in graph.items() if name not in leaves}
    assert not graph, f"these modules import each other: {', '.join(sorted(graph))}"


def at_the_top(module: Module) -> Iterator[str]:
    """What a module imports when it is itself imported."""
    source = "\n".join(ast.unparse(n) for n in module.tree.body if isinstance(n, ast.Import | ast.ImportFrom))
    return (name for _, name in Module(module.path, source).imported)


@pytest.mark.parametrize("name", registry.names(registry.BENCHMARKS))
def test_a_benchmark_package_is_whole(name: str) -> None:
    folder = ROOT / "benchmarks" / name
    missing = [file for file in (*rules.BENCHMARK_PARTS, "README.md") if not (folder / file).is_file()]
    assert not missing, f"benchmarks/{name} lacks {', '.join(missing)}"
    benchmark = registry.load(registry.BENCHMARKS, name)
    assert isinstance(benchmark, Benchmark)
    assert benchmark.name == name, "the folder's name is the benchmark's"
    assert set(benchmark.backends) <= set(registry.names(registry.BACKENDS))


def test_every_task_folder_is_a_package() -> None:
    parts = [path.relative_to(ROOT).parts for path in committed()]
    folders = {part[1] for part in parts if part[0] == "benchmarks" and len(part) > 2 and part[1][0] not in "_."}
    bare = sorted(folders - set(registry.names(registry.BENCHMARKS)))
    assert not bare, f"folders of benchmarks/ without an __init__.py, which no listing shows: {bare}"


@pytest.mark.parametrize("module", ["loadgen_harness", "loadgen_harness.registry", "loadgen_harness.run"])
def test_needs_numpy_alone(module: str) -> None:
    done = python(BLOCKED_IMPORT.format(free=FREE, module=module))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("verb", ["list", "doctor"])
def test_a_listing_imports_no_framework(verb: str) -> None:
    if not rules.is_module("loadgen_harness.cli"):
        pytest.skip("loadgen_harness/cli.py is not there yet")
    frameworks = {*rules.FRAMEWORKS, "mlperf_loadgen"} - ({"pynvml"} if verb == "doctor" else set())  # it asks the GPU
    done = python(LOADED_BY_VERB.format(verb=verb, frameworks=tuple(frameworks)))
    assert done.stderr.splitlines()[-1].split() == ["LOADED"], done.stderr


def test_no_file_names_a_machine() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number} {line.strip()[:100]!r}"
        for path in committed()
        for number, line in enumerate(path.read_bytes().split(b"\n"), 1)
        if MACHINE_PATH.search(line)
    ]
    assert not found, "paths of one machine:\n" + "\n".join(found)


def committed() -> list[Path]:
    """The files that git has or would take; outside a clone there is nothing to ask."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def python(source: str) -> subprocess.CompletedProcess[str]:
    """Run a piece of source in a fresh interpreter at the repository's root."""
    return subprocess.run([sys.executable, "-c", source], cwd=ROOT, capture_output=True, text=True, check=False)
