"""What every batch backend keeps, as functions of a backend on tiny models: CHECKS, each run on a Case.

A third party runs them on a backend of its own from a clone, its distribution installed:

    CASES = [Case("mine"), Case("mine", "fp16", tolerance=5e-3)]

    @pytest.fixture(scope="module", params=CASES, ids=str)
    def subject(request, tmp_path_factory):
        with Subject(request.param, tmp_path_factory.mktemp("tiny")) as made:
            yield made

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
    def test_conforms(subject, check):
        check(subject)
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import psutil
import pytest

from loadgen_harness import model_files, registry
from loadgen_harness.errors import BadInput, MissingDependency, SuiteError, UnknownName
from loadgen_harness.registry import BACKENDS
from loadgen_harness.types import Benchmark
from tests.backends import tiny

SIZES = (1, 2, 3, 7, 8, 33)
KEYS = ("framework", "version", "device", "provider", "precision", "mode", "threads")
MIB = 1 << 20


def resident() -> int:
    """Bytes of this process in memory, freed ones given back."""
    gc.collect()
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)
    return psutil.Process().memory_info().rss


@dataclass(frozen=True)
class Case:
    """One way to run a backend, and what may be expected of it."""

    backend: str
    precision: str = "fp32"
    tolerance: float = 2e-5  # of the largest number in the reference
    options: Mapping[str, str] = field(default_factory=dict)
    device: str = "cpu"
    format: str = ""  # ending of the model's file; by default the first of the backend's that the suite writes
    kinds: tuple[str, ...] = tiny.KINDS  # "image" and "tokens", where a cast cannot take all of them fewer
    sizes: tuple[int, ...] = SIZES  # fewer only where each size is compiled for seconds
    may_fall_back: bool = False  # whether `fallback` may be stated, on a machine that lacks what was asked for
    reuses_outputs: bool = False  # whether the next predict of the same thread overwrites this one's outputs
    cycles: int = 8  # of load and close, over which memory may not grow
    memory: Callable[[], int] = resident  # bytes in use, of the device where the weights lie there

    def __str__(self) -> str:
        """What tells it from other cases."""
        chosen = [f"{key}={value}" for key, value in self.options.items()]
        return "-".join((self.backend, self.precision, *chosen, *([self.format] if self.format else [])))


class Subject:
    """A backend under test: makes, loads and remembers one per kind of model; skips what is not installed here."""

    def __init__(self, case: Case, folder: Path) -> None:
        """Files go to `folder`."""
        if lacking := registry.missing(BACKENDS, case.backend):
            pytest.skip(str(MissingDependency(f"backend {case.backend}", lacking)))
        self.case, self.folder = case, folder
        self._loaded: dict[str, Any] = {}

    def __enter__(self) -> Subject:
        """Itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close what was loaded."""
        for backend in self._loaded.values():
            backend.close()

    def make(self, **options: str) -> Any:
        """A backend that has loaded nothing."""
        return registry.load(BACKENDS, self.case.backend)({**self.case.options, **options})

    def ending(self, backend: Any) -> str:
        """Of the model files that it is given."""
        known = [ending for ending in backend.formats if ending in tiny.FORMATS]
        if not known:
            pytest.skip(f"the suite writes none of {', '.join(backend.formats)}: name a writer in tiny.FORMATS")
        return self.case.format or known[0]

    def load(self, kind: str) -> Any:
        """A backend that has loaded the tiny model `kind`, with calibration data where it asks for them."""
        backend = self.make()
        if hasattr(backend, "calibration"):
            backend.calibration = lambda: (tiny.batch(kind, 1, seed) for seed in range(1, 33))
        backend.load(tiny.file(kind, self.ending(backend), self.folder), self.case.device, self.case.precision)
        return backend

    def loaded(self, kind: str) -> Any:
        """The one that the checks share."""
        if kind not in self._loaded:
            self._loaded[kind] = self.load(kind)
        return self._loaded[kind]

    def each(self) -> Iterator[tuple[str, Any]]:
        """Kinds of small models with their backends."""
        yield from ((kind, self.loaded(kind)) for kind in self.case.kinds if kind != "wide")

    def close_to(self, found: Any, wanted: list[np.ndarray]) -> None:
        """Fail unless outputs are the wanted ones within the case's tolerance."""
        for one, other in zip(found, wanted, strict=True):
            scale = max(float(np.abs(other).max(initial=0)), 1.0)
            np.testing.assert_allclose(one, other, rtol=0, atol=self.case.tolerance * scale)


def _copies(outputs: Any) -> list[np.ndarray]:
    return [output.copy() for output in outputs]


def equals_the_reference(subject: Subject) -> None:
    """Every batch size gives what numpy computes in fp32, as C-contiguous fp32 arrays, and leaves its input alone."""
    for kind, backend in subject.each():
        for size in subject.case.sizes:
            batch = tiny.batch(kind, size)
            kept = {name: array.copy() for name, array in batch.items()}
            outputs = backend.predict(batch)
            columns = list(tiny.OUTPUTS[kind].values())
            assert [o.shape for o in outputs] == [(size, n) for n in columns], f"{kind}: shapes of {size} samples"
            assert all(type(o) is np.ndarray for o in outputs), f"{kind}: outputs must be numpy arrays"
            assert {o.dtype for o in outputs} == {np.dtype(np.float32)}, f"{kind}: outputs must be fp32 as the file's"
            assert all(o.flags.c_contiguous for o in outputs), f"{kind}: outputs must be C-contiguous"
            subject.close_to(outputs, tiny.reference(kind, batch))
            assert all((batch[name] == array).all() for name, array in kept.items()), f"{kind}: input was overwritten"


def takes_any_array(subject: Subject) -> None:
    """Read-only and strided inputs are answered like others: samples lie in shared memory."""
    for kind, backend in subject.each():
        batch = tiny.batch(kind, 8)
        frozen = {name: array[::2] for name, array in batch.items()}
        for array in frozen.values():
            array.flags.writeable = False
        subject.close_to(backend.predict(frozen), tiny.reference(kind, frozen))


def answers_an_empty_batch(subject: Subject) -> None:
    """No samples, no rows, and the next batch is answered as ever."""
    for kind, backend in subject.each():
        outputs = backend.predict(tiny.batch(kind, 0))
        columns = list(tiny.OUTPUTS[kind].values())
        assert [o.shape for o in outputs] == [(0, n) for n in columns], f"{kind}: {[o.shape for o in outputs]}"
        assert {o.dtype for o in outputs} == {np.dtype(np.float32)}, f"{kind}: an empty batch has the same types"
        subject.close_to(backend.predict(tiny.batch(kind, 2)), tiny.reference(kind, tiny.batch(kind, 2)))


def repeats_itself(subject: Subject) -> None:
    """The same batch gives the same bits, whatever was computed between."""
    for kind, backend in subject.each():
        for size in subject.case.sizes[:4]:
            batch = tiny.batch(kind, size)
            first = _copies(backend.predict(batch))
            backend.predict(tiny.batch(kind, subject.case.sizes[-1], seed=5))
            for one, other in zip(first, backend.predict(batch), strict=True):
                np.testing.assert_array_equal(one, other, f"{kind}: batch of {size} answered differently")


def samples_are_independent(subject: Subject) -> None:
    """A sample is answered alike alone, among others, and among different others."""
    size = subject.case.sizes[-1]
    for kind, backend in subject.each():
        together, others = tiny.batch(kind, size), tiny.batch(kind, size, seed=9)
        mixed = {name: np.concatenate([together[name][:1], others[name][1:]]) for name in together}
        first = [output[:1].copy() for output in backend.predict(together)]
        subject.close_to([output[:1].copy() for output in backend.predict(mixed)], first)
        subject.close_to(backend.predict({name: array[:1] for name, array in together.items()}), first)


def keeps_its_outputs(subject: Subject) -> None:
    """The next predict does not overwrite this one's outputs, unless the case states that it may."""
    for kind, backend in subject.each():
        outputs = backend.predict(tiny.batch(kind, 3))
        kept = _copies(outputs)
        if not subject.case.reuses_outputs:
            backend.predict(tiny.batch(kind, 3, seed=7))
            backend.predict(tiny.batch(kind, 2, seed=7))
        for one, other in zip(outputs, kept, strict=True):
            np.testing.assert_array_equal(one, other, f"{kind}: a later predict overwrote outputs")


def threads_do_not_meet(subject: Subject) -> None:
    """A thread that did not load may predict; where `thread_safe`, several do at once, each with its own batch."""
    for kind, backend in subject.each():
        batches = [tiny.batch(kind, size, seed) for seed, size in enumerate(subject.case.sizes[:4])]
        wanted = [_copies(backend.predict(batch)) for batch in batches]

        def ask(turn: int, backend: Any = backend, batches: list[Any] = batches, wanted: list[Any] = wanted) -> None:
            outputs = backend.predict(batches[turn % len(batches)])
            subject.close_to(outputs, wanted[turn % len(batches)])

        with ThreadPoolExecutor(4 if backend.thread_safe else 1) as pool:
            list(pool.map(ask, range(40)))


def says_what_ran(subject: Subject) -> None:
    """describe() has its keys in words, names precision and device, and states a fallback only where one is."""
    for kind, backend in subject.each():
        backend.predict(tiny.batch(kind, 2))
        said = backend.describe()
        lacking = [key for key in KEYS if not said.get(key)]
        assert not lacking, f"{kind}: describe() lacks {', '.join(lacking)}"
        assert all(isinstance(value, str) for value in said.values()), f"{kind}: describe() gives words: {said}"
        stated = said.get("fallback", "")
        assert "fallback" not in said or stated, f"{kind}: an empty fallback is none: leave the key out"
        assert subject.case.may_fall_back or not stated, f"{kind}: fell back: {stated}"
        if not stated:
            assert said["precision"] == subject.case.precision, f"{kind}: ran in {said['precision']}"


def threads_are_an_option(subject: Subject) -> None:
    """`threads`, where there is such an option, is kept and said, and a negative number of them refused."""
    kind = subject.case.kinds[0]
    try:
        backend = subject.make(threads="1")
    except BadInput as error:
        pytest.skip(f"no option threads: {error}")
    with contextlib.closing(backend):
        assert_refused(lambda: subject.make(threads="-1"), "threads")
        if hasattr(backend, "calibration"):
            backend.calibration = lambda: [tiny.batch(kind, 8)]
        backend.load(
            tiny.file(kind, subject.ending(backend), subject.folder), subject.case.device, subject.case.precision
        )
        assert backend.describe()["threads"].split()[0] == "1", backend.describe()["threads"]


def assert_refused(call: Callable[[], object], word: str = "") -> None:
    """Fail unless `call` raises one sentence for the user, which holds `word`."""
    with pytest.raises(SuiteError) as caught:
        call()
    text = str(caught.value)
    assert isinstance(caught.value, BadInput | UnknownName | MissingDependency), type(caught.value)
    assert word in text and "\n" not in text and text[-1] in ".?", text


def _task(model: str) -> Benchmark:
    """A benchmark of the tiny model."""
    words = dict.fromkeys(("name", "title", "checker_name", "sample", "response_dtype"), "tiny")
    return Benchmark(**words, variants={}, metrics=(), backends=(), precisions=("fp32",), model={"fp32": model})


def refuses_what_it_does_not_know(subject: Subject) -> None:
    """An option, a value, a device and a precision that do not exist are one sentence each."""
    case, backend = subject.case, subject.make()
    file = tiny.file("image", subject.ending(backend), subject.folder)
    assert_refused(lambda: subject.make(no_such_option="1"), "no_such_option")
    assert_refused(lambda: subject.make().load(file, "no_such_device", case.precision), "no_such_device")
    assert_refused(lambda: model_files.choose(_task(file.name), backend, "no_such_precision"), "no_such_precision")
    if not backend.keeps_precision:
        assert_refused(lambda: subject.make().load(file, case.device, "no_such_precision"), "no_such_precision")


def refuses_what_is_no_model(subject: Subject) -> None:
    """No file, an absent one, an empty, a cut and a wrong one are one sentence each, which names the file."""
    case, ending = subject.case, subject.ending(subject.make())
    whole = tiny.file("image", ending, subject.folder).read_bytes()
    spoilt = [b"", b"this_is_no_model = 1\n" * 40]
    if not ending.endswith(".py"):
        spoilt += [whole[: len(whole) // 2], whole[:20]]

    def load(path: Path | None) -> Callable[[], None]:
        return lambda: subject.make().load(path, case.device, case.precision)

    assert_refused(load(None))
    assert_refused(load(subject.folder / "absent" / ending), "absent")
    for number, content in enumerate(spoilt):
        broken = subject.folder / f"broken{number}" / (ending if not ending.startswith(".") else f"odd{ending}")
        broken.parent.mkdir(exist_ok=True)
        broken.write_bytes(content)
        assert_refused(load(broken), broken.name)


def gives_memory_back(subject: Subject) -> None:
    """Loading and closing many times leaves memory where it was, to less than half of what lost weights would take."""
    case = subject.case
    kind = "wide" if "wide" in case.kinds else "image"

    def cycle() -> None:
        backend = subject.load(kind)
        backend.predict(tiny.batch(kind, 4))
        backend.close()

    def grown() -> int:
        before = case.memory()
        for _ in range(case.cycles):
            cycle()
        return case.memory() - before

    for _ in range(3):
        cycle()
    lost = sum(array.nbytes for array in tiny.weights("wide").values()) * case.cycles
    growth = (
        min(grown() for _ in range(2)) if (first := grown()) > lost / 2 else first
    )  # allocators keep a block or two
    assert growth < lost / 2, f"{growth / MIB:.1f} MiB more after {case.cycles} cycles that load {lost / MIB:.1f}"


def closes_twice(subject: Subject) -> None:
    """close() may come again, and before any load."""
    backend = subject.make()
    backend.close()
    backend.close()
    loaded = subject.load(subject.case.kinds[0])
    loaded.close()
    loaded.close()


def names_its_package(subject: Subject) -> None:
    """Without one of its packages, loading the backend is the sentence with the pip line that mends it."""
    name = subject.case.backend
    roots = registry.imports(BACKENDS, name) - set(sys.stdlib_module_names) - {"loadgen_harness", "numpy"}
    entry = registry.foreign("backend").get(name, f"{BACKENDS.package}.{name}")
    for root in sorted(roots):
        hidden = [root, *(module for module in sys.modules if module.startswith(f"{root}."))]
        with mock.patch.dict(sys.modules, dict.fromkeys(hidden)):
            sys.modules.pop(entry, None)
            assert_refused(lambda: registry.load(BACKENDS, name), f"pip install {registry.PACKAGES.get(root, root)}")


CHECKS: tuple[Callable[[Subject], None], ...] = (
    equals_the_reference,
    takes_any_array,
    answers_an_empty_batch,
    repeats_itself,
    samples_are_independent,
    keeps_its_outputs,
    threads_do_not_meet,
    says_what_ran,
    threads_are_an_option,
    refuses_what_it_does_not_know,
    refuses_what_is_no_model,
    gives_memory_back,
    closes_twice,
    names_its_package,
)
