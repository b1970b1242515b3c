"""A score report as text: a table for people, JSON, JSON lines and CSV for programs."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Sequence
from itertools import chain

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from artifactlab.printable import printable
from artifactlab.report.gate_formats import render_github, render_junit
from artifactlab.report.terminal import Fitting, as_text, literal
from artifactlab.scoring.measures import METRICS
from artifactlab.scoring.score_report import PLACE, ImageScore, ScoreReport
from artifactlab.scoring.severity import VISIBLE
from artifactlab.scoring.verdict import Verdict
from artifactlab.serialize import json_data

WIDTH = 80
"""Columns of the text, which every terminal and mail has."""
IN_THE_TABLE = ("severity", "worst_window", "period", "edge_jaggedness", "lattice_amplitude")
"""Metrics that the table shows of all, as a terminal has room for; files have the others, and so has `--metric`."""
VERDICTS: dict[Verdict, str] = {"shows": "Artifacts show in", "cannot tell": "cannot tell", "clean": "clean"}
"""What the last line says, before how many images that is said of."""
SUMMARY = ("mean", "median", "max")
"""Rows below the images, each a key of the summary."""
FORMULA = re.compile(r"[\s\x00-\x1f]*[=+\-@|%\uff1d\uff0b\uff0d\uff20]|\s")
"""How a cell starts that a spreadsheet computes (also in full width), or may once it has stripped blanks."""
QUOTED = re.compile(r"""[,;"'\s\x00-\x1f\x7f-\x9f\u2028\u2029]""")
"""What some reader takes for the end of a cell or a line."""


def score_table(report: ScoreReport, top: int | None = None) -> Fitting:
    """The scores of every image, or of the first `top`, and a summary at the end."""
    return Fitting(_table(report, top), _stacked(report, top))


def shown_metrics(report: ScoreReport) -> list[str]:
    """The metrics that were asked for; of all of them, those that the verdict is made of."""
    names = report.config["metrics"]
    usual = [name for name in names if name in IN_THE_TABLE or METRICS[name].needs_reference]
    return usual if set(IN_THE_TABLE) < set(names) else list(names)


def conclusion(report: ScoreReport) -> Text:
    """How many images show something, and which is worst."""
    said = {word: report.with_verdict(word) for word in VERDICTS}
    if not any(said.values()):
        return Text("No verdict: severity was not measured.")
    text = ", ".join(f"{VERDICTS[word]} {len(images)}" for word, images in said.items() if images) + "."
    if said["shows"]:
        worst = max(said["shows"], key=lambda image: image.scores.get("worst_window") or image.scores["severity"] or 0)
        text += f" The worst is {printable(worst.path)}{_where(worst)}."
    return Text(text)


def _where(image: ImageScore) -> str:
    """Where its worst window is, if something shows there."""
    window = image.window
    if window is None or window.severity <= VISIBLE:
        return ""
    place = f"rows {window.top} to {window.top + window.side}, columns {window.left} to {window.left + window.side}"
    return f" ({place}: severity {window.severity:.1f}, period {window.period})"


def _table(report: ScoreReport, top: int | None) -> Table:
    """A row per image, and a summary at the end."""
    names = shown_metrics(report)
    folder = _common_folder(report)
    table = Table(
        title=literal(f"{len(report.images)} images in {folder or '.'}"),
        title_justify="left",
        box=None,
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
    table.add_column("image", overflow="fold", min_width=8)
    table.add_column("verdict", no_wrap=True)
    for name in names:
        table.add_column(name.replace("_", "\n"), justify="right", no_wrap=True)
    for image in report.images[:top]:
        table.add_row(_label(image, folder), _word(image), *(_number(image.scores[name]) for name in names))
    table.add_row()
    for row in SUMMARY:
        table.add_row(Text(row, style="bold"), "", *(_number(report.summary[name][row]) for name in names))
    return table


def _word(image: ImageScore) -> Text:
    """Its verdict, or that there is an error, which has a line of its own; nothing where severity was not measured."""
    word = "error" if image.error is not None else image.verdict or ""
    return Text(word, style="red" if word in ("shows", "error") else "")


def _stacked(report: ScoreReport, top: int | None) -> Group:
    """The same with each image's scores below its name."""
    names, folder = shown_metrics(report), _common_folder(report)
    parts: list[RenderableType] = [literal(f"{len(report.images)} images in {folder or '.'}", "italic")]
    rows = [(Text(" ").join([_label(image, folder), _word(image)]), image.scores) for image in report.images[:top]]
    rows += [(Text(row, style="bold"), {name: report.summary[name][row] for name in names}) for row in SUMMARY]
    for label, scores in rows:
        numbers = ", ".join(f"{name} {_number(scores[name])}" for name in names)
        parts += [label, Padding(Text(numbers), (0, 0, 0, 4))]
    return Group(*parts)


def render_table(report: ScoreReport, top: int | None = None) -> str:
    """The table as text of 80 columns, or of fewer where the terminal is narrower, and what it comes to."""
    errors = [literal(image.error, "red") for image in report.images[:top] if image.error is not None]
    shown = Group(score_table(report, top), Text(), *errors, *([Text()] if errors else []), conclusion(report))
    return as_text(shown, min(WIDTH, shutil.get_terminal_size().columns))


def _render_json(report: ScoreReport) -> str:
    return report.to_json() + "\n"


def _render_jsonl(report: ScoreReport) -> str:
    """A line for each image; one after the other, as there may be millions."""
    return "".join(json.dumps(json_data(image.to_dict()), allow_nan=False) + "\n" for image in report.images)


def _render_csv(report: ScoreReport) -> str:
    """Columns path, verdict, one per metric, where the worst window is, error, note; empty where there is no value."""
    names = report.config["metrics"]
    header: list[object] = ["path", "verdict", *names, *(f"window_{name}" for name in PLACE), "error", "note"]
    rows = chain([header], (_csv_row(image, names) for image in report.images))  # one by one, as there may be millions
    return "".join(",".join(map(_cell, row)) + "\n" for row in rows)


def _csv_row(image: ImageScore, names: Sequence[str]) -> list[object]:
    place = [image.window and getattr(image.window, name) for name in PLACE]
    scores = (image.scores[name] for name in names)
    return [_cell_of(image.path), image.verdict, *scores, *place, image.error, image.note]


def _cell_of(path: str) -> str:
    """The path such that no spreadsheet runs it: ./=1+1.png names the same file."""
    return f"./{path}" if FORMULA.match(path) else path


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    return '"' + text.replace('"', '""') + '"' if QUOTED.search(text) else text


RENDER: dict[str, Callable[[ScoreReport], str]] = {
    "table": render_table,
    "json": _render_json,
    "jsonl": _render_jsonl,
    "csv": _render_csv,
    "github": render_github,
    "junit": render_junit,
}
"""What --format names: functions from a report to text that ends in a newline."""


def _common_folder(report: ScoreReport) -> str:
    """The folder all images are in, not repeated in every row; empty if there is none to name."""
    folders = [os.path.dirname(image.path) for image in report.images]
    try:
        return os.path.commonpath(folders)
    except ValueError:  # absolute and relative paths, or two drives
        return ""


def _label(image: ImageScore, folder: str) -> Text:
    """The path from the common folder, and what is to be noted of the image in lines below it."""
    label = literal(os.path.relpath(image.path, folder) if folder else image.path)
    return label if image.note is None else Text("\n").join([label, literal(image.note, "dim")])


def _number(score: float | None) -> str:
    """Four decimals; where it cannot be told, a question mark."""
    return "?" if score is None else f"{score:.4f}"
