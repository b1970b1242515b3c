"""A score report as text: a table for people, JSON, JSON lines and CSV for programs."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from artifactlab.report.terminal import Fitting, as_text, literal
from artifactlab.scoring.score_report import ImageScore, ScoreReport

WIDTH = 80
"""Columns of the text, which every terminal and mail has."""
SUMMARY = ("mean", "median", "max")
"""Rows below the images, each a key of the summary."""
FORMULA = re.compile(r"[\s\x00-\x1f]*[=+\-@|%\uff1d\uff0b\uff0d\uff20]|\s")
"""How a cell starts that a spreadsheet computes (also in full width), or may once it has stripped blanks."""
QUOTED = re.compile(r"""[,;"'\s\x00-\x1f\x7f-\x9f\u2028\u2029]""")
"""What some reader takes for the end of a cell or a line."""


def score_table(report: ScoreReport) -> Fitting:
    """The scores of every image, and a summary at the end."""
    return Fitting(_table(report), _stacked(report))


def _table(report: ScoreReport) -> Table:
    """A row per image, its error below its name, and a summary at the end."""
    names = report.config["metrics"]
    folder = _common_folder(report)
    table = Table(
        title=literal(f"{len(report.images)} images in {folder or '.'}"),
        title_justify="left",
        box=None,
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
    table.add_column("image", overflow="fold", min_width=8)
    for name in names:
        table.add_column(name.replace("_", "\n"), justify="right", no_wrap=True)
    for image in report.images:
        table.add_row(_label(image, folder), *(_number(image.scores[name]) for name in names))
    table.add_row()
    for row in SUMMARY:
        table.add_row(Text(row, style="bold"), *(_number(report.summary[name][row]) for name in names))
    return table


def _stacked(report: ScoreReport) -> Group:
    """The same with each image's scores below its name."""
    names, folder = report.config["metrics"], _common_folder(report)
    parts: list[RenderableType] = [literal(f"{len(report.images)} images in {folder or '.'}", "italic")]
    rows = [(_label(image, folder), image.scores) for image in report.images]
    rows += [(Text(row, style="bold"), {name: report.summary[name][row] for name in names}) for row in SUMMARY]
    for label, scores in rows:
        numbers = ", ".join(f"{name} {_number(scores[name])}" for name in names)
        parts += [label, Padding(Text(numbers), (0, 0, 0, 4))]
    return Group(*parts)


def _render_table(report: ScoreReport) -> str:
    """The table as text of 80 columns, or of fewer where the terminal is narrower."""
    return as_text(score_table(report), min(WIDTH, shutil.get_terminal_size().columns))


def _render_json(report: ScoreReport) -> str:
    return report.to_json() + "\n"


def _render_jsonl(report: ScoreReport) -> str:
    return "".join(json.dumps(image, allow_nan=False) + "\n" for image in report.to_dict()["images"])


def _render_csv(report: ScoreReport) -> str:
    """Columns path, one per metric, error, note; empty where there is no value."""
    names = report.config["metrics"]
    rows: list[list[object]] = [["path", *names, "error", "note"]]
    for image in report.images:
        rows.append([_cell_of(image.path), *(image.scores[name] for name in names), image.error, image.note])
    return "".join(",".join(map(_cell, row)) + "\n" for row in rows)


def _cell_of(path: str) -> str:
    """The path such that no spreadsheet runs it: ./=1+1.png names the same file."""
    return f"./{path}" if FORMULA.match(path) else path


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    return '"' + text.replace('"', '""') + '"' if QUOTED.search(text) else text


RENDER: dict[str, Callable[[ScoreReport], str]] = {
    "table": _render_table,
    "json": _render_json,
    "jsonl": _render_jsonl,
    "csv": _render_csv,
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
    """The path from the common folder, and what is to be said of the image in lines below it."""
    label = literal(os.path.relpath(image.path, folder) if folder else image.path)
    below = ((image.note, "dim"), (image.error, "red"))
    return Text("\n").join([label, *(literal(text, style) for text, style in below if text is not None)])


def _number(score: float | None) -> str:
    """Four decimals; where it cannot be told, a question mark."""
    return "?" if score is None else f"{score:.4f}"
