"""Which of a task's model files a backend runs at which precision, and the making of files that no package ships.

`python -m loadgen_harness.model_files BENCHMARK FILE FOLDER` makes one: in a process of its own, so that exporters and
their frameworks never share the process that is measured.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from loadgen_harness import cache, registry
from loadgen_harness.backends import ModelReader
from loadgen_harness.errors import BadInput, MissingDependency, SuiteError, UnknownName
from loadgen_harness.types import Benchmark

MADE, RECORD = "made", "made.json"


@dataclass(frozen=True)
class Chosen:
    """The file a backend loads and the precision it is asked to compute in; no file where it wants none."""

    source: str  # as the benchmark names it
    precision: str
    cast: bool = False  # whether the backend is to make this precision of a file of another


def choose(benchmark: Benchmark, backend: ModelReader, precision: str = "") -> Chosen:
    """The file and precision of a run; by default the first precision that both sides know.

    Raises UnknownName for a precision that neither knows, BadInput where no file fits.
    """
    if not backend.needs_model:
        return Chosen("", precision or benchmark.precisions[0])
    possible = list(offered(benchmark, backend))
    found = next((each for each in possible if each.precision == (precision or each.precision)), None)
    return found or _refuse(benchmark, backend, precision, [each.precision for each in possible])


def _refuse(benchmark: Benchmark, backend: ModelReader, precision: str, known: list[str]) -> NoReturn:
    if precision in benchmark.precisions and not benchmark.files(precision):
        raise BadInput(f"{benchmark.name} ships no {precision} model: run it with --backend null.")
    if known and precision not in benchmark.precisions:
        raise UnknownName(f"precision of {benchmark.name}", precision, known)
    shipped = sorted({name.rpartition(":")[2] for each in benchmark.precisions for name in benchmark.files(each)})
    raise BadInput(
        f"{benchmark.name} has no {precision or 'model'} file for this backend, which reads "
        f"{' or '.join(f'*{ending}' for ending in backend.formats) or 'none'}, where the task has "
        f"{', '.join(shipped) or 'none'}: choose "
        + (f"--precision {' or '.join(dict.fromkeys(known))}." if known else "another --backend (`lgh list`).")
    )


def offered(benchmark: Benchmark, backend: ModelReader) -> Iterator[Chosen]:
    """Everything that a backend can run of a benchmark: files as they are, then precisions that it makes itself."""
    if backend.keeps_precision:
        for precision in benchmark.precisions:
            yield from (Chosen(name, precision) for name in _readable(benchmark.files(precision), backend))
    first = _readable(benchmark.files(benchmark.precisions[0]), backend)
    yield from (Chosen(name, each, each != benchmark.precisions[0]) for each in backend.casts for name in first)


def _readable(files: Iterable[str], backend: ModelReader) -> list[str]:
    """The file of the format that the backend likes best, as a list of one; empty where it reads none of them."""
    known = tuple(files)
    fitting = (name for ending in backend.formats for name in known if name.endswith(ending))
    return list(fitting)[:1]


def locate(benchmark: Benchmark, source: str, tell: Callable[[str], None] = lambda line: None) -> Path | None:
    """The file itself: fetched or made where that was not done yet; `tell` hears what takes time."""
    if not source:
        return None
    kind, colon, inner = source.rpartition(":")
    if kind == MADE:
        return _made(benchmark, inner, tell)
    if colon:
        from benchmarks._data import assets

        return assets.resolve(kind) / inner
    return Path(registry.part(benchmark.name, "qsl").__file__).parent / inner


def _made(benchmark: Benchmark, name: str, tell: Callable[[str], None]) -> Path:
    """A file that `make_models` of the task writes, from the cache where it is."""
    from benchmarks._data.fetch import digest

    folder = cache.home() / MADE / f"{benchmark.name}-{benchmark.recipe}" / name
    file, record = folder / name, folder / RECORD
    with cache.locked(folder):
        folder.mkdir(exist_ok=True)
        if not record.is_file():
            tell(f"making {name} of {benchmark.name} (once, a minute or two) ...")
            _make(benchmark.name, name, folder)
            record.with_suffix(".part").write_text(json.dumps({"sha256": digest(file)}) + "\n", encoding="utf-8")
            record.with_suffix(".part").rename(record)
    if digest(file) != json.loads(record.read_text(encoding="utf-8"))["sha256"]:
        raise BadInput(f"{file} is not the file that was made: delete {folder} and run again.")
    return file


def _make(benchmark: str, name: str, folder: Path) -> None:
    command = [sys.executable, "-m", "loadgen_harness.model_files", benchmark, name, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
    if done.returncode:
        (folder / "make.log").write_text(done.stdout + done.stderr, encoding="utf-8")
        raise BadInput(f"{name} of {benchmark} could not be made: {reason.rstrip('.')} (log: {folder / 'make.log'}).")


def main() -> None:
    """Make one file under a temporary name."""
    benchmark, name, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    part = folder / f"part-{name}"  # exporters look at the ending
    try:
        registry.part(benchmark, "make_models").make(name, part)
    except ModuleNotFoundError as error:
        root = (error.name or "").split(".")[0]
        raise SystemExit(str(MissingDependency(f"making {name}", registry.PACKAGES.get(root, root)))) from error
    except SuiteError as error:
        raise SystemExit(str(error)) from error
    os.replace(part, folder / name)


if __name__ == "__main__":
    main()
