"""llama.cpp's own OpenAI server in a process of its own: `python -m tests.perf.served MODEL SLOTS THREADS CONTEXT`.

Says its address, then serves until its input ends. The engine's settings are those of backend llamacpp.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from loadgen_harness.errors import RunFailed

ROOT = Path(__file__).resolve().parents[2]
END_S = 20.0


@contextmanager
def served(model: Path, slots: int, threads: int, context: int) -> Iterator[str]:
    """The base URL of a server that runs inside the block."""
    command = [sys.executable, "-m", "tests.perf.served", str(model), str(slots), str(threads), str(context)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    server = subprocess.Popen(command, cwd=ROOT, text=True, **pipes)  # type: ignore[call-overload]
    try:
        address = server.stdout.readline().strip()
        if not address.startswith("http"):
            raise RunFailed("llama.cpp's server did not start")
        yield f"{address}/v1"
    finally:
        server.stdin.close()
        try:
            server.wait(END_S)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def main() -> None:
    """Serve until the input ends."""
    from loadgen_harness.backends import checked, llamacpp  # sets what OpenMP reads when xllamacpp is loaded

    model, slots, threads, context = sys.argv[1:]
    options = checked({"slots": slots, "threads": threads, "context": context}, llamacpp.OPTIONS, "llamacpp")
    server = llamacpp.xllamacpp.Server(llamacpp._parameters(Path(model), options, int(threads), on_cpu=True))
    print(server.listening_address, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
