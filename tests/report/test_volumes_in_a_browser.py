"""Pages of signals, volumes and video in a real browser: nothing is missing, cut off or complained about."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import by_hand
import pytest

from artifactlab.report.page import report_page

KINDS = {"signal": by_hand.a_signal, "volume": by_hand.a_volume, "video": by_hand.a_video}


@pytest.fixture(params=KINDS)
def opened(request: pytest.FixtureRequest, browser: Any, open_page: Callable[[str], Any], tmp_path: Path) -> Any:
    path = tmp_path / "report.html"
    path.write_text(report_page(KINDS[request.param]()), encoding="utf-8")
    browser.get_log("browser")
    return open_page(path.as_uri())


def test_a_page_of_it_is_whole(opened: Any, emulate: Callable[..., None]) -> None:
    sizes = opened.execute_script("return [...document.images].map(image => image.naturalWidth)")
    assert len(sizes) >= 6
    assert min(sizes) > 0
    for width in (320, 1200):
        emulate(width)
        assert opened.execute_script("return document.documentElement.scrollWidth") <= width
    assert opened.get_log("browser") == []


def test_the_close_up_is_zoomed_and_split_as_that_of_an_image(opened: Any) -> None:
    for button in opened.find_elements("css selector", ".panel.chosen .zooms button"):
        button.click()
        zoom = int(button.get_attribute("data-zoom"))
        before, after = opened.find_elements("css selector", ".panel.chosen .stack img")
        assert before.size == after.size
        assert before.size["width"] == zoom * int(before.get_attribute("naturalWidth"))


def test_the_full_name_of_a_site_is_there_to_hover(opened: Any) -> None:
    name = opened.find_element("css selector", ".panel.chosen h2 code")
    assert name.text.startswith("...up_blocks.1.")
    assert name.get_attribute("title") == "generator.backbone.decoder.up_blocks.1.upsamplers.0.conv/interpolate#0"
