"""Every command that writes is killed at random moments, and finds a disk that fills at a random byte."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from robustness_commands import WRITERS, Writer, prepare
from robustness_processes import ARTIFACTLAB, PAGE, Outcome, Tally, last_line, run

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
INTERRUPTED = 130
CHAIN = 10
"""kills in one folder, each of which finds what the one before has left, until the command may end"""
DISK = 16 << 20
"""bytes of a small file system"""
STDOUT = (
    ("score", "images", "--metric", "axis_excess"),
    ("score", "images", "--metric", "axis_excess", "--format", "csv"),
    ("score", "images", "--metric", "axis_excess", "--format", "json"),
    ("compare", "before.csv", "after.csv"),
    ("compare", "before.csv", "after.csv", "--format", "json"),
    ("diagnose", "my_models.py:make", "--probe", "constant", "--crop", "64"),
    ("diagnose", "my_models.py:make", "--probe", "constant", "--crop", "64", "--format", "json"),
    ("lint", "my_models.py:make"),
    ("lint", "my_models.py:make", "--format", "json"),
    *(("lint", "--rules"), ("metrics",), ("--help",), ("--version",), ("score", "--help")),
)
"""what prints"""


@contextmanager
def prepared() -> Iterator[Path]:
    """A folder of its own with what the commands read."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "desk"
        prepare(folder)
        yield folder


def killed(count: int) -> list[Tally]:
    """A row per command: `count` kills of each."""
    return [_killed(writer, count) for writer in WRITERS if count]


def _killed(writer: Writer, count: int) -> Tally:
    tally = Tally(f"kills of `{writer.name}`: nothing half written, nothing left running, the next run succeeds")
    whole, seconds = _whole(writer)
    rng = random.Random(writer.name)
    for start in range(0, count, CHAIN):
        with prepared() as folder:
            for number in range(start, min(start + CHAIN, count)):
                kill = rng.uniform(0, 1.05 * seconds), rng.choice(SIGNALS)
                outcome = writer.run(folder, kill=kill)
                case = f"{number}: {kill[1].name} after {kill[0]:.2f} s"
                tally.add(case, [*_faults_of_kill(outcome, kill[1]), *_half_written(writer, folder, whole)])
            outcome = writer.run(folder)
            if outcome.code or outcome.faults():
                tally.faults.append((f"refused after kills: {last_line(outcome.err)}", case))
            elif _visible(writer.written(folder)) != whole:
                tally.faults.append(("another result after kills, or something beside it", case))
    return tally


def _whole(writer: Writer) -> tuple[dict[str, str], float]:
    """What a run that nobody disturbs writes, and how long it takes once everything is in the system's cache."""
    outcomes = []
    for _ in range(2):
        with prepared() as folder:
            outcomes.append((writer.run(folder), writer.written(folder)))
    if any(outcome.code for outcome, _ in outcomes) or outcomes[0][1] != outcomes[1][1]:
        raise SystemExit(f"{writer.name} fails undisturbed, or writes something else each time: {outcomes}")
    return outcomes[1][1], outcomes[1][0].seconds


def _faults_of_kill(outcome: Outcome, number: signal.Signals) -> list[str]:
    """What the exit code, stderr and /proc say."""
    # before the first line of ours runs, Ctrl-C is Python's alone
    ours = "artifactlab" in outcome.err
    faults = [fault for fault in outcome.faults() if ours or not fault.startswith("raw")]
    expected = {-number, 128 + number, 0} if number != signal.SIGINT else {INTERRUPTED, 0, *(() if ours else (-2, 1))}
    if outcome.code not in expected and not faults:
        faults.append(f"exit code {outcome.code} on {number.name}: {last_line(outcome.err)}")
    return [f"{fault} ({number.name})" for fault in faults]


def _half_written(writer: Writer, folder: Path, whole: dict[str, str]) -> list[str]:
    found = _visible(writer.written(folder))
    return [f"{name} is half written" for name in found if name in whole and found[name] != whole[name]]


def _visible(found: dict[str, str]) -> dict[str, str]:
    """Without drafts by hidden names, which nobody can take away after SIGKILL."""
    return {name: digest for name, digest in found.items() if not any(p.startswith(".") for p in Path(name).parts)}


def full_disks(count: int) -> list[Tally]:
    """`count` disks that fill, for each command; and stdout that is full, or that nobody reads any more."""
    files = Tally("a disk that fills at a random byte: exit code 2, one line, everything as it was")
    for writer in WRITERS if count else ():
        rng = random.Random(writer.name)
        for number in range(count):
            kind = ("small file system" if number % 2 else "largest file") if _may_mount() else "largest file"
            with prepared() if kind == "largest file" else mounted() as folder:
                files.add(f"{writer.name} {number}: {kind}", _filled(writer, folder, kind, rng))
    return [files, *([_stdout()] if count else [])]


def _filled(writer: Writer, folder: Path, kind: str, rng: random.Random) -> list[str]:
    """Run it where its largest file does not fit; every second time over what an earlier run has written."""
    writer.run(folder)
    whole = writer.written(folder)
    largest = max((folder / name).stat().st_size for name in whole)
    if rng.random() < 0.5:
        for name in whole:
            (folder / name).unlink()
    earlier = writer.written(folder)
    if kind == "largest file":
        outcome = writer.run(folder, quiet=True, most_bytes=rng.randrange(largest))
    else:
        _fill(folder, rng.randrange(-(-largest // PAGE)))
        outcome = writer.run(folder, quiet=True)
        (folder / "images" / "filler").unlink()
    later = {name: digest for name, digest in writer.written(folder).items() if not name.endswith(".resume")}
    if outcome.code == 0 and later == whole:  # what an earlier run had taken was enough
        return outcome.faults()
    faults = outcome.refusal()
    if lost := [name for name in earlier if later.get(name) != earlier[name]]:
        faults.append(f"an earlier {Path(lost[0]).name} was lost or overwritten")
    if new := later.keys() - earlier.keys():
        faults.append(f"left behind: {', '.join(sorted(Path(name).suffix for name in new))}")
    return [f"{fault} ({writer.name})" for fault in faults]


def _fill(folder: Path, pages: int) -> None:
    """Leave only so many pages of a small file system."""
    free = os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize - pages * PAGE
    with (folder / "images" / "filler").open("wb") as file:
        file.write(bytes(max(free, 0)))


@contextmanager
def mounted() -> Iterator[Path]:
    """A `prepared` folder on a small file system of its own; for root alone."""
    with tempfile.TemporaryDirectory() as scratch:
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", scratch], check=True)
        try:
            folder = Path(scratch) / "desk"
            prepare(folder)
            yield folder
        finally:
            subprocess.run(["umount", "--lazy", scratch], check=True)


def _may_mount() -> bool:
    with tempfile.TemporaryDirectory() as scratch:
        command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", scratch]
        allowed = os.geteuid() == 0 and subprocess.run(command, capture_output=True).returncode == 0
        if allowed:
            subprocess.run(["umount", scratch], check=True)
    return allowed


def _stdout() -> Tally:
    """A full stdout is an error; a reader that has gone is none, and above all not a gate that has failed."""
    tally = Tally("stdout that is full, or whose reader has gone")
    with prepared() as folder:
        for arguments in STDOUT:
            with open("/dev/full", "wb") as full:
                outcome = run([*ARTIFACTLAB, *arguments], folder, stdout=full)
            tally.add(f"{' '.join(arguments)} > /dev/full", outcome.refusal())
            reader, pipe = os.pipe()
            os.close(reader)
            with os.fdopen(pipe, "wb") as gone:
                outcome = run([*ARTIFACTLAB, *arguments], folder, stdout=gone)
            faults = outcome.faults() or (["exit code 1, as of a gate"] if outcome.code == 1 else [])
            tally.add(f"{' '.join(arguments)} | true", faults)
    return tally
