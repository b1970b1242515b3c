"""Commands under limits, watched from outside: what a fault is, exit codes and /proc say, none of our own code."""

from __future__ import annotations

import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import IO

MOST_MEMORY = 2 << 30
"""bytes that one process may hold"""
NET = 6 << 30
"""bytes at which the system refuses more, so that nothing can fill a machine between two looks"""
LOOK = 0.05
"""seconds between two looks"""
GRACE = 10.0
"""seconds after the end of a command in which its processes must be gone"""
MOST_SECONDS = 120.0
"""of one command; the longest takes a tenth of that on a free core"""
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "100"}
ARTIFACTLAB = [str(Path(sys.executable).with_name("artifactlab"))]
"""as users call it; `python -m` would look for modules in the current folder"""
RAISED = re.compile(r"^\w[\w.]*(?:Error|Interrupt|Exception|Exit)\b.*", re.MULTILINE)
"""the last line of a traceback"""
PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass
class Tally:
    """A row of the table: how many were tried, and each fault with what it happened to."""

    claim: str
    tried: int = 0
    faults: list[tuple[str, str]] = field(default_factory=list)
    note: str = ""

    def add(self, case: str, found: Sequence[str]) -> None:
        """One more was tried, and these faults were found."""
        self.tried += 1
        self.faults += [(what, case) for what in found]

    @property
    def broken(self) -> int:
        """How many had a fault or several."""
        return len({case for _, case in self.faults})


@dataclass(frozen=True)
class Outcome:
    """What became of a command."""

    code: int
    """negative where a signal ended it"""
    out: str
    err: str
    seconds: float
    peak: int
    """bytes that the largest of its processes held"""
    left: int
    """processes that were still there after GRACE"""
    stopped: str
    """why it was ended from outside; empty where it was not"""

    def faults(self) -> list[str]:
        """Whatever the command was: what must never be."""
        found = [self.stopped] if self.stopped else []
        if self.peak > MOST_MEMORY and not self.stopped:
            found.append("took more than 2 GB")
        if "Traceback" in self.err or "Exception ignored" in self.err:
            found.append(f"raw error: {last_line(raised[-1] if (raised := RAISED.findall(self.err)) else self.err)}")
        if self.left:
            found.append("processes left running")
        return found

    def refusal(self) -> list[str]:
        """What a refused command must be besides: exit code 2, and one line that says why."""
        lines = [line for line in self.err.splitlines() if line.strip()]
        found = self.faults()
        if self.code != 2 and not self.stopped:
            found.append(f"exit code {self.code} for an error")
        elif not found and len(lines) != 1:
            found.append(f"{len(lines)} lines for one error")
        return found


def last_line(text: str) -> str:
    """The last line that says anything, short and on one line of a table."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return (lines or [""])[-1][:160]


def members(session: int) -> dict[int, int]:
    """The processes of a session that have not ended, and the bytes that each holds."""
    found = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            fields = Path(f"/proc/{entry}/stat").read_bytes().rpartition(b")")[2].split()
        except OSError:  # it has just ended
            continue
        if int(fields[3]) == session and fields[0] not in (b"Z", b"X"):
            found[int(entry)] = int(fields[21]) * PAGE
    return found


def run(
    argv: Sequence[str],
    folder: Path,
    *,
    kill: tuple[float, signal.Signals] | None = None,
    most_bytes: int | None = None,
    stdout: IO[bytes] | int | None = None,
    most_seconds: float = MOST_SECONDS,
    environment: Mapping[str, str] = ENVIRONMENT,
) -> Outcome:
    """Run a command in a session of its own, in `folder`.

    Args:
        argv: the command.
        folder: where it runs.
        kill: seconds after which it gets a signal. Ctrl-C goes to all of its processes, as a terminal sends it.
        most_bytes: the largest file it can write, like a disk that is full from there on.
        stdout: where its data goes, if not into `Outcome.out`.
        most_seconds: after these it is ended, and that is a fault.
        environment: its variables.
    """
    start = time.monotonic()
    process = subprocess.Popen(
        argv,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=stdout or subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    resource.prlimit(process.pid, resource.RLIMIT_DATA, (NET, NET))
    if most_bytes is not None:
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (most_bytes, most_bytes))
    texts = {name: _drained(pipe) for name, pipe in (("out", process.stdout), ("err", process.stderr)) if pipe}
    peak, stopped = _watched(process, start, kill, most_seconds)
    seconds = time.monotonic() - start
    left = _left(process.pid)
    for thread, _ in texts.values():
        thread.join()
    out, err = (b"".join(texts[name][1]).decode("utf-8", "replace") if name in texts else "" for name in ("out", "err"))
    return Outcome(process.returncode, out, err, seconds, peak, left, stopped)


def _drained(pipe: IO[bytes]) -> tuple[Thread, list[bytes]]:
    """Read a pipe to its end beside everything else, so that nobody waits for it to be emptied."""
    parts: list[bytes] = []
    thread = Thread(target=lambda: parts.append(pipe.read()), daemon=True)
    thread.start()
    return thread, parts


def _watched(
    process: subprocess.Popen[bytes], start: float, kill: tuple[float, signal.Signals] | None, most_seconds: float
) -> tuple[int, str]:
    """Wait for the end; gives the highest memory of one process, and why the command was ended, if it was."""
    peak, stopped = 0, ""
    while process.poll() is None:
        peak = max([peak, *members(process.pid).values()])
        now = time.monotonic() - start
        if kill and now >= kill[0]:
            _send(process, kill[1])
            kill = None
        if not stopped and (peak > MOST_MEMORY or now > most_seconds):
            stopped = "took more than 2 GB" if peak > MOST_MEMORY else f"ran longer than {most_seconds:.0f} s"
            os.killpg(process.pid, signal.SIGKILL)
        pause = LOOK if kill is None else min(LOOK, max(kill[0] - now, 0))
        try:
            process.wait(pause)
        except subprocess.TimeoutExpired:
            continue
    return peak, stopped


def _send(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    if number == signal.SIGINT:
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)


def _left(session: int) -> int:
    """How many processes outlive the command by GRACE; they are ended then."""
    end = time.monotonic() + GRACE
    while (left := members(session)) and time.monotonic() < end:
        time.sleep(LOOK)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    return len(left)
