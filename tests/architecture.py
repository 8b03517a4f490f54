"""The house rules as functions: each takes a parsed module and yields its breaches as (line, sentence)."""

from __future__ import annotations

import ast
import functools
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("loadgen_harness", "benchmarks", "audit", "power", "submissions")

TERMINAL = ("cli", "campaign", "demo")  # the roof that a person sees
# programs: nothing below imports them, they import anything, lazily
PROGRAMS = (
    "child", "model_files", "weights", "replica", "tax", "taxes", "plan", "attempts", "outlook", "assess",
    "road", "submitting", "verbs", "matrix", "matrices", "echo", "auditing", "subjects", "auditees",
    "cli_audit", "power_sessions", "energetics", "maxq", "sweep", "repeats", "reports", "demands", "plan_text",
    "planning", "preflight", "rehearsal", "rehearsals", "machine_state", "machine_ecc", "own_needs", "trials",
    "described_system", "describing", "power_tables", "campaign_power", "usable", "unusable",
)  # fmt: skip
ROOF = {*TERMINAL, *PROGRAMS, "__main__"}
GROUND = {"types", "errors", "__init__"}
DRIVERS = {
    "loadgen",
    "native",
    "effective",
    "sut",
    "stream",
    "child",
    "calibrate",
    "backends",
    "workers",
}  # whatever else loadgen_harness holds is floor 1
ROOF_FLOOR = 9
FLOORS = {"benchmarks": 3, "power": 3, "audit": 4, "submissions": 5}

SYMBOLS = {
    "loadgen_harness/backends": "BACKEND",
    "loadgen_harness/workers": "WORKER",
    "power/meters": "METER",
    "power/knobs": "KNOB",
    "audit/compliance": "TEST",
}
BENCHMARK_PARTS = {"__init__.py": "BENCHMARK", "qsl.py": "QSL", "sut.py": "SUT", "accuracy.py": "score"}

# who may import what; a package missing here is free for a plug-in, but for one backend or meter at most
OWNERS = {
    "numpy": PACKAGES,
    "psutil": ("loadgen_harness", "power"),
    "mlperf_loadgen": ("loadgen_harness.loadgen",),
    "rich": ("loadgen_harness.console", *(f"loadgen_harness.{name}" for name in TERMINAL)),
    "absl": tuple(f"loadgen_harness.{name}" for name in TERMINAL),
    "jinja2": ("submissions",),
    "tokenizers": ("benchmarks", "loadgen_harness.backends", "audit.metrics"),
    "rouge_score": ("benchmarks",),
    "nltk": ("benchmarks",),
    "pycocotools": ("benchmarks",),
    "rapidfuzz": ("benchmarks",),
    "nibabel": ("audit.metrics",),
    "PIL": ("benchmarks",),
    "resvg_py": ("submissions.label",),
    "yaml": ("loadgen_harness.yaml_text",),
    "onnx": ("audit.auditee.models",),
    "gguf": ("audit.auditee.models",),
    "torch": ("loadgen_harness.backends.torch", "loadgen_harness.backends.transformers"),
    "tensorrt": ("loadgen_harness.backends.tensorrt",),
    "cuda": ("loadgen_harness.backends.tensorrt",),
}
PLUGIN_FOLDERS = ("loadgen_harness.backends.", "loadgen_harness.workers.", "power.meters.", "power.knobs.")
FRAMEWORKS = (
    "onnxruntime", "xllamacpp", "torch", "tensorrt", "openvino", "ai_edge_litert", "jax", "tensorflow", "transformers",
    "vllm", "tritonclient", "pynvml", "onnx",
)  # fmt: skip
TASK_MODELS = ("torch_model", "jax_model")  # a task's own model, which imports the framework that it is named after

BAD_MODULES = {"utils", "util", "common", "helpers", "helper", "misc"}
BAD_SUFFIXES = ("Manager", "Handler", "Engine", "Factory", "Orchestrator")
MAX_FILE, MAX_FUNCTION, MAX_PARAMETERS, MAX_CLASS, MAX_METHODS, MAX_ABSTRACT = 400, 50, 6, 200, 12, 3

Node = TypeVar("Node", bound=ast.AST)
Breaches = Iterator[tuple[int, str]]
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """One Python file of the repository, parsed."""

    path: str  # relative to the root, with slashes
    source: str

    @functools.cached_property
    def tree(self) -> ast.Module:
        """Its syntax tree."""
        return ast.parse(self.source, self.path)

    @property
    def name(self) -> str:
        """The dotted name under which it is imported."""
        return self.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    @property
    def stem(self) -> str:
        """The file name without its ending."""
        return Path(self.path).stem

    @property
    def script(self) -> bool:
        """Whether developers run it by hand (`train.py`, `make_*.py`): free to print and to import what it likes."""
        return self.stem == "train" or self.stem.startswith("make_")

    @property
    def product(self) -> bool:
        """Whether it ships."""
        return self.path.split("/")[0] in PACKAGES

    @functools.cached_property
    def everything(self) -> list[ast.AST]:
        """All its nodes: walked once for all rules."""
        return list(ast.walk(self.tree))

    def nodes(self, kind: type[Node]) -> Iterator[Node]:
        """All nodes of a kind, wherever they stand."""
        return (node for node in self.everything if isinstance(node, kind))

    def functions(self) -> Iterator[Function]:
        """All functions and methods, wherever they stand."""
        return (node for node in self.everything if isinstance(node, Function))

    @functools.cached_property
    def imported(self) -> list[tuple[int, str]]:
        """Line and dotted name of everything imported: at the top, inside functions, or by a literal name."""
        return list(self._imports())

    def _imports(self) -> Iterator[tuple[int, str]]:
        for node in self.everything:
            if isinstance(node, ast.Import):
                yield from ((node.lineno, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield from ((node.lineno, name) for name in self._from(node))
            elif isinstance(node, ast.Call) and _last(node.func) == "import_module":
                literals = [arg.value for arg in node.args if isinstance(arg, ast.Constant)]
                yield from ((node.lineno, str(value)) for value in literals[:1])

    def _from(self, node: ast.ImportFrom) -> list[str]:
        """The modules behind `from package import names`: the names themselves where they are modules."""
        package = self.name.split(".") if self.stem == "__init__" else self.name.split(".")[:-1]
        above = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
        origin = ".".join(part for part in (above, node.module or "") if part)
        return [f"{origin}.{alias.name}" if is_module(f"{origin}.{alias.name}") else origin for alias in node.names]


def _last(called: ast.expr) -> str:
    """The last part of the name that is called: cheap, where the whole name has to be written out."""
    return called.attr if isinstance(called, ast.Attribute) else called.id if isinstance(called, ast.Name) else ""


@functools.cache
def is_module(name: str) -> bool:
    """Whether the repository holds a module or package of this dotted name."""
    path = ROOT / name.replace(".", "/")
    return path.with_name(f"{path.name}.py").is_file() or (path / "__init__.py").is_file()


def modules(*folders: str) -> list[Module]:
    """All Python files under these folders."""
    found = sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))
    return [Module(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")) for path in found]


def floor(name: str) -> int:
    """The floor on which a module of ours stands."""
    top, _, rest = name.partition(".")
    if top != "loadgen_harness":
        return FLOORS[top]
    first = rest.split(".")[0] or "__init__"
    return ROOF_FLOOR if first in ROOF else 0 if first in GROUND else 2 if first in DRIVERS else 1


def imports_point_down(module: Module) -> Breaches:
    """A module imports from its own floor and the floors below it."""
    for line, name in module.imported:
        if name.split(".")[0] in PACKAGES and floor(name) > floor(module.name):
            yield line, f"floor {floor(module.name)} imports {name} of floor {floor(name)}"


def floors_keep_apart(module: Module) -> Breaches:
    """Tasks do not know each other or power; audit and submissions are handed a Benchmark and import no task."""
    own = module.name.split(".")
    for line, name in module.imported:
        parts = name.split(".")
        task = parts[1] if parts[0] == "benchmarks" and len(parts) > 1 and not parts[1].startswith("_") else ""
        if task and own[:2] != ["benchmarks", task] and floor(module.name) < ROOF_FLOOR:
            yield line, f"imports the task {name}: go through the registry, or take a Benchmark as argument"
        if {own[0], parts[0]} == {"benchmarks", "power"}:
            yield line, f"imports {name}: benchmarks and power do not know each other"


def ground_is_stdlib(module: Module) -> Breaches:
    """Floor 0 needs the standard library alone."""
    for line, name in module.imported:
        if floor(module.name) == 0 and name.split(".")[0] not in {*sys.stdlib_module_names, "loadgen_harness"}:
            yield line, f"floor 0 imports {name}"


def outside_worlds_have_one_owner(module: Module) -> Breaches:
    """One module per outside world: LoadGen, each framework, each vendor library, the terminal."""
    for line, name in module.imported:
        root = name.split(".")[0]
        if module.script or root in PACKAGES or root in sys.stdlib_module_names:
            continue
        if module.name.startswith("benchmarks.") and module.stem in TASK_MODELS and module.stem == f"{root}_model":
            continue
        if root in OWNERS and not any(f"{module.name}.".startswith(f"{owner}.") for owner in OWNERS[root]):
            yield line, f"imports {root}, which belongs to {', '.join(OWNERS[root]) or 'scripts'}"
        elif root not in OWNERS and not module.name.startswith(PLUGIN_FOLDERS):
            yield line, f"imports {root}: third-party packages belong to a plug-in, or name their owner in OWNERS"


def only_console_prints(module: Module) -> Breaches:
    """`console.py` alone writes to the terminal."""
    if module.name == "loadgen_harness.console" or module.script:
        return
    for node in module.nodes(ast.Call):
        called = ast.unparse(node.func) if _last(node.func) in ("print", "write") else ""
        if called == "print" or called in ("sys.stdout.write", "sys.stderr.write"):
            yield node.lineno, f"calls {called}: hand the text to loadgen_harness.console"


def files_are_short(module: Module) -> Breaches:
    """At most 400 lines a file."""
    lines = module.source.count("\n")
    if lines > MAX_FILE:
        yield lines, f"file of {lines} lines, more than {MAX_FILE}"


def functions_are_short(module: Module) -> Breaches:
    """At most 50 lines and 6 parameters a function, `self` not counted."""
    for node in module.functions():
        lines = (node.end_lineno or node.lineno) - node.lineno + 1
        if lines > MAX_FUNCTION:
            yield node.lineno, f"{node.name} has {lines} lines, more than {MAX_FUNCTION}"
        names = [arg.arg for arg in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
        count = len(names) - (names[:1] in (["self"], ["cls"]))
        if count > MAX_PARAMETERS:
            yield (
                node.lineno,
                f"{node.name} has {count} parameters, more than {MAX_PARAMETERS}: take a record",
            )


def classes_are_small(module: Module) -> Breaches:
    """At most 200 lines, 12 methods (properties not counted) and 3 abstract methods a class."""
    for node in module.nodes(ast.ClassDef):
        lines = (node.end_lineno or node.lineno) - node.lineno + 1
        if lines > MAX_CLASS:
            yield node.lineno, f"class {node.name} has {lines} lines, more than {MAX_CLASS}"
        decorators = [
            " ".join(map(ast.unparse, each.decorator_list)) for each in node.body if isinstance(each, Function)
        ]
        methods = sum("property" not in text for text in decorators)
        if methods > MAX_METHODS:
            yield node.lineno, f"class {node.name} has {methods} methods, more than {MAX_METHODS}"
        if sum("abstractmethod" in text for text in decorators) > MAX_ABSTRACT:
            yield node.lineno, f"class {node.name} asks a plug-in for more than {MAX_ABSTRACT} methods"


def public_names_have_docstrings(module: Module) -> Breaches:
    """Every module and public name says in a docstring what it is; a method of a contract is documented there."""
    if not ast.get_docstring(module.tree):
        yield 1, "the module has no docstring"
    public = [node for node in module.tree.body if isinstance(node, Function | ast.ClassDef) and _is_public(node)]
    for node in public:
        if not ast.get_docstring(node):
            yield node.lineno, f"{node.name} has no docstring"
    for cls in (node for node in public if isinstance(node, ast.ClassDef)):
        for method in (node for node in cls.body if isinstance(node, Function) and _is_public(node)):
            if not ast.get_docstring(method) and method.name not in contract_methods():
                yield method.lineno, f"{cls.name}.{method.name} has no docstring"


def names_say_what_they_are(module: Module) -> Breaches:
    """No module called utils, common or helpers; no Manager, Handler, Engine, Factory."""
    for part in module.name.split("."):
        if part.strip("_") in BAD_MODULES:
            yield 1, f"{part} says nothing about what is inside"
    for node in module.nodes(ast.ClassDef):
        if node.name.endswith(BAD_SUFFIXES):
            yield node.lineno, f"class {node.name}: name the thing, not its role in a pattern"


def nothing_is_asserted(module: Module) -> Breaches:
    """`assert` vanishes under -O: data is checked with an error or a Finding."""
    for node in module.nodes(ast.Assert):
        yield node.lineno, "assert in product code: raise an error or yield a Finding"


def nothing_is_swallowed(module: Module) -> Breaches:
    """No bare except, and none that catches everything and does nothing."""
    for node in module.nodes(ast.ExceptHandler):
        caught = ast.unparse(node.type) if node.type else ""
        idle = all(isinstance(each, (ast.Pass, ast.Continue)) for each in node.body)
        if not caught or (idle and caught in ("Exception", "BaseException")):
            yield node.lineno, "swallows every exception: name what may happen here"


def annotations_are_lazy(module: Module) -> Breaches:
    """A module with functions or classes begins with `from __future__ import annotations`."""
    if not any(isinstance(node, Function | ast.ClassDef) for node in module.tree.body):
        return
    if not any(isinstance(node, ast.ImportFrom) and node.module == "__future__" for node in module.tree.body):
        yield 1, "lacks `from __future__ import annotations`"


def plugins_define_their_symbol(module: Module) -> Breaches:
    """A folder is a registry: each module in it defines the one agreed symbol."""
    folder, _, file = module.path.rpartition("/")
    if file == "__init__.py":  # a plug-in that is a package
        folder, file = folder.rpartition("/")[0], "package"
    wanted = "" if file.startswith("_") else SYMBOLS.get(folder, "")
    parts = module.path.split("/")
    if parts[0] == "benchmarks" and len(parts) == 3 and not parts[1].startswith("_"):
        wanted = BENCHMARK_PARTS.get(module.path.rpartition("/")[2], "")
    if wanted and wanted not in defined(module.tree):
        yield 1, f"a module of this folder defines {wanted}"


def benchmarks_are_data(module: Module) -> Breaches:
    """A task's `__init__` holds its Benchmark and imports nothing else, so that listing imports no framework."""
    parts = module.path.split("/")
    if parts[0] != "benchmarks" or len(parts) != 3 or parts[1].startswith("_") or module.stem != "__init__":
        return
    for line, name in module.imported:
        if name not in ("__future__", "loadgen_harness.types"):
            yield line, f"imports {name}: a task's __init__ needs loadgen_harness.types alone"


def defined(tree: ast.Module) -> set[str]:
    """The names that a module binds at its top."""
    found: set[str] = set()
    for node in tree.body:
        if isinstance(node, Function | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {target.id for target in targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.ImportFrom):
            found |= {alias.asname or alias.name for alias in node.names}
    return found


@functools.cache
def contract_methods() -> frozenset[str]:
    """Methods that a Protocol or an abstract class of ours documents."""
    classes = [
        node for module in modules(*PACKAGES) for node in ast.walk(module.tree) if isinstance(node, ast.ClassDef)
    ]
    contracts = [node for node in classes if any(ast.unparse(base) in ("Protocol", "ABC") for base in node.bases)]
    methods = [method for cls in contracts for method in cls.body if isinstance(method, Function)]
    return frozenset(method.name for method in methods if ast.get_docstring(method))


def _is_public(node: Function | ast.ClassDef) -> bool:
    return not node.name.startswith("_")


EVERYWHERE = (files_are_short, functions_are_short, classes_are_small, names_say_what_they_are, nothing_is_swallowed)
PRODUCT = (
    imports_point_down,
    floors_keep_apart,
    ground_is_stdlib,
    outside_worlds_have_one_owner,
    only_console_prints,
    public_names_have_docstrings,
    nothing_is_asserted,
    annotations_are_lazy,
    plugins_define_their_symbol,
    benchmarks_are_data,
)
