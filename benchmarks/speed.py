"""What measuring costs: ratios to a peer or a floor, taken in one run, medians over repeats, one thread unless said."""

from __future__ import annotations

import itertools
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import skimage.data
import torch
import torch.nn.functional as F
from publish import arguments, markdown_table, publish

from artifactlab.attribution.sites.evidence import measure_evidence
from artifactlab.inputs.images import open_picture
from artifactlab.scoring import tiles
from artifactlab.scoring.lattice_reading import lattice_sums
from artifactlab.scoring.measures import METRICS, axis_sums, measure, replication_sums
from artifactlab.scoring.score import score_images

NO_REFERENCE = [name for name, metric in METRICS.items() if not metric.needs_reference]
REPEATS = 15
SCORED = """
import pathlib, re, sys
from artifactlab.scoring.score import score_images
report = score_images(sys.argv[1:])
assert not report.unreadable
# the process's own peak; ru_maxrss would begin with that of the parent it was forked from
print(int(re.search(r"VmHWM:\\s+(\\d+) kB", pathlib.Path("/proc/self/status").read_text())[1]) / 1024)
"""


def main() -> None:
    options = arguments(__doc__).parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = [*pictures(folder), *workers(folder), erqa(), evidence(), *large(folder)]
    header = ("cost", "target", "measured")
    publish("speed", markdown_table(header, rows) + "\n\n" + profile(), options.publish)


def megapixel(image: np.ndarray, side: int = 1024) -> np.ndarray:
    """A photo mirrored at its borders up to `side` pixels; its noise and detail stay what they are."""
    height, width = image.shape[:2]
    down, right = max(0, side - height), max(0, side - width)
    while down or right:
        image = np.pad(image, ((0, min(down, height - 1)), (0, min(right, width - 1)), (0, 0)), "reflect")
        height, width = image.shape[:2]
        down, right = max(0, side - height), max(0, side - width)
    return np.ascontiguousarray(image[:side, :side])


def photos() -> dict[str, np.ndarray]:
    names = ("astronaut", "coffee", "chelsea", "retina")
    return {name: megapixel(getattr(skimage.data, name)()[..., :3]) for name in names}


def pictures(folder: Path) -> list[tuple[str, str, str]]:
    ratios, reads = [], []
    for name, image in photos().items():
        file = folder / f"{name}.png"
        cv2.imwrite(str(file), image[..., ::-1])
        ours, floor = race(
            lambda f=file: measure(open_picture(f), None, NO_REFERENCE), lambda f=file: cv2.imread(str(f))
        )
        ratios.append(ours / floor)
        reads.append(floor)
    listed = ", ".join(f"{ratio:.1f}" for ratio in ratios)
    floor = statistics.median(reads)
    measured = f"{statistics.median(ratios):.2f} ({listed}); imread takes {1e3 * floor:.0f} ms"
    return [("score, all metrics, 1024x1024 PNG photos, over cv2.imread", "<= 3", measured)]


def workers(folder: Path) -> list[tuple[str, str, str]]:
    """Images per second once the processes run: the slope between two numbers of images."""
    file = next(folder.glob("*.png"))
    counts, seconds = (20, 100), {}
    for count in counts:
        place = folder / f"many{count}"
        place.mkdir()
        for k in range(count):
            (place / f"{k:03}.png").hardlink_to(file)
    ratios = []
    for _ in range(3):
        for number in (1, 2):
            took = []
            for count in counts:
                start = time.perf_counter()
                score_images([folder / f"many{count}"], workers=number)
                took.append(time.perf_counter() - start)
            seconds[number] = (took[1] - took[0]) / (counts[1] - counts[0])
        ratios.append(seconds[1] / seconds[2])
    ratio = statistics.median(ratios)
    return [
        (
            "throughput of --workers 2 over that of 1, two cores",
            ">= 1.8",
            f"{ratio:.2f} ({', '.join(f'{r:.2f}' for r in ratios)})",
        )
    ]


def erqa() -> tuple[str, str, str]:
    claim = "an image pair, all metrics, against erqa, times faster"
    try:
        from erqa import ERQA
    except ImportError:
        return claim, ">= 10", "erqa is not installed (pip install erqa)"
    image = photos()["astronaut"]
    blurred = cv2.GaussianBlur(image, (0, 0), 1)
    peer = ERQA()
    with tempfile.TemporaryDirectory() as name:
        files = [Path(name) / "a.bmp", Path(name) / "b.bmp"]
        for file, pixels in zip(files, (blurred, image), strict=True):
            cv2.imwrite(str(file), pixels)
        ours, theirs = race(
            lambda: measure(open_picture(files[0]), open_picture(files[1]), list(METRICS)),
            lambda: peer(blurred, image),
            5,
        )
    return claim, ">= 10", f"{theirs / ours:.1f} ({1e3 * theirs:.0f} ms against {1e3 * ours:.0f} ms, 1024x1024)"


def evidence() -> tuple[str, str, str]:
    image = torch.from_numpy(megapixel(skimage.data.astronaut(), 1024)).permute(2, 0, 1).float() / 255
    patches = [
        image[:, top : top + 128, left : left + 128] for top, left in itertools.product(range(0, 640, 128), repeat=2)
    ]
    mixed = torch.einsum("oi,ihw->ohw", torch.randn(64, 66, generator=torch.manual_seed(0)), torch.cat(patches[:22]))
    activation = F.relu(mixed)[None]
    weight = torch.randn(64, 64, 3, 3)
    ours, floor = race(
        lambda: measure_evidence(activation, (2.0, 2.0)), lambda: F.conv2d(activation, weight, padding=1)
    )
    claim = "all evidence on a 1x64x128x128 activation over one 3x3 convolution of it"
    return claim, "< 2", f"{ours / floor:.2f} ({1e3 * ours:.0f} ms)"


def large(folder: Path) -> list[tuple[str, str, str]]:
    huge, medium = folder / "huge.png", folder / "medium.png"
    cv2.imwrite(str(huge), megapixel(skimage.data.astronaut(), 10_000), [cv2.IMWRITE_PNG_COMPRESSION, 1])
    cv2.imwrite(str(medium), megapixel(skimage.data.coffee(), 2500)[:2300])
    peaks = [peak_mebibytes([huge]), peak_mebibytes([medium]), peak_mebibytes([medium] * 8)]
    tiled = measure(open_picture(medium), None, NO_REFERENCE)
    side, tiles.TILE = tiles.TILE, 3072
    whole = measure(open_picture(medium), None, NO_REFERENCE)
    tiles.TILE = side
    off = max(abs((tiled[name] or 0) - (whole[name] or 0)) for name in NO_REFERENCE)
    sides, times = (512, 1024, 2048, 4096), []
    for side in sides:
        file = folder / f"{side}.png"
        cv2.imwrite(str(file), megapixel(skimage.data.astronaut(), side)[..., ::-1])
        times.append(race(lambda f=file: measure(open_picture(f), None, NO_REFERENCE), lambda: None, 5)[0])
    slope = np.polyfit(np.log([s * s for s in sides]), np.log(times), 1)[0]
    listed = ", ".join(f"{1e3 * t:.0f}" for t in times)
    return [
        ("peak memory of scoring 100 megapixels", "< 1 GiB", f"{peaks[0] / 1024:.2f} GiB"),
        ("... of 1 and of 8 images of 5.8 megapixels", "equal", f"{peaks[1]:.0f} and {peaks[2]:.0f} MiB"),
        ("largest difference of tiled from whole, 5.8 megapixels, of a fraction or a pixel", "", f"{off:.1e}"),
        ("exponent of cost over pixels, 0.26 to 17 megapixels", "1", f"{slope:.2f} ({listed} ms)"),
    ]


def peak_mebibytes(files: list[Path]) -> float:
    """Of a process of its own; links stand for several images."""
    with tempfile.TemporaryDirectory(dir=files[0].parent) as name:
        links = [Path(name) / f"{k}.png" for k in range(len(files))]
        for link, file in zip(links, files, strict=True):
            link.hardlink_to(file)
        done = subprocess.run(
            [sys.executable, "-c", SCORED, *map(str, links)], capture_output=True, text=True, check=True
        )
    return float(done.stdout)


def profile() -> str:
    """Where the time of one image goes."""
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "a.png"
        cv2.imwrite(str(file), photos()["coffee"][..., ::-1])
        picture = open_picture(file)
        tile = next(tiles.cut_tiles(picture))
        parts: dict[str, Callable[[], object]] = {
            "reading": lambda: open_picture(file),
            "floats and luma": lambda: list(tiles.cut_tiles(picture)),
            "axes": lambda: axis_sums(tile),
            "lattices": lambda: lattice_sums(tile),
            "differences": lambda: replication_sums(tile),
        }
        spent = {part: race(function, lambda: None)[0] for part, function in parts.items()}
    listed = ", ".join(f"{part} {1e3 * seconds:.0f}" for part, seconds in spent.items())
    note = "a lattice that is found is measured once more"
    return f"Milliseconds per 1024x1024 photo, part by part ({note}): {listed}."


def race(ours: Callable[[], object], floor: Callable[[], object], repeats: int = REPEATS) -> tuple[float, float]:
    """Median CPU seconds of both, taken in turns, so that a noisy machine is as unfair to one as to the other."""
    times: tuple[list[float], list[float]] = ([], [])
    for function in (ours, floor):
        function()
    for _ in range(repeats):
        for function, found in zip((ours, floor), times, strict=True):
            start = time.process_time()
            function()
            found.append(time.process_time() - start)
    return statistics.median(times[0]), statistics.median(times[1])


if __name__ == "__main__":
    main()
