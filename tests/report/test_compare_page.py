"""The page of a comparison by itself, and what notebooks show of records."""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest
from markup import Page, assert_nothing_is_fetched
from pictures import photo

import artifactlab
from artifactlab import Comparison, Diagnosis
from artifactlab.errors import InputError
from artifactlab.report.compare_page import compare_page
from artifactlab.scoring import ImageScore, ScoreReport

BEFORE = {"same": 0.0, "cured": 9.0, "worse<b>": 2.0, "worst": 1.5, "unknown": None, "faint": 0.1}
AFTER = {"same": 0.0, "cured": 0.0, "worse<b>": 4.0, "worst": 8.0, "unknown": 3.0, "faint": 0.4}


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures before and after of two of the images: they differ at rows 40 to 60 and columns 90 to 110."""
    folder = tmp_path_factory.mktemp("sides")
    for side in ("before", "after"):
        (folder / side).mkdir()
        image = photo(2, 160, 200)
        image[40:60, 90:110] += 9 if side == "after" else 0
        for stem in ("worst", "worse<b>"):
            cv2.imwrite(str(folder / side / f"{stem}.png"), image)
    return folder


@pytest.fixture(scope="module")
def comparison(sides: Path) -> Comparison:
    def report(side: str, scores: dict[str, float | None]) -> ScoreReport:
        rows = tuple(ImageScore(str(sides / side / f"{stem}.png"), {"severity": x}, None) for stem, x in scores.items())
        return ScoreReport(rows, {}, None, {"metrics": ["severity"], "periods": [2, 16]})

    return artifactlab.compare(report("before", BEFORE), report("after", AFTER))


def test_each_image_is_told_and_the_worst_regression_comes_first(comparison: Comparison) -> None:
    told = [(pair.stem, pair.became) for pair in comparison.images]
    assert told == [
        *[("worst", "worse"), ("worse<b>", "worse"), ("faint", "same"), ("same", "same"), ("cured", "better")],
        ("unknown", "cannot tell"),
    ]
    data = json.loads(Page(compare_page(comparison)).texts["script"][0])
    assert [row[0] for row in data["rows"]] == [f"{pair.stem}.png" for pair in comparison.images]
    assert data["rows"][0][3] == 6.5


def test_the_slider_is_over_the_part_that_changed_pixel_by_pixel(comparison: Comparison, sides: Path) -> None:
    page = Page(comparison.to_html())
    assert_nothing_is_fetched(page)
    assert len(page.having("img", class_="before")) == 2
    frame = page.having("rect", class_="frame")[0]
    top, left, side = int(frame["y"] or 0), int(frame["x"] or 0), int(frame["width"] or 0)
    assert (top <= 40, left <= 90, top + side >= 60, left + side >= 110) == (True,) * 4
    for name in ("before", "after"):
        data = base64.b64decode(str(page.having("img", class_=name)[0]["src"]).partition(",")[2])
        shown = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        expected = cv2.imread(str(sides / name / "worst.png"))[top : top + side, left : left + side]
        assert (shown == expected).all()


def test_the_verdict_stands_on_top_with_its_intervals(comparison: Comparison) -> None:
    page = Page(compare_page(comparison))
    assert page.texts["h1"] == [comparison.text]
    (metric,) = comparison.metrics
    assert str(metric.reason) in page.text


def test_json_is_the_verdict_without_the_images(comparison: Comparison) -> None:
    assert "images" not in comparison.to_dict()


def test_two_diagnoses_are_a_page_of_metrics_without_images(long_named: Diagnosis) -> None:
    page = Page(artifactlab.compare(long_named, long_named).to_html())
    assert page.having("article") == page.having("form") == []
    assert_nothing_is_fetched(page)


def test_notebooks_show_a_card_and_terminals_a_line(comparison: Comparison, sides: Path, long_named: Diagnosis) -> None:
    paths = [str(sides / "after" / f"{stem}.png") for stem in BEFORE] * 2
    report = ScoreReport(
        tuple(ImageScore(path, {"severity": 2.0}, None) for path in paths),
        *({}, None),
        {"metrics": ["severity"], "periods": [2, 16]},
    )
    for record in (comparison, report, long_named):
        assert "\n" not in repr(record)
        assert len(repr(record)) < 1000
        card = record._repr_html_()
        assert len(card) < 100_000
        assert "<b>" not in card
        assert "<script" not in card
    assert repr(report) == "ScoreReport(12 images, 12 show; passed=None)"
    assert len(Page(report._repr_html_()).having("tr")) == 1 + 10
    assert len(Page(report._repr_html_()).having("img")) == 4  # of the two that are there, twice


class Table(dict):  # type: ignore[type-arg]
    """What stands in for a DataFrame: the columns it was given."""


def test_frames_come_from_pandas_or_else_from_polars(
    comparison: Comparison, long_named: Diagnosis, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("pandas", "polars"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(InputError, match="pandas or polars: pip install pandas"):
        comparison.to_frame()
    made = []
    for name in ("polars", "pandas"):
        module = ModuleType(name)
        module.DataFrame = lambda columns, name=name: made.append(name) or Table(columns)  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, name, module)
        frame = comparison.to_frame()
    assert made == ["polars", "pandas"]
    assert frame["name"] == ["severity"]
    assert len(long_named.to_frame("polars")["site"]) == 2
    with pytest.raises(InputError, match="library must be one of"):
        comparison.to_frame("numpy")  # type: ignore[arg-type]
