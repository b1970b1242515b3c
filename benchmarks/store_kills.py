"""Does a store lose or double a row? `python benchmarks/store_kills.py`; for Linux, as it looks into /proc.

`score --store --resume` is killed at random moments, and started again until it is done. A metric of a package made
here notes each image that is begun, so that what was lost is counted by the file system, and by none of our code.

Where workers are not what matters, the command is forked from here, where everything is imported: the moments before
its first image, which take seconds, have nothing to lose.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from publish import arguments, markdown_table, publish
from robustness_processes import ARTIFACTLAB, ENVIRONMENT, GRACE, Tally, members

from artifactlab.cli.main import main as main_command

IMAGES = 120
SIDE = 64
IN_FLIGHT = {1: 1, 2: 4}
"""images that a kill may lose, by workers: the one it is on; of each of two also one on its way to the store"""
LOOK = 0.001
"""seconds between two looks at how far it is"""
MOST_SECONDS = 120.0
METRIC = """
import os
import torch
from artifactlab.scoring import Metric

def begun(tile):
    mark = os.open(os.environ["BEGUN"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(mark, b".")
    os.close(mark)
    return torch.zeros(1)

def read(sums):
    return sums[0]

BEGUN = Metric(sums=begun, read=read, unit="", description="notes that an image was begun", better=None)
"""


class Run(Protocol):
    """A command that was started, see `subprocess.Popen`."""

    pid: int
    returncode: int | None

    def poll(self) -> int | None: ...

    def wait(self) -> int: ...


class Forked:
    """A command in a process that has all of this one, in a session of its own."""

    def __init__(self, desk: Desk, arguments: list[str]) -> None:
        self.returncode: int | None = None
        ready, told = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.setsid()
                os.close(told)
                os.chdir(desk.folder)
                os.environ.update(desk.environment)
                os.dup2(os.open("stderr", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
                main_command(arguments)
            except SystemExit as ended:
                os._exit(ended.code if isinstance(ended.code, int) else 0)
            finally:
                os._exit(99)
        os.close(told)
        os.read(ready, 1)  # until it has a session of its own
        os.close(ready)

    def poll(self) -> int | None:
        return self._ended(os.WNOHANG)

    def wait(self) -> int:
        return self._ended(0) or 0

    def _ended(self, options: int) -> int | None:
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, options)
            self.returncode = os.waitstatus_to_exitcode(status) if pid else None
        return self.returncode


class Desk:
    """A folder with images, a package and a store, and the command that is run there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        package = folder / "package" / "begun-1.0.dist-info"
        package.mkdir(parents=True)
        (package / "METADATA").write_text("Metadata-Version: 2.1\nName: begun\nVersion: 1.0\n")
        (package / "entry_points.txt").write_text("[artifactlab.metrics]\nbegun = begun_metric:BEGUN\n")
        (folder / "package" / "begun_metric.py").write_text(METRIC)
        (folder / "images").mkdir()
        for number in range(IMAGES):
            noise = np.random.default_rng(number).integers(0, 255, (SIDE, SIDE, 3), dtype=np.uint8)
            cv2.imwrite(str(folder / "images" / f"{number:03}.png"), noise)
        known = ENVIRONMENT.get("PYTHONPATH")
        path = os.pathsep.join(filter(None, [str(folder / "package"), known]))
        self.environment = {**ENVIRONMENT, "PYTHONPATH": path, "BEGUN": str(folder / "begun")}

    def command(self, workers: int, *more: str) -> list[str]:
        """The arguments of the command."""
        metrics = ["--metric", "begun", "--metric", "axis_excess"]
        return ["score", "images", *metrics, "-o", "report.json", "--workers", str(workers), *more]

    def started(self, arguments: list[str]) -> Run:
        """The command as users start it, in a session of its own."""
        with (self.folder / "stderr").open("w") as stderr:
            return subprocess.Popen(
                [*ARTIFACTLAB, *arguments],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stderr=stderr,
                start_new_session=True,
            )

    def forked(self, arguments: list[str]) -> Run:
        """The same, as far as it goes once everything is imported."""
        return Forked(self, arguments)

    def said(self) -> str:
        """What it has written to stderr."""
        return (self.folder / "stderr").read_text()

    def begun(self) -> int:
        """How many images were begun since the store is there."""
        mark = self.folder / "begun"
        return mark.stat().st_size if mark.exists() else 0

    def rows(self) -> list[str]:
        """The images that have a row, each as often as it has one; torn lines have none."""
        found = []
        for part in (self.folder / "rows").glob("part-*.jsonl"):
            found += [json.loads(line)["path"] for line in part.read_bytes().split(b"\n")[:-1]]
        return found

    def clear(self) -> None:
        """As before the first run."""
        shutil.rmtree(self.folder / "rows", ignore_errors=True)
        (self.folder / "begun").unlink(missing_ok=True)


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--kills", type=int, default=50, metavar="N", help="of the run; of two workers a 25th of it")
    options = parser.parse_args()
    few = options.kills // 25
    with tempfile.TemporaryDirectory() as scratch:
        desk = Desk(Path(scratch))
        sys.path.insert(0, str(desk.folder / "package"))  # for what is forked
        whole = _undisturbed(desk)
        cases = (
            ("kill -9 of the run", options.kills, 1, _kill, -signal.SIGKILL),
            ("Ctrl-C", options.kills, 1, _interrupt, 130),
            ("kill -9 of the run, two workers", few, 2, _kill, -signal.SIGKILL),
            ("Ctrl-C, two workers", few, 2, _interrupt, 130),
            ("kill -9 of one of two workers", few, 2, _kill_worker, 0),
        )
        rows = []
        for case in cases:
            rows.append(_tried(desk, whole, *case))
            print(*rows[-1], sep=" | ", file=sys.stderr, flush=True)
    header = ("what", "tried", "images lost at once, at most", "rows lost", "doubled", "other reports", "other faults")
    publish("store_kills", markdown_table(header, rows), options.publish)


def _undisturbed(desk: Desk) -> list[object]:
    """The images of the report that nobody disturbs and no store has seen."""
    desk.forked(desk.command(1)).wait()
    return _images(desk)


def _images(desk: Desk) -> list[object]:
    images: list[object] = json.loads((desk.folder / "report.json").read_text())["images"]
    return images


def _tried(
    desk: Desk,
    whole: list[object],
    what: str,
    count: int,
    workers: int,
    disturb: Callable[[Run], None],
    expected: int,
) -> tuple[str, ...]:
    """Disturb the run that often, at random moments; whenever it has come to its end, look at all and begin anew."""
    chance, tally = random.Random(what), Tally(what)
    lost = gone = doubled = reports = 0
    desk.clear()
    while tally.tried < count:
        before, begun = Counter(desk.rows()), desk.begun()
        (desk.folder / "report.json").unlink(missing_ok=True)
        arguments = desk.command(workers, "--store", "rows", "--resume")
        process = desk.forked(arguments) if workers == 1 else desk.started(arguments)
        _wait(desk, process, begun + chance.randint(1, IMAGES // 3), chance.uniform(0, 0.02))
        if process.poll() is None:
            disturb(process)
            tally.add(str(tally.tried), _faults(desk, process, expected))
        else:
            process.wait()
        after = Counter(desk.rows())
        gone += (before - after).total()
        lost = max(lost, desk.begun() - begun - (after - before).total())
        doubled += sum(number - 1 for number in after.values())
        if (desk.folder / "report.json").exists():
            reports += _images(desk) != whole or len(after) != IMAGES
            desk.clear()
    for fault, case in tally.faults:
        print(f"{what} {case}: {fault}")
    within = f"{lost} of {IN_FLIGHT[workers]}" if lost <= IN_FLIGHT[workers] else f"**{lost}**"
    return what, str(tally.tried), within, str(gone), str(doubled), str(reports), str(len(tally.faults))


def _wait(desk: Desk, process: Run, begun: int, longer: float) -> None:
    """Until so many images were begun, and a moment longer, or it has come to its end."""
    end = time.monotonic() + MOST_SECONDS
    while desk.begun() < begun and process.poll() is None and time.monotonic() < end:
        time.sleep(LOOK)
    time.sleep(longer)


def _faults(desk: Desk, process: Run, expected: int) -> list[str]:
    """What exit code, stderr and /proc say; it may have been at its end already."""
    process.wait()
    said = desk.said()
    end = time.monotonic() + GRACE
    while (left := members(process.pid)) and time.monotonic() < end:
        time.sleep(0.05)
    found = [f"{len(left)} processes left running"] if left else []
    found += [f"exit code {process.returncode}: {said[-200:]}"] if process.returncode not in (expected, 0) else []
    return found + (["a traceback"] if "Traceback" in said else [])


def _kill(process: Run) -> None:
    os.kill(process.pid, signal.SIGKILL)


def _interrupt(process: Run) -> None:
    """As a terminal does."""
    os.killpg(process.pid, signal.SIGINT)


def _kill_worker(process: Run) -> None:
    """One of those that hold most: the others are Python's own helper, which takes none."""
    held = members(process.pid)
    others = sorted((pid for pid in held if pid != process.pid), key=lambda pid: -held[pid])[:2]
    if others:
        os.kill(random.Random(len(held)).choice(others), signal.SIGKILL)


if __name__ == "__main__":
    main()
