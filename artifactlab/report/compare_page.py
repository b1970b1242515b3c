"""A comparison as one HTML page that needs nothing else: the verdict, and the pairs that got worst to look at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import get_args

import cv2
from torch import Tensor

from artifactlab.comparing.changes import figures
from artifactlab.comparing.comparison import Comparison
from artifactlab.comparing.image_pairs import Became, ImagePair
from artifactlab.inputs.images import Picture
from artifactlab.metrics.local_screening import WINDOW
from artifactlab.printable import printable
from artifactlab.report.browsing import MOST_PICTURED, PICTURE_BYTES, SHOTS, Column, first_rows, rows_of
from artifactlab.report.compare_table import change_text, comparison_title
from artifactlab.report.originals import opened_by_name
from artifactlab.report.page_template import rendered
from artifactlab.report.page_views import ZOOMS
from artifactlab.report.shots import THUMB, Place, Zoom, fits, thumb_uri, zoom_of
from artifactlab.scoring.measures import METRICS
from artifactlab.serialize import program

SIDE = 128
"""Pixels per side of what the slider shows, twice a window: what is beside it tells what it is of."""
ZOOM = 4
"""Zoom at which it is opened."""
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Sliding:
    """The pictures of a pair."""

    whole: str
    """The image after, reduced, as a JPEG in a data URI."""
    width: int
    """Columns of the image itself."""
    height: int
    """Rows of the image itself."""
    place: Place
    """The part that the slider shows."""
    before: Zoom
    """It before."""
    after: Zoom
    """It after."""

    @property
    def size(self) -> int:
        """Bytes that it takes in a page."""
        return len(self.whole) + len(self.before.uri) + len(self.after.uri)


@dataclass(frozen=True)
class LookedPair:
    """One of the pairs that got worst, as the page has it."""

    row: int
    """Its place among all, the worst being 0."""
    name: str
    """What it is paired by."""
    word: Became
    """What became of it in a word."""
    changes: list[tuple[str, str, str, str]]
    """(metric, before, after, change) as text."""
    sliding: Sliding | None
    """Its pictures; None where the files are not there, or of two sizes."""


def compare_page(comparison: Comparison, progress: Progress | None = None) -> str:
    """The page: the verdict with its intervals, pairs under a slider, the worst regressions first, and a table of all.

    Args:
        comparison: what `artifactlab.compare` returned; pictures are of the files that are still there.
        progress: called with (pictures made, pictures in all).

    Returns:
        HTML of at most 20 MB, as `score_page`'s.
    """
    names = [metric.name for metric in comparison.metrics]
    table = rows_of(
        ((pair.after.path, pair.became, [pair.change(name) for name in names]) for pair in comparison.images),
        [Column(name, -1 if METRICS[name].better == "higher" else 1) for name in names if comparison.images],
        get_args(Became),
    )
    counts = {word: sum(pair.became == word for pair in comparison.images) for word in get_args(Became)}
    return rendered(
        "compare.html.j2",
        styles=("report.css", "browse.css"),
        scripts=("pairs.js", "browse.js"),
        comparison=comparison,
        title=printable(comparison_title(comparison)),
        counts=[(word, count) for word, count in counts.items() if count],
        metrics=[
            (metric, _figure(metric.before), _figure(metric.after), change_text(metric))
            for metric in comparison.metrics
        ],
        looked=_looked(comparison.images[: len(table.rows)], names, progress),
        table=table,
        first=first_rows(table),
        shots=SHOTS,
        zooms=ZOOMS,
        zoom=ZOOM,
        data=table.data,
        version=program()["version"],
        said="Became",
    )


def _looked(pairs: Sequence[ImagePair], names: Sequence[str], progress: Progress | None) -> list[LookedPair]:
    """The pairs that got worst with their pictures, as far as there is room."""
    chosen, spent = pairs[:MOST_PICTURED], 0
    looked: list[LookedPair] = []
    for row, pair in enumerate(chosen):
        sliding = _sliding(pair)
        spent += 0 if sliding is None else sliding.size
        if spent > PICTURE_BYTES:
            break
        changes = [_change(pair, name) for name in names]
        looked.append(LookedPair(row, printable(pair.stem), pair.became, changes, sliding))
        if progress is not None:
            progress(row + 1, len(chosen))
    return looked


def _change(pair: ImagePair, name: str) -> tuple[str, str, str, str]:
    change = pair.change(name)
    before, after = pair.scores[name]
    return name, _figure(before), _figure(after), "?" if change is None else figures(change, "+")


def _figure(value: float | None) -> str:
    return "?" if value is None else figures(value)


def _sliding(pair: ImagePair) -> Sliding | None:
    """The pictures of a pair; two sizes have no place in common."""
    before, after = opened_by_name(pair.before.path), opened_by_name(pair.after.path)
    if before is None or after is None or before.size != after.size:
        return None
    place = _place(pair, before, after)
    height, width = after.size
    parts = [_colours(side, place) for side in (before, after)]
    return Sliding(
        thumb_uri(after, THUMB), width, height, place, zoom_of("before", parts[0]), zoom_of("after", parts[1])
    )


def _colours(picture: Picture, place: Place) -> Tensor:
    top, left, side = place
    return picture.pixels(slice(top, top + side), slice(left, left + side))


def _place(pair: ImagePair, before: Picture, after: Picture) -> Place:
    """Around the worst window of the side that is worse; where there is none, where the two differ most."""
    worse_first = [pair.after, pair.before] if (pair.worsened or 0.0) > 0 else [pair.before, pair.after]
    windows = [side.window for side in worse_first if side.window is not None and fits(side.window, after)]
    top, left, side = windows[0] if windows else most_different(before, after)
    wide = min(SIDE, *after.size)
    centre = top + side // 2 - wide // 2, left + side // 2 - wide // 2
    rows, columns = (max(0, min(at, length - wide)) for at, length in zip(centre, after.size, strict=True))
    return rows, columns, wide


def most_different(before: Picture, after: Picture) -> Place:
    """The window in which two images of one size differ most, by the mean of what their pixels differ by."""
    side = min(WINDOW, *after.size)
    differences = (before.pixels() - after.pixels()).abs().mean(0).numpy()
    # anchored at the first pixel: the mean of the window that begins there
    means = cv2.boxFilter(differences, -1, (side, side), anchor=(0, 0))
    inside = means[: means.shape[0] - side + 1, : means.shape[1] - side + 1]
    top, left = divmod(int(inside.argmax()), inside.shape[1])
    return top, left, side
