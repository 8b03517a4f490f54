"""What this suite's own benchmarks need: the packages that it fetches for them and the files that it carries itself."""

from __future__ import annotations

from importlib import resources

from audit.needs import GB, Need
from benchmarks._data import assets
from loadgen_harness import registry
from loadgen_harness.model_files import MADE
from loadgen_harness.types import Benchmark

SOURCE = "of this suite: packages as they are fetched, data and model; memory is run.json's peak of a finished run"
MADE_HERE = "data set and model apart: the model is made on this machine from the packages"
MEMORY = "memory, accelerator: run.json of a finished run says what it took"


def of(name: str) -> Need:
    """Sizes of one benchmark's packages, and of its model where a package or this suite holds it as it is run."""
    benchmark: Benchmark = registry.load(registry.BENCHMARKS, name)
    files = {file for precision in benchmark.precisions for file in benchmark.files(precision)}
    places = {file.partition(":")[0] if ":" in file else "" for file in files}
    fetched = {each: assets.catalogue()[each].bytes for each in benchmark.assets}
    data = ", ".join(each for each in fetched if each not in places) or "in the package"
    disk_gb = sum(fetched.values()) / GB
    if MADE in places:
        return Need(data=data, disk_gb=disk_gb, unknown=f"{MADE_HERE}; {MEMORY}", source=SOURCE)
    home = resources.files("benchmarks") / name
    shipped = max((len((home / file).read_bytes()) for file in files if ":" not in file), default=0)
    model = shipped + sum(size for each, size in fetched.items() if each in places)
    data_gb = sum(size for each, size in fetched.items() if each not in places) / GB
    return Need(data, data_gb or None, model / GB or None, disk_gb or None, unknown=MEMORY, source=SOURCE)
