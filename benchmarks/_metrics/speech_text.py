"""English text as Whisper's authors normalise it before words are compared, with their own code.

Importing `whisper` itself would load its model code and PyTorch; its normalizers need neither.
"""

from __future__ import annotations

import importlib.util
import sys
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path

from loadgen_harness.errors import MissingDependency

ALIAS = "_whisper_normalizers"


@cache
def normalizer() -> Callable[[str], str]:
    """The normaliser of openai-whisper; raises MissingDependency without the package."""
    package = importlib.util.find_spec("whisper")
    folders = list(package.submodule_search_locations or ()) if package else []
    file = next((Path(folder) / "normalizers/__init__.py" for folder in folders), None)
    if file is None or not file.is_file():
        raise MissingDependency("the word error rate of whisper", "openai-whisper")
    spec = importlib.util.spec_from_file_location(ALIAS, file, submodule_search_locations=[str(file.parent)])
    if spec is None or spec.loader is None:
        raise MissingDependency("the word error rate of whisper", "openai-whisper")
    module = importlib.util.module_from_spec(spec)
    sys.modules[ALIAS] = module
    spec.loader.exec_module(module)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # it leaves its table of spellings open
        made: Callable[[str], str] = module.EnglishTextNormalizer()
    return made
