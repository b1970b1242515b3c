"""Is a lattice in one corner of an image told, in the right place, and is nothing else accused?

Truth is by construction: a grid of known rms, or replication, in a square of known place; everything else is untouched.
Photos and scenes are those of `content.py`; `--split development` is what windows were tuned on.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

import cv2
import numpy as np
import torch
from content import PHOTOS, SEEDS, Image, periodic_scene, photo, scenes
from degradations import Degradation, grid, nearest, shrink
from publish import arguments, mark, markdown_table, publish
from validity_content import crops_of, eight_bit
from validity_textures import SCRIPTS, chessboard, screentone, text_page

from artifactlab import score_images
from artifactlab.metrics.visible import visible_grid
from artifactlab.scoring.score_report import ImageScore
from artifactlab.scoring.verdict import MADE_OF
from artifactlab.scoring.worst_window import WorstWindows

SIDES = (64, 128, 256)
"""Pixels per side of the square with a lattice in it."""
WHOLE = 384
"""Pixels per side of the images, or of what there is of a photo."""
STRENGTHS = (1, 2, 5)
"""Rms of grids, in 1/255."""
SCENES = 5
"""Rendered scenes that are planted in beside the photos."""
EACH = 8
"""Images that each defect is planted in, drawn from these, for each side of the square."""
SCALES = (1.0, 1.5, 2.0)
"""How many times photos are made smaller before they are looked at untouched; a smaller photo has sharper detail."""
TILE = 256
"""Pixels per side of the tiles of untouched photos."""
TEXTURES = 20
"""Images of each regular texture."""
PER_SCRIPT = 10
"""Pages of text in each script."""
WORST_RATE = 0.01
"""Share of images without a lattice that may be accused."""
WORST_COST = 4 / 3
"""Times as much CPU time that windows may take."""


class Planted(NamedTuple):
    """An image with a lattice in a square."""

    image: Image
    top: int
    left: int
    side: int


class Told(NamedTuple):
    """What was said of one image, or of a share of several."""

    alone: float
    """Whether severity over the whole image shows it."""
    window: float
    """Whether severity or the worst window does."""
    place: float
    """Whether at least half of the worst window lies in the square, and it shows."""


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--split", choices=list(PHOTOS), default="test")
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    contents = list(_contents(options.split))
    publish("worst_window", "\n\n".join(_parts(contents, options.split)), options.publish)


def _parts(contents: Sequence[Image], split: str) -> Iterator[str]:
    """The tables, each with a sentence above it, and what it costs."""
    yield (
        f"{split.capitalize()} split: photos and scenes of at most {WHOLE}x{WHOLE} pixels, a lattice in a square at a"
        f" random place of {EACH} of them. Shares told by severity over the whole image / with windows / with windows,"
        " and at least half of the worst one lies in the square:"
    )
    yield planted_table(contents, SEEDS[split])
    yield f"Untouched images, and textures that no decoder drew (target: windows add at most {WORST_RATE:.0%}):"
    yield alarms_table(split)
    yield cost(contents[:EACH])


def _contents(split: str) -> Iterator[Image]:
    """A crop of each photo, and scenes."""
    for name in PHOTOS[split]:
        yield crops_of(photo(name), WHOLE)[0]
    for _, scene in scenes(split, SCENES, WHOLE):
        yield scene.render()


def planted_table(contents: Sequence[Image], seed: int) -> str:
    """Per defect and side of its square: told by severity, with windows, and in the right place."""
    rows = []
    for name, strength, degradation in _defects():
        told = [_share(_planted_everywhere(contents, degradation, side, seed)) for side in SIDES]
        rows.append([name, strength, *(" / ".join(f"{share:.0%}" for share in cell) for cell in told)])
    return markdown_table(["defect", "its severity in the square", *(f"square of {side} px" for side in SIDES)], rows)


def _defects() -> Iterator[tuple[str, str, Degradation]]:
    """Name, severity inside as it follows from its rms and `visible_grid`, and the defect."""
    for period in (2, 4, 8):
        for strength in STRENGTHS:
            severity = (strength / 255 / visible_grid(period)) ** 2
            yield f"grid of {strength}/255 rms, period {period}", f"{severity:.1f}", grid(period, strength / 255)
    for factor in (2, 4):
        yield f"nearest x{factor}", "much", nearest(factor)


def _planted_everywhere(contents: Sequence[Image], defect: Degradation, side: int, seed: int) -> list[Told]:
    """What is said of each image with the defect at a random place."""
    rng = np.random.default_rng((seed, side))
    large = [image for image in contents if min(image.shape) >= side]
    cases = [_plant(large[number], defect, side, rng) for number in rng.permutation(len(large))[:EACH]]
    rows = _scored([case.image for case in cases])
    return [_told(row, case) for row, case in zip(rows, cases, strict=True)]


def _plant(image: Image, defect: Degradation, side: int, rng: np.random.Generator) -> Planted:
    top, left = (int(rng.integers(size - side + 1)) for size in image.shape)
    square = slice(top, top + side), slice(left, left + side)
    image = image.copy()
    image[square] = defect(image[square], rng)
    return Planted(image, top, left, side)


def _told(row: ImageScore, case: Planted) -> Told:
    alone, window = (_shows(row, metrics) for metrics in (MADE_OF[:1], MADE_OF))
    return Told(alone, window, window and _overlap(row, case) >= 0.5)


def _overlap(row: ImageScore, case: Planted) -> float:
    """Share of the worst window that lies in the square."""
    if row.window is None:
        return 0.0
    share = 1.0
    for first, start in ((row.window.top, case.top), (row.window.left, case.left)):
        share *= max(0, min(first + row.window.side, start + case.side) - max(first, start)) / row.window.side
    return share


def _share(told: Sequence[Told]) -> Told:
    return Told(*(float(np.mean(values)) for values in zip(*told, strict=True)))


def alarms_table(split: str) -> str:
    """How many images without a decoder's lattice are accused, by severity alone and with windows."""
    rows = []
    for name, images in _untouched(split):
        found = _scored(images)
        alone, window = (sum(_shows(row, metrics) for row in found) for metrics in (MADE_OF[:1], MADE_OF))
        more = (window - alone) / len(found)
        rows.append([name, str(len(found)), str(alone), str(window), _periods(found), mark(more <= WORST_RATE)])
    header = ["content", "images", "severity > 1", "... or worst_window > 1", "periods of the windows", "added <= 1%"]
    return markdown_table(header, rows)


def _periods(rows: Iterable[ImageScore]) -> str:
    """Of the windows that accuse an image that severity does not."""
    periods = [
        row.window.period for row in rows if _shows(row, MADE_OF) and not _shows(row, MADE_OF[:1]) and row.window
    ]
    return ", ".join(f"{periods.count(period)} of {period}" for period in sorted(set(periods))) or "-"


def _untouched(split: str) -> Iterator[tuple[str, list[Image]]]:
    """Photos at several scales whole and in tiles, text and textures."""
    photos = [photo(name) for name in PHOTOS[split]]
    for scale in SCALES:
        scaled = [shrink(image, scale) if scale > 1 else image for image in photos]
        yield f"photos, 1/{scale:g} of their size", scaled
        yield f"... in tiles of {TILE} px", [tile for image in scaled for tile in crops_of(image, TILE)]
    seed = SEEDS[split]
    yield "scenes", [scene.render() for _, scene in scenes(split, 4 * SCENES, TILE)]
    pages = [(script, seed + number) for script in SCRIPTS for number in range(PER_SCRIPT)]
    yield f"text, {len(SCRIPTS)} scripts", [text_page(script, number) for script, number in pages]
    for kind in ("cloth", "screen", "fence", "masonry"):
        yield f"{kind}, rendered", [periodic_scene(kind, seed + number) for number in range(TEXTURES)]
    yield "chessboards", [chessboard(seed + number, number % 2 == 0) for number in range(TEXTURES)]
    yield "screentone", [screentone(seed + number) for number in range(TEXTURES)]


def cost(contents: Sequence[Image]) -> str:
    """What windows add to the CPU time of a score with all metrics."""
    with patch("artifactlab.scoring.lattice_reading.worst_windows", lambda tile: WorstWindows()):
        without = _seconds(contents)
    ratio = _seconds(contents) / without
    return f"Windows take {ratio:.2f} times the CPU time of a score of all metrics without them (target: at most" + (
        f" {WORST_COST:.2f}; {mark(ratio <= WORST_COST)})."
    )


def _seconds(images: Sequence[Image]) -> float:
    """The shortest of three, as other programs only add to it."""
    return min(_timed(lambda: _scored(images, metrics=None)) for _ in range(3))


def _timed(call: Callable[[], object]) -> float:
    before = time.process_time()
    call()
    return time.process_time() - before


def _shows(row: ImageScore, metrics: Sequence[str]) -> bool:
    return any((row.scores[metric] or 0) > 1 for metric in metrics)


def _scored(images: Iterable[Image], metrics: Sequence[str] | None = MADE_OF) -> tuple[ImageScore, ...]:
    """As `artifactlab score` says it of files."""
    with tempfile.TemporaryDirectory() as folder:
        for number, image in enumerate(images):
            cv2.imwrite(str(Path(folder) / f"{number:05}.png"), np.round(eight_bit(image) * 255).astype(np.uint8))
        return score_images([folder], metrics=metrics).images


if __name__ == "__main__":
    main()
