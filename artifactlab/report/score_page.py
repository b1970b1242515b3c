"""A score report as one HTML page that needs nothing else: the worst images to look at, and all in a table."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from artifactlab.inputs.sources import Source
from artifactlab.printable import printable
from artifactlab.report.browsing import MOST_PICTURED, PICTURE_BYTES, SHOTS, Column, common_folder, first_rows, rows_of
from artifactlab.report.histograms import Histogram, histogram
from artifactlab.report.originals import opened, originals_of
from artifactlab.report.page_template import rendered
from artifactlab.report.score_table import conclusion
from artifactlab.report.score_words import score_words
from artifactlab.report.shots import Shot, fits, shot_of
from artifactlab.report.worst import worst_first
from artifactlab.scoring.gates import Gate, parse_gate
from artifactlab.scoring.measures import METRICS
from artifactlab.scoring.score_report import ImageScore, ScoreReport
from artifactlab.scoring.verdict import DEFAULT_GATES
from artifactlab.serialize import program

NOT_SCORED = "not scored"
WORDS = ("shows", "cannot tell", "clean", NOT_SCORED, "no verdict")
"""What can be said of an image; the last where severity was not measured."""
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Looked:
    """One of the worst images, as the page has it."""

    row: int
    """Its place among all, the worst being 0."""
    name: str
    """Its path from the folder that all are in."""
    word: str
    """What is said of it in a word."""
    words: str
    """The same in a sentence."""
    note: str | None
    """What else may be behind a score."""
    numbers: list[tuple[str, str]]
    """(metric, score) as text."""
    shot: Shot | None
    """Its pictures; None where the file is not there."""


def score_page(report: ScoreReport, progress: Progress | None = None) -> str:
    """The page: the worst images first, with what is explained of each, histograms with gates, and a table of all.

    It works by keyboard, in the dark, and without scripts as far as its first page goes; its content security policy
    forbids it to load or send anything.

    Args:
        report: what `artifactlab.score_images` returned; pictures are of the files that are still there.
        progress: called with (pictures made, pictures in all).

    Returns:
        HTML of at most 20 MB: pictures of the worst 200 images as far as there is room, rows of some 50,000.

    >>> from artifactlab.scoring import ImageScore, ScoreReport
    >>> row = ImageScore("a.png", {"severity": 4.0}, None)
    >>> page = score_page(ScoreReport((row,), {"severity": {}}, None, {"metrics": ["severity"], "periods": [2, 16]}))
    >>> page.startswith("<!DOCTYPE html>"), "src=\\"http" in page
    (True, False)
    """
    images = worst_first(report)
    names = list(report.config["metrics"])
    table = rows_of(
        ((image.path, _word(image), [image.scores[name] for name in names]) for image in images),
        [Column(name, -1 if METRICS[name].better == "higher" else 1) for name in names],
        WORDS,
    )
    gates = _gates(report)
    return rendered(
        "score.html.j2",
        styles=("report.css", "browse.css"),
        scripts=("pairs.js", "browse.js"),
        report=report,
        title=printable(", ".join(map(str, report.config.get("paths", [])))) or "scores",
        conclusion=conclusion(report).plain,
        counts=[(word, sum(_word(image) == word for image in images)) for word in WORDS],
        failures=[(str(gate), _failed(report, gate)) for gate in gates if _failed(report, gate)],
        histograms=_histograms(report, gates),
        looked=_looked(images[: len(table.rows)], report, progress),
        table=table,
        first=first_rows(table),
        shots=SHOTS,
        data=table.data,
        version=program()["version"],
        said="Verdict",
    )


def _word(image: ImageScore) -> str:
    return NOT_SCORED if image.error is not None else image.verdict or "no verdict"


def _gates(report: ScoreReport) -> list[Gate]:
    """Those that were asked for, and those that the verdict is made of."""
    asked = [parse_gate(text) for text in report.config.get("gates", [])]
    return list(dict.fromkeys([*asked, *(gate for gate in DEFAULT_GATES if gate.metric in report.config["metrics"])]))


def _failed(report: ScoreReport, gate: Gate) -> int:
    """Images that meet a gate's condition."""
    return sum(gate.fails(image.scores[gate.metric]) for image in report.images)


def _histograms(report: ScoreReport, gates: Sequence[Gate]) -> list[Histogram]:
    found = []
    for name in report.config["metrics"]:
        scores = [score for image in report.images if (score := image.scores[name]) is not None]
        found.append(histogram(name, METRICS[name].unit, scores, [gate for gate in gates if gate.metric == name]))
    return [each for each in found if each is not None]


def _looked(images: Sequence[ImageScore], report: ScoreReport, progress: Progress | None) -> list[Looked]:
    """The worst images with their pictures, as far as there is room."""
    original, common = originals_of(report), common_folder([image.path for image in report.images])
    looked: list[Looked] = []
    spent, chosen = 0, [image for image in images if image.error is None][:MOST_PICTURED]
    for row, image in enumerate(chosen):
        shot = _shot(image, *original(image.path))
        spent += 0 if shot is None else shot.size
        if spent > PICTURE_BYTES:
            break
        looked.append(
            Looked(
                row=row,
                name=printable(os.path.relpath(image.path, common) if common else image.path),
                word=_word(image),
                words=score_words(image),
                note=image.note,
                numbers=[(name, "?" if x is None else f"{x:.4g}") for name, x in image.scores.items()],
                shot=shot,
            )
        )
        if progress is not None:
            progress(row + 1, len(chosen))
    return looked


def _shot(image: ImageScore, source: Source | None, reference: Source | None) -> Shot | None:
    picture = opened(source)
    if picture is None:
        return None
    found, place = image.window, None
    if found is not None:
        place = found.top, found.left, found.side
        if not fits(place, picture):
            return None  # another file has taken its name
    period = found.period if found is not None else int(image.scores.get("period") or 0)
    return shot_of(picture, place, period, opened(reference))
