"""Puts settings back whatever happens: `python -m power.watchdog STATE` restores what STATE says when its input ends.

It is a process of its own, started before the first change; the original settings stand on disk as well, for the case
that both processes or the machine die (`lgh maxq --restore`).
"""

from __future__ import annotations

import fcntl
import json
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import power
from loadgen_harness.errors import BadInput, SuiteError
from power import knob
from power.knob import Knob, KnobFailed, Raw

FORMAT = 1
STATE, LOCK, COMPLAINTS = "settings.json", "settings.lock", "settings.log"
READY = b"ready\n"
START_S, RESTORE_S = 30.0, 60.0
TRIES, PAUSE_S = 3, 0.3
RESTORE = "`lgh maxq --restore`"
Originals = dict[str, Raw]  # knob -> device -> setting


def folder() -> Path:
    """Where original settings are kept: LGH_STATE, else the system's place for root and the user's for others."""
    named = os.environ.get("LGH_STATE")
    if named:
        return Path(named)
    system = os.geteuid() == 0
    return Path("/var/lib/loadgen-harness") if system else Path.home() / ".local/state/loadgen-harness"


@dataclass(frozen=True)
class Guard:
    """Knobs that may be turned because somebody else puts them back."""

    knobs: Mapping[str, Knob]
    originals: Originals
    process: subprocess.Popen[bytes]

    def set(self, name: str, value: str) -> None:
        """Turn a knob on all devices; raises KnobFailed or BadInput, also where the watchdog is gone."""
        if self.process.poll() is not None:
            raise KnobFailed(
                "the watchdog that restores settings has ended: settings are put back; repeat the command."
            )
        knob.apply(self.knobs[name], self.knobs[name].raw(value))

    def drifted(self, name: str, value: str) -> str:
        """What has another setting than was made, "" where all is as it was set."""
        return knob.different(self.knobs[name], self.knobs[name].raw(value))


@contextmanager
def guarded(names: Sequence[str]) -> Iterator[Guard]:
    """A Guard of the knobs `names`; when the block ends, however it ends, every setting is what it was.

    Raises BadInput where another sweep runs, where an earlier one has left settings behind, or where a knob is missing;
    KnobFailed where settings could not be put back.
    """
    place = folder()
    with _locked(place) as lock:
        _refuse_leftovers(place)
        knobs = {name: knob.load(name) for name in names}
        originals = {name: each.read() for name, each in knobs.items()}
        _save(place, originals)
        process = _start(place, lock)
        try:
            _await_ready(process)
            yield Guard(knobs, originals, process)
        finally:
            _finish(process, place)
            for each in knobs.values():
                each.close()


def restore_saved() -> list[str]:
    """Put back what a sweep left behind when it died with its watchdog; returns what was restored, a line each."""
    place = folder()
    with _locked(place):
        if not (place / STATE).exists():
            return []
        originals = _saved(place)
        _restored(place, originals)
    return [f"{name}: {device} = {raw}" for name, raws in originals.items() for device, raw in raws.items()]


@contextmanager
def _locked(place: Path) -> Iterator[int]:
    """The lock of all sweeps on this machine; the watchdog inherits it and holds it until it has restored."""
    try:
        place.mkdir(parents=True, exist_ok=True)
        handle = os.open(place / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise BadInput(f"cannot write {place} ({error.strerror}): name another folder in LGH_STATE.") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise BadInput("another sweep changes this machine's settings, or restores them: wait for its end.") from None
    else:
        yield handle
    finally:
        os.close(handle)


def _refuse_leftovers(place: Path) -> None:
    """Settings that were not restored must not be taken for the original ones."""
    if (place / STATE).exists():
        log = place / COMPLAINTS
        said = f" ({' '.join(log.read_text(encoding='utf-8', errors='replace').split())})" if log.exists() else ""
        raise BadInput(f"an earlier sweep has not restored this machine's settings{said[:400]}: run {RESTORE} first.")


def _save(place: Path, originals: Originals) -> None:
    """To the disk itself, not only to its cache."""
    content = {"format": FORMAT, "host": platform.node(), "saved": time.time(), "knobs": originals}
    partial = place / f"{STATE}.partial"
    with partial.open("w", encoding="utf-8") as file:
        file.write(json.dumps(content, indent=1) + "\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, place / STATE)
    (place / COMPLAINTS).unlink(missing_ok=True)
    handle = os.open(place, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _saved(place: Path) -> Originals:
    try:
        content = json.loads((place / STATE).read_text(encoding="utf-8"))
        found = {str(name): {str(d): str(raw) for d, raw in raws.items()} for name, raws in content["knobs"].items()}
    except (OSError, ValueError, LookupError, AttributeError, TypeError) as error:
        raise BadInput(f"{place / STATE} cannot be read ({error}): restart the machine, then remove it.") from error
    if content.get("host") != platform.node():
        raise BadInput(f"{place / STATE} is of another machine, {content.get('host')}: run {RESTORE} there.")
    return found


def _start(place: Path, lock: int) -> subprocess.Popen[bytes]:
    root = str(Path(power.__file__).parents[1])
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH", "")]))
    return subprocess.Popen(
        [sys.executable, "-m", "power.watchdog", str(place)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": path},
        pass_fds=(lock,),
        start_new_session=True,  # Ctrl-C and the end of the terminal are not for it
    )


def _await_ready(process: subprocess.Popen[bytes]) -> None:
    said = process.stdout.readline() if process.stdout else b""  # ends with the process at the latest
    if said != READY:
        raise KnobFailed(
            "the watchdog that restores settings did not start, so none was changed: see the message above."
        )


def _finish(process: subprocess.Popen[bytes], place: Path) -> None:
    """Have the watchdog restore; do its work where it is gone. Raises KnobFailed where settings are not back."""
    for pipe in (process.stdin, process.stdout):
        if pipe:
            pipe.close()
    try:
        process.wait(RESTORE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if (place / STATE).exists():
        _restored(place, _saved(place))


def _restored(place: Path, originals: Originals) -> None:
    """Restore and forget; what is not back stays written down. Raises KnobFailed."""
    complaints = restore(originals)
    if complaints:
        text = " ".join(complaints)
        (place / COMPLAINTS).write_text(text + "\n", encoding="utf-8")
        raise KnobFailed(f"settings are NOT restored: {text} Mend that, then run {RESTORE}.")
    (place / STATE).unlink(missing_ok=True)
    (place / COMPLAINTS).unlink(missing_ok=True)


def restore(originals: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Put every setting back and read it back; returns a sentence for each knob that is not as it was."""
    return [sentence for name, raws in originals.items() if (sentence := _put_back(name, raws))]


def _put_back(name: str, raws: Mapping[str, str]) -> str:
    """ "" where a knob is as it was, else why it is not."""
    sentence = ""
    for trial in range(TRIES):
        if trial:
            time.sleep(PAUSE_S)
        try:
            opened = knob.load(name)
            try:
                sentence = _tried(opened, raws)
            finally:
                opened.close()
        except Exception as error:  # a bug in one knob must not keep the others from being restored
            sentence = f"{name}: {error}"
        if not sentence:
            break
    return sentence


def _tried(opened: Knob, raws: Mapping[str, str]) -> str:
    """Each device by itself: one that is gone must not keep the others from being restored."""
    refusals = []
    for device, raw in raws.items():
        try:
            opened.put(device, raw)
        except Exception as error:  # whatever it is, the next device still wants its setting
            refusals.append(str(error))
    wrong = knob.different(opened, raws)
    if opened.verifiable and not wrong:
        return ""  # it is as it was, whatever was refused
    return " ".join(refusals) or (f"{opened.title}: {wrong}." if wrong else "")


def main(arguments: Sequence[str]) -> int:
    """The watchdog: wait for the end of standard input, restore, complain where that fails."""
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(each, signal.SIG_IGN)
    place = Path(arguments[0])
    originals = _saved(place)
    for name in originals:
        knob.load(name).close()  # whatever must be imported is imported before anything is changed
    os.write(sys.stdout.fileno(), READY)
    while os.read(sys.stdin.fileno(), 4096):
        pass
    try:
        _restored(place, originals)
    except KnobFailed as error:
        _complain(str(error))
        return 1
    return 0


def _complain(sentence: str) -> None:
    from loadgen_harness import console

    try:
        console.fail(sentence)
    except OSError:
        return  # the terminal is gone; the sentence stands in the log


def _entry(arguments: Sequence[str]) -> Any:
    try:
        return main(arguments)
    except SuiteError as error:
        _complain(str(error))
        return 2


if __name__ == "__main__":
    sys.exit(_entry(sys.argv[1:]))
