"""Pages of many images in a real browser: filtered, sorted and shown in parts, by mouse and by keyboard."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import pytest
from pictures import photo, stairs
from score_settings import settings

import artifactlab
from artifactlab.scoring import ImageScore, ScoreReport
from artifactlab.scoring.worst_window import Window

HOSTILE = '<img src=x onerror="window.ran=1">.png'
COUNT = 130
PICTURED = 26


def report_in(folder: Path, sign: float) -> ScoreReport:
    """130 images in two folders, 0 the worst; the first 26 are there to look at."""
    folder.mkdir()
    for epoch in ("one", "two"):
        (folder / epoch).mkdir()
    rows = []
    for n in range(COUNT):
        path = folder / ("one", "two")[n % 2] / (HOSTILE if n == 1 else f"{n:03}.png")
        if n < PICTURED:
            cv2.imwrite(str(path), stairs(4, 96) if n == 0 else photo(n, 64, 96))
        severity = sign * (COUNT - n) / 50 + 3
        scores = {"severity": severity, "replication_factor": float(n)}
        rows.append(ImageScore(str(path), scores, None, None, Window(8, 16, 64, severity, 4) if n == 0 else None))
    return ScoreReport(tuple(rows), {}, None, settings(str(folder), list(scores), recursive=True))


@pytest.fixture(scope="module")
def addresses(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("browse")
    before, after = report_in(folder / "before", -1), report_in(folder / "after", 1)
    pages = {"score": after.to_html(), "compare": artifactlab.compare(before, after).to_html()}
    for name, text in pages.items():
        (folder / f"{name}.html").write_text(text, encoding="utf-8")
    return {name: (folder / f"{name}.html").as_uri() for name in pages}


@pytest.fixture(params=["score", "compare"])
def either(request: pytest.FixtureRequest, open_page: Callable[[str], Any], addresses: dict[str, str]) -> Any:
    return open_page(addresses[request.param])


@pytest.fixture
def score(open_page: Callable[[str], Any], addresses: dict[str, str]) -> Any:
    return open_page(addresses["score"])


def all_of(page: Any, selector: str) -> list[Any]:
    return page.find_elements("css selector", selector)


def names(page: Any) -> list[str]:
    return [cell.text for cell in all_of(page, "#rows td:first-child")]


def choose(page: Any, field: str, value: str) -> None:
    page.execute_script(
        "const form = document.getElementById('filters'); form.elements[arguments[0]].value = arguments[1];"
        "form.elements[arguments[0]].dispatchEvent(new Event('input', { bubbles: true }))",
        *(field, value),
    )


def test_nothing_is_asked_of_the_network_and_names_run_nothing(either: Any) -> None:
    messages = [json.loads(entry["message"])["message"] for entry in either.get_log("performance")]
    asked = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    assert {url for url in asked if not url.startswith("data:")} <= {either.current_url, "about:blank"}
    assert HOSTILE in names(either)
    assert either.execute_script("return window.ran") is None
    assert either.get_log("browser") == []


def test_the_table_is_filtered_sorted_and_turned(score: Any) -> None:
    assert len(names(score)) == 50
    assert names(score)[:3] == ["000.png", HOSTILE, "002.png"]
    choose(score, "sort", "1")
    assert names(score)[0] == "129.png"
    choose(score, "folder", "1")
    assert names(score)[:2] == ["129.png", "127.png"]
    choose(score, "metric", "1")
    choose(score, "least", "125")
    assert names(score) == ["129.png", "127.png", "125.png"]
    choose(score, "least", "")
    choose(score, "folder", "")
    back, on = all_of(score, ".pager[data-list=rows] button")
    assert (back.is_enabled(), on.is_enabled()) == (False, True)
    on.click()
    on.click()
    assert all_of(score, ".pager[data-list=rows] output")[0].text == "101 to 130 of 130"
    assert not on.is_enabled()
    choose(score, "text", "nothing like it")
    assert names(score) == []
    assert {each.text for each in all_of(score, "output")} == {"none"}


def test_pictures_of_later_pages_come_when_they_are_asked_for(either: Any) -> None:
    assert len(all_of(either, ".shot")) == 12
    all_of(either, ".pager[data-list=shots] button")[1].click()
    shots = all_of(either, ".shot")
    assert [shot.get_attribute("data-row") for shot in shots] == [str(n) for n in range(12, 24)]
    picture = shots[0].find_element("css selector", "img")
    assert int(picture.get_attribute("naturalWidth")) > 0
    assert picture.size["width"] == 4 * int(picture.get_attribute("naturalWidth"))


def test_a_row_of_the_table_leads_to_its_pictures_by_keyboard(score: Any) -> None:
    from selenium.webdriver.common.keys import Keys

    button = all_of(score, "#rows button")[25]
    button.send_keys(Keys.ENTER)
    assert score.switch_to.active_element.get_attribute("data-row") == "25"


def test_the_orange_can_be_taken_away(score: Any) -> None:
    assert [each for each in all_of(score, ".over") if each.is_displayed()]
    all_of(score, "#over")[0].click()
    assert [each for each in all_of(score, ".over") if each.is_displayed()] == []


def test_the_slider_of_a_later_page_moves(open_page: Callable[[str], Any], addresses: dict[str, str]) -> None:
    from selenium.webdriver.common.keys import Keys

    page = open_page(addresses["compare"])
    all_of(page, ".pager[data-list=shots] button")[1].click()
    slider, after = all_of(page, ".split")[0], all_of(page, "img.after")[0]
    before = page.execute_script("return getComputedStyle(arguments[0]).clipPath", after)
    slider.send_keys(Keys.END)
    assert page.execute_script("return getComputedStyle(arguments[0]).clipPath", after) != before


@pytest.mark.parametrize("width", [320, 2200])
def test_no_width_makes_the_page_scroll_sideways(either: Any, emulate: Callable[..., None], width: int) -> None:
    emulate(width)
    needed, given = either.execute_script("return [document.documentElement.scrollWidth, innerWidth]")
    assert needed <= given == width


def test_without_scripts_the_first_page_is_there(either: Any) -> None:
    address = either.current_url
    either.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        either.get(address)
        assert len([shot for shot in all_of(either, ".shot") if shot.is_displayed()]) == 12
        assert len(names(either)) == 50
        assert [each for each in all_of(either, "form, .pager, #over") if each.is_displayed()] == []
    finally:
        either.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
