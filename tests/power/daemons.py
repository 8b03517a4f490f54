"""A PTDaemon simulator inside the test's own process, at a port of its own."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from power.simulator import faults, loads
from power.simulator.__main__ import Server
from power.simulator.analyzer import Analyzer
from power.simulator.daemon import Daemon
from power.simulator.sampling import Journal


@dataclass(frozen=True)
class Running:
    """Where it listens, what it has written to its standard output, and its log of samples."""

    port: int
    out: io.StringIO
    log: Path
    daemon: Daemon

    @property
    def said(self) -> list[str]:
        """Lines of its standard output."""
        return self.out.getvalue().splitlines()


@contextmanager
def running(folder: Path, analyzer: Analyzer | None = None, *, wrong: Sequence[str] = ()) -> Iterator[Running]:
    """A simulated analyzer of 100 W."""
    out, log = io.StringIO(), folder / "ptd.log"
    load = loads.load("constant", loads.Profile())
    daemon = Daemon(analyzer or Analyzer(), load, Journal(out), log, faults.parse(wrong))
    with Server("127.0.0.1", 0, daemon) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield Running(server.server_address[1], out, log, daemon)
        finally:
            server.shutdown()
            thread.join()
            daemon.close()
