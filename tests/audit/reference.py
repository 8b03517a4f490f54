"""The accuracy scripts of mlcommons/inference, run as they are on small logs.

The checkout is named by LGH_MLCOMMONS_INFERENCE. What a script imports but does not need here (a framework for its
model, a download, packages that left) is replaced by empty modules, and a metric from a hub by rouge-score itself.
"""

from __future__ import annotations

import ast
import importlib.util
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

RUNNER = """
import runpy, sys
try:
    import nltk
    nltk.download = lambda *names, **options: True
except ImportError:
    pass
try:
    import pandas
    def append(self, row, ignore_index=True):
        return pandas.concat([self, pandas.DataFrame([row])], ignore_index=True)
    pandas.DataFrame.append = append
    pandas.Series.__float__ = lambda self: float(self.iloc[0])
except ImportError:
    pass
import os
if "REFERENCE_TOKENIZER" in os.environ:  # two scripts name the model whose tokenizer they fetch
    import transformers
    fetch = transformers.AutoTokenizer.from_pretrained
    class Here:
        from_pretrained = staticmethod(lambda name, **options: fetch(os.environ["REFERENCE_TOKENIZER"]))
    transformers.AutoTokenizer = Here
sys.argv = sys.argv[1:]
sys.path.insert(0, __import__("os").path.dirname(__import__("os").path.abspath(sys.argv[0])))
runpy.run_path(sys.argv[0], run_name="__main__")
"""
EVALUATE = """
from rouge_score import rouge_scorer
KINDS = ["rouge1", "rouge2", "rougeL", "rougeLsum"]
class Rouge:
    def compute(self, predictions, references, use_stemmer, use_aggregator):
        scorer = rouge_scorer.RougeScorer(KINDS, use_stemmer=use_stemmer)
        rows = [scorer.score(wanted, found) for wanted, found in zip(references, predictions)]
        return {kind: [row[kind].fmeasure for row in rows] for kind in KINDS}
def load(name):
    return Rouge()
"""
TENSORFLOW = """
import logging as _logging
class gfile:
    Open = GFile = open
class flags:
    pass
class logging:
    warning = info = _logging.getLogger("tensorflow").debug
class compat:
    class v1:
        logging = logging
"""
SHIMS = {
    "evaluate.py": EVALUATE,
    "datasets.py": "load_dataset = load_from_disk = None\n",
    "pkg_resources.py": "class _P:\n    key = 'tensorflow'\nworking_set = [_P]\n",
    "tensorflow.py": TENSORFLOW,
    "modeling.py": "",
    "optimization.py": "",
    "horovod/__init__.py": "",
    "horovod/tensorflow.py": "",
    "mxeval/__init__.py": "",
    "mxeval/execution.py": "def __getattr__(name):\n    return None\n",
    "runner.py": RUNNER,
}


def checkout() -> Path:
    """The root of the checkout; the test skips without."""
    folder = os.environ.get("LGH_MLCOMMONS_INFERENCE")
    if not folder:
        pytest.skip("LGH_MLCOMMONS_INFERENCE names no checkout of mlcommons/inference")
    return Path(folder)


def script(path: str, *packages: str) -> Path:
    """A script of the checkout; the test skips where it or a package that it needs is missing."""
    found = checkout() / path
    if not found.is_file():
        pytest.skip(f"the checkout has no {path}")
    for package in packages:
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{path} needs {package}")
    return found


def run(
    found: Path, arguments: Sequence[object], work: Path, paths: Sequence[Path] = (), tokenizer: Path | None = None
) -> str:
    """What a script prints, run in the folder `work`; a tokenizer that it would fetch is taken from a folder."""
    shims = work / "shims"
    for name, text in SHIMS.items():
        if name == "evaluate.py" or not _real(name):
            (shims / name).parent.mkdir(parents=True, exist_ok=True)
            (shims / name).write_text(text)
    _whisper(shims)
    places = [str(shims), *map(str, paths), *(each for each in sys.path if each)]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(places),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "HF_HUB_OFFLINE": "1",
        **({"REFERENCE_TOKENIZER": str(tokenizer)} if tokenizer else {}),
    }
    command = [sys.executable, str(shims / "runner.py"), str(found), *map(str, arguments)]
    done = subprocess.run(command, cwd=work, env=environment, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout + done.stderr


def functions(path: str, names: Sequence[str], **given: Any) -> ModuleType:
    """Single functions and constants of a script whose imports are too heavy; `given` are the names that they use."""
    tree = ast.parse(script(path).read_text())
    kept = [node for node in tree.body if _name(node) in names]
    assert {_name(node) for node in kept} == set(names)
    module = ModuleType("reference")
    vars(module).update(given)
    body = ast.Module([*ast.parse("from __future__ import annotations").body, *kept], [])
    exec(compile(body, path, "exec"), vars(module))
    return module


def _name(node: ast.stmt) -> str:
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
        return node.targets[0].id
    return node.name if isinstance(node, ast.FunctionDef) else ""


def _real(name: str) -> bool:
    top = name.split("/")[0].removesuffix(".py")
    return top not in ("runner", "tensorflow", "pkg_resources") and importlib.util.find_spec(top) is not None


def _whisper(shims: Path) -> None:
    """`whisper` without its model code: its normalizers alone are wanted."""
    spec = importlib.util.find_spec("whisper")
    if spec and spec.submodule_search_locations:
        (shims / "whisper").mkdir(parents=True, exist_ok=True)
        (shims / "whisper/__init__.py").write_text(f"__path__ = {list(spec.submodule_search_locations)!r}\n")


def patterns(*relative: str) -> Mapping[str, str]:
    """The official checker's own table of accuracy patterns."""
    path = script("/".join(relative) if relative else "tools/submission/submission_checker/constants.py")
    table = next(
        node
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.Assign) and _name(node) == "ACC_PATTERN"
    )
    found: Mapping[str, str] = ast.literal_eval(table.value)
    return found
