"""What an image costs with each engine of `score`: worker processes on this machine, and Ray Data on a cluster of it.

Each run is a process of its own; its processor time is that of all processes it has started, read while they are alive.
A run of few images and one of many tell what starting costs and what each image does: their difference is images alone.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from publish import arguments, mark, markdown_table, publish

from artifactlab.inputs.sources import ImageFile
from artifactlab.scoring.engines import ENGINES
from artifactlab.scoring.rows import Job
from artifactlab.scoring.score import chosen_metrics
from artifactlab.scoring.score_report import ImageScore

SIDE = 256
WORKERS = 2
FEW = 24
"""Images of the shorter run; the longer one has `--images` more."""
TARGET = 1.1
"""Processor time of an image by Ray, over that of the process pool."""
TICK = os.sysconf("SC_CLK_TCK")


class Run(NamedTuple):
    """What the first rows of a run took, in seconds."""

    cpu: float
    wall: float
    rows: str


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--images", type=int, default=300, help="how many tell what one costs")
    parser.add_argument("--one", nargs=3, metavar=("ENGINE", "COUNT", "FOLDER"), help="one run, as JSON")
    options = parser.parse_args()
    if options.one is not None:
        print(json.dumps(one_run(options.one[0], int(options.one[1]), Path(options.one[2]))))
        return
    with tempfile.TemporaryDirectory() as folder:
        draw(Path(folder))
        counts = (FEW, FEW + options.images)
        runs = {(name, count): apart(name, count, folder) for count in counts for name in ("processes", "ray")}
    publish("engines", table(runs, *counts), options.publish)


def table(runs: dict[tuple[str, int], Run], fewer: int, more: int) -> str:
    """A row per engine."""
    rows, each = [], {}
    for name in ("processes", "ray"):
        few, many = runs[name, fewer], runs[name, more]
        each[name] = (many.cpu - few.cpu) / (more - fewer)
        starting = few.cpu - fewer * each[name]
        rate = (more - fewer) / (many.wall - few.wall)
        over = each[name] / each["processes"]
        reached = mark(over <= TARGET) if name == "ray" else ""
        cost = f"{1000 * each[name]:.0f} ms"
        rows.append((name, cost, f"{over:.2f}", reached, f"{starting:.1f} s", f"{rate:.1f}"))
    same = runs["processes", more].rows == runs["ray", more].rows
    header = ("engine", "processor time per image", f"over processes (<= {TARGET})", "", "starting", "images/s")
    said = "the same to the bit" if same else "**different**"
    of = f"{more - fewer} images of {SIDE}x{SIDE}, {WORKERS} workers"
    return f"{markdown_table(header, rows)}\n\n{of}; the rows are {said}."


def apart(engine: str, count: int, folder: str) -> Run:
    """A run in a process of its own."""
    command = [sys.executable, __file__, "--one", engine, str(count), folder]
    # Ray's workers give way to all others by default, which would make them look slow on a machine that is in use
    environment = {**os.environ, "RAY_worker_niceness": "0"}
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return Run(*json.loads(done.stdout.splitlines()[-1]))


def one_run(engine: str, count: int, folder: Path) -> Run:
    """Score images, and tell what it took before anything is ended."""
    files = sorted(folder.glob("*.png"))
    metrics = chosen_metrics(None, None)
    jobs = [Job(ImageFile(files[n % len(files)]), None, metrics, 10**9) for n in range(count)]
    begun = time.monotonic()
    found: list[tuple[int, ImageScore]] = []
    seen: dict[int, int] = {}
    with ENGINES[engine](jobs, WORKERS) as rows:
        for row in rows:
            found.append(row)
            note_times(seen)
            if len(found) == count:
                return Run(sum(seen.values()) / TICK, time.monotonic() - begun, repr(sorted(found, key=itemgetter(0))))
    raise SystemExit(f"{engine} gave {len(found)} rows for {count} images")


def note_times(seen: dict[int, int]) -> None:
    """Note the processor time of this process and of all that descend from it, by their numbers.

    At every row, as Ray ends its actors when the last batch is done, before its rows are read; and by their parents, as
    it writes titles over the environment of its workers.
    """
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended meanwhile
            found[int(process.name)] = (process / "stat").read_text().rpartition(")")[2].split()
    family = {os.getpid()}
    while more := {pid for pid, fields in found.items() if int(fields[1]) in family} - family:
        family |= more
    seen.update({pid: int(found[pid][11]) + int(found[pid][12]) for pid in family})


def draw(folder: Path) -> None:
    """A few images, half of them enlarged by repeating pixels."""
    rng = np.random.default_rng(0)
    for number in range(FEW):
        noise = cv2.GaussianBlur(rng.normal(size=(SIDE, SIDE, 3)), (0, 0), 3)
        image = (128 + 40 * noise / noise.std()).clip(0, 255).astype(np.uint8)
        image = image[::2, ::2].repeat(2, 0).repeat(2, 1) if number % 2 else image
        cv2.imwrite(str(folder / f"{number:03}.png"), image)


if __name__ == "__main__":
    main()
