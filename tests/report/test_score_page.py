"""The page of scores by itself: the worst first, drawn as measured, escaped, small however many images there are."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from markup import Page, assert_nothing_is_fetched
from pictures import photo
from score_settings import settings

from artifactlab.report.histograms import BINS, histogram
from artifactlab.report.score_page import score_page
from artifactlab.report.score_words import score_words
from artifactlab.scoring import Gate, ImageScore, ScoreReport
from artifactlab.scoring.worst_window import Window

HOSTILE = '<img src=x onerror="alert(1)">&\u202e\x1b[2J.png'
GRID = 8.0
"""1/255 of white by which the planted grid goes up and down."""


def report_of(*images: ImageScore, reference: Path | None = None) -> ScoreReport:
    config = settings("out", list(images[0].scores), reference=reference and str(reference), gates=["severity>3"])
    return ScoreReport(images, {}, None, config)


def scored(path: str, severity: float | None, **others: object) -> ImageScore:
    return ImageScore(path, {"severity": severity, "worst_window": 0.0, "period": 0.0}, None, **others)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A photo with a grid in rows 32 to 96 and columns 64 to 128, and what it should look like."""
    folder = tmp_path_factory.mktemp("scores")
    clean = photo(1, 128, 160)
    marked = clean.astype(float)
    marked[32:96, 64:128] += GRID * (-1.0) ** np.add.outer(np.arange(64), np.arange(64))[..., None]
    for name, image in (("out", marked), ("reference", clean)):
        (folder / name).mkdir()
        cv2.imwrite(str(folder / name / "a.png"), np.clip(image, 0, 255).astype(np.uint8))
    return folder


@pytest.fixture(scope="module")
def page(folder: Path) -> Page:
    marked = scored(str(folder / "out" / "a.png"), 0.5, window=Window(32, 64, 64, 30.0, 2))
    marked.scores["worst_window"] = 30.0
    broken = ImageScore("broken.png", dict.fromkeys(marked.scores), "cannot read it")
    return Page(score_page(report_of(broken, scored(HOSTILE, 2.0), marked, reference=folder / "reference")))


def pixels(uri: str | None) -> np.ndarray:
    image = cv2.imdecode(np.frombuffer(base64.b64decode(str(uri).partition(",")[2]), np.uint8), cv2.IMREAD_UNCHANGED)
    assert image is not None
    return image


def test_the_worst_comes_first_and_what_was_not_scored_last(page: Page) -> None:
    names = [row[0] for row in json.loads(page.texts["script"][0])["rows"]]
    assert [names[0], names[2]] == ["a.png", "broken.png"]
    assert [article["data-row"] for article in page.having("article")] == ["0", "1"]


def test_nothing_is_fetched_and_names_are_text(page: Page) -> None:
    assert_nothing_is_fetched(page)
    assert page.having("img", src="x") == []
    assert "\u202e" not in page.text
    assert "\x1b" not in page.text
    assert "&lt;img src=x" in page.text


def test_the_zoom_is_the_worst_window_pixel_by_pixel_four_times_as_large(page: Page, folder: Path) -> None:
    zoom = page.having("img", alt="The framed window, as it is")[0]
    image = cv2.imread(str(folder / "out" / "a.png"))
    assert (pixels(zoom["src"]) == image[32:96, 64:128]).all()
    assert (zoom["width"], zoom["height"]) == ("256", "256")
    reference = page.having("img", alt="The framed window, the reference")[0]
    assert (pixels(reference["src"]) == cv2.imread(str(folder / "reference" / "a.png"))[32:96, 64:128]).all()


def test_what_is_explained_is_the_grid_that_was_planted(page: Page) -> None:
    (shown,) = [
        found for found in page.having("img") if str(found.get("alt")).startswith("The framed window, period 2")
    ]
    gain = float(str(shown["alt"]).rpartition("\u00d7")[2])
    planted = (-1.0) ** np.add.outer(np.arange(64), np.arange(64))
    grey = pixels(shown["src"]).mean(2) - 127.5
    assert (grey * planted).mean() / gain == pytest.approx(GRID, rel=0.1)


def test_the_map_is_orange_where_the_grid_is_and_the_frame_is_there(page: Page) -> None:
    (over,) = page.having("image", class_="over")
    opacity = cv2.resize(pixels(over["href"])[..., 3], (160, 128))
    inside, outside = opacity[40:88, 72:120], np.delete(opacity, np.s_[16:112], 0)
    assert inside.min() > 10 * max(1, int(outside.max()))
    frame = page.having("rect", class_="frame")[0]
    assert [frame[side] for side in ("x", "y", "width", "height")] == ["64", "32", "64", "64"]


def test_a_file_that_is_gone_or_is_another_by_now_has_no_pictures(folder: Path) -> None:
    smaller = scored(str(folder / "out" / "a.png"), 4.0, window=Window(100, 100, 64, 4.0, 2))
    text = score_page(report_of(scored("gone.png", 3.0), smaller))
    assert text.count("No picture: the file is not there any more") == 2
    assert Page(text).having("img") == []


def test_ten_thousand_images_are_a_page_of_two_megabytes_whose_first_part_needs_no_script() -> None:
    images = [scored(f"run/epoch_{n % 20}/sample_{n:05}.png", n / 10_000) for n in range(10_000)]
    text = score_page(report_of(*images))
    assert len(text) < 2_000_000
    assert text.count("<tr>") == 1 + 50
    data = json.loads(Page(text).texts["script"][0])
    assert len(data["rows"]) == 10_000
    assert data["rows"][0][0] == "sample_09999.png"
    assert len(data["folders"]) == 20


def test_rows_beyond_what_a_page_holds_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("artifactlab.report.browsing.ROW_BYTES", 10_000)
    text = score_page(report_of(*(scored(f"{n}{'x' * 300}.png", 0.1) for n in range(100))))
    left = 100 - len(json.loads(Page(text).texts["script"][0])["rows"])
    assert 60 < left < 80
    assert f"The best {left} are left out" in text


def test_an_image_is_told_in_words() -> None:
    weak_but = scored("a.png", 0.5, window=Window(0, 16, 64, 9.0, 4))
    weak_but.scores["worst_window"] = 9.0
    assert score_words(weak_but) == (
        "All over the image it hardly shows, in one place it does. In rows 0 to 64, columns 16 to 80 a lattice of"
        " period 4 is 3.0 times as strong as what just shows."
    )
    grid = ImageScore(
        "a", {"severity": 4.0, "lattice_amplitude": 4.2 / 255, "edge_jaggedness": 0.0, "period": 2.0}, None
    )
    assert score_words(grid) == "Checkerboard (4.2/255 rms, period 2), 2.0 times as strong as what just shows."
    assert score_words(scored("a", None)).startswith("Cannot tell")
    assert score_words(ImageScore("a", {"severity": None}, "no\nimage")) == "Not scored: no\\nimage."


def test_bars_hold_all_images_and_what_a_gate_stops_is_told_apart_in_one_bar() -> None:
    gate = Gate("severity", ">", 1.0)
    found = histogram("severity", "", [0.0, 0.99, 1.01, 1.02, 500.0], [gate])
    assert found is not None
    assert len(found.bars) == BINS
    counts = [round(np.expm1(height / 100 * np.log1p(found.tallest))) for _, height, _ in found.bars]
    stopped = [round(np.expm1(height / 100 * np.log1p(found.tallest))) for _, _, height in found.bars]
    assert sum(counts) == 5
    assert sum(stopped) == 3
    assert found.high == "4, up to 500"
    assert found.gates == [(60.0, "severity>1.0")]
    assert histogram("severity", "", [], [gate]) is None
