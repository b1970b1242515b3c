"""What a notebook shows of a record: what it comes to, the worst ten, and pictures where the files are there."""

from __future__ import annotations

from collections.abc import Sequence

from artifactlab.attribution.diagnosis import Diagnosis
from artifactlab.comparing.changes import figures
from artifactlab.comparing.comparison import Comparison
from artifactlab.comparing.image_pairs import ImagePair
from artifactlab.printable import printable
from artifactlab.report.compare_table import change_text
from artifactlab.report.originals import opened_by_name
from artifactlab.report.page_template import rendered
from artifactlab.report.score_table import conclusion, shown_metrics
from artifactlab.report.score_words import score_words
from artifactlab.report.shots import thumb_uri
from artifactlab.report.worst import worst_first
from artifactlab.scoring.score_report import ImageScore, ScoreReport

MOST = 10
"""Rows of a card: what one sees without scrolling."""
THUMB = 96
"""Pixels of the longer side of a picture in a card; ten are 30 KB of a notebook."""
Row = tuple[str | None, list[str], str]
"""Picture or None, cells, and what is said when the pointer rests on it."""


def score_card(report: ScoreReport) -> str:
    """The conclusion and the worst images, as HTML for a notebook.

    >>> from artifactlab.scoring import ImageScore, ScoreReport
    >>> row = ImageScore("<b>.png", {"severity": 4.0}, None)
    >>> card = score_card(ScoreReport((row,), {"severity": {}}, None, {"metrics": ["severity"], "periods": [2, 16]}))
    >>> "&lt;b&gt;.png" in card, "<b>" in card
    (True, False)
    """
    names = shown_metrics(report)
    rows = [_score_row(image, names) for image in worst_first(report)[:MOST]]
    return html_card(conclusion(report).plain, ["image", "verdict", *names], rows, _more(len(report.images), "images"))


def comparison_card(comparison: Comparison) -> str:
    """The verdict, the metrics, and below them the images that got worst, as HTML for a notebook."""
    metrics: list[Row] = [
        (
            None,
            [each.name, _figure(each.before), _figure(each.after), change_text(each), each.verdict],
            each.reason or "",
        )
        for each in comparison.metrics
    ]
    card = html_card(comparison.text, ["metric", "before", "after", "change", "verdict"], metrics)
    if not comparison.images:
        return card
    names = [metric.name for metric in comparison.metrics]
    rows = [_pair_row(pair, names) for pair in comparison.images[:MOST]]
    return card + html_card("", ["image", "became", *names], rows, _more(len(comparison.images), "images"))


def diagnosis_card(diagnosis: Diagnosis) -> str:
    """The main finding and the sites, as HTML for a notebook; the page and the figures have the pictures."""
    rows: list[Row] = [
        (None, [diagnosis.handles[found.site.key], found.verdict, figures(found.effect.value, "+")], found.site.key)
        for found in diagnosis.sites[:MOST]
    ]
    finding = f"{diagnosis.doubt} {diagnosis.heading}".strip()
    return html_card(finding, ["site", "verdict", "effect on severity"], rows, _more(len(diagnosis.sites), "sites"))


def _score_row(image: ImageScore, names: Sequence[str]) -> Row:
    cells = [printable(image.path), image.verdict or "not scored", *(_figure(image.scores[name]) for name in names)]
    return _picture(image.path), cells, score_words(image)


def _pair_row(pair: ImagePair, names: Sequence[str]) -> Row:
    changes = [pair.change(name) for name in names]
    cells = [printable(pair.stem), pair.became, *("?" if x is None else figures(x, "+") for x in changes)]
    return _picture(pair.after.path), cells, printable(pair.after.path)


def _picture(path: str) -> str | None:
    picture = opened_by_name(path)
    return None if picture is None else thumb_uri(picture, THUMB)


def _figure(value: float | None) -> str:
    return "?" if value is None else figures(value)


def _more(count: int, what: str) -> str:
    return f"The worst {MOST} of {count} {what}; .to_frame() has all." if count > MOST else ""


def html_card(title: str, heads: Sequence[str], rows: Sequence[Row], below: str = "") -> str:
    """A title, a table of rows, and a sentence below it, as HTML."""
    pictured = any(picture for picture, _, _ in rows)
    return rendered("card.html.j2", (), (), title=title, heads=heads, rows=rows, pictured=pictured, below=below)
