"""The page in a real browser, by mouse and by keyboard: all by itself, and nothing in it out of reach."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from artifactlab.attribution.diagnosis import Diagnosis


def find(page: Any, selector: str) -> Any:
    return page.find_element("css selector", selector)


def visible(page: Any, selector: str) -> list[Any]:
    return [element for element in page.find_elements("css selector", selector) if element.is_displayed()]


def press(element: Any, key: str) -> None:
    from selenium.webdriver.common.keys import Keys

    element.send_keys(getattr(Keys, key))


def until(holds: Callable[[], bool]) -> bool:
    """Whether it comes true within 5 seconds."""
    end = time.monotonic() + 5
    while not holds() and time.monotonic() < end:
        time.sleep(0.02)
    return holds()


def clip(page: Any) -> str:
    (after,) = visible(page, ".after")
    return page.execute_script("return getComputedStyle(arguments[0]).clipPath", after)


def test_nothing_is_asked_of_the_network_and_nothing_complains(page: Any, address: str) -> None:
    page.get_log("performance")
    page.get_log("browser")
    page.get(address)
    for tab in page.find_elements("css selector", "[role=tab]"):
        tab.click()
    messages = [json.loads(entry["message"])["message"] for entry in page.get_log("performance")]
    asked = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    assert [url for url in asked if not url.startswith("data:")] == [address]
    assert page.get_log("browser") == []


def test_the_policy_forbids_what_a_slip_in_escaping_would_do(page: Any) -> None:
    outcome = page.execute_async_script(
        "const done = arguments[0]; fetch('http://127.0.0.1:9/').then(() => done('sent'), error => done(String(error)))"
    )
    assert "Failed to fetch" in outcome
    page.execute_script(
        "const s = document.createElement('script'); s.textContent = 'window.ran = 1'; document.body.append(s)"
    )
    assert page.execute_script("return window.ran") is None
    complaints = [entry["message"] for entry in page.get_log("browser")]
    assert sum("Content Security Policy" in text for text in complaints) >= 2


def test_the_slider_moves_by_keyboard(page: Any) -> None:
    (slider,) = visible(page, "input[type=range]")
    before = clip(page)
    for _ in range(10):
        press(slider, "ARROW_RIGHT")
    assert slider.get_attribute("value") == "60"
    assert clip(page) != before
    press(slider, "HOME")
    assert clip(page) == "inset(0px)"


def test_the_slider_follows_the_pointer_in_the_picture(page: Any) -> None:
    from selenium.webdriver.common.action_chains import ActionChains

    (stack,) = visible(page, ".stack")
    (slider,) = visible(page, "input[type=range]")
    width = stack.size["width"]
    drag = ActionChains(page).move_to_element(stack).click_and_hold().move_by_offset(width // 4, 0).release()
    drag.perform()
    assert int(slider.get_attribute("value")) == pytest.approx(75, abs=2)


def test_the_split_shows_the_output_on_its_left_and_the_repaired_one_on_its_right(
    page: Any, long_named: Diagnosis
) -> None:
    """A screenshot: what is zoomed by 2 is blocks of 2x2 equal pixels, with the values of the tensors."""
    (stack,) = visible(page, ".stack")
    shot = cv2.imdecode(np.frombuffer(stack.screenshot_as_png, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    pair = long_named.before_and_after(long_named.sites[0].site.key)
    before, after = (np.round(255 * image.clamp(0, 1).permute(1, 2, 0).numpy()) for image in pair)
    height, width = before.shape[:2]
    assert shot.shape[:2] == (2 * height, 2 * width)
    left, right = slice(2, width // 2 - 2), slice(width // 2 + 2, width - 2)
    for pixels in (shot[dy::2, dx::2] for dy in (0, 1) for dx in (0, 1)):
        assert np.abs(pixels[:, left] - before[:, left]).max() <= 1
        assert np.abs(pixels[:, right] - after[:, right]).max() <= 1
    assert np.abs(before[:, right] - after[:, right]).max() > 10


@pytest.mark.parametrize("zoom", [1, 2, 4, 8])
def test_zooms_are_whole_multiples_of_pixels(page: Any, zoom: int) -> None:
    next(button for button in visible(page, ".zooms button") if button.get_attribute("data-zoom") == str(zoom)).click()
    for image in visible(page, ".stack img"):
        assert image.size["width"] == zoom * int(image.get_attribute("naturalWidth"))
        assert image.size["height"] == zoom * int(image.get_attribute("naturalHeight"))


def test_the_split_stays_in_sight_when_a_large_picture_is_scrolled(page: Any) -> None:
    next(button for button in visible(page, ".zooms button") if button.get_attribute("data-zoom") == "8").click()
    (scroll,) = visible(page, ".scroll")
    for place in (0, 10_000):
        page.execute_script("arguments[0].scrollTo(arguments[1], 0)", scroll, place)
        assert until(lambda: split_in_sight(page, scroll) == pytest.approx(0.5, abs=0.01))


def split_in_sight(page: Any, scroll: Any) -> float:
    """Where the split is, as a part of what is visible."""
    split = float(clip(page).removesuffix("px)").split()[-1])
    left, width = page.execute_script("return [arguments[0].scrollLeft, arguments[0].clientWidth]", scroll)
    return (split - left) / width


def test_sites_switch_by_mouse_and_by_keyboard_and_the_address_remembers(page: Any, address: str) -> None:
    first, second = page.find_elements("css selector", "[role=tab]")
    first.click()
    chosen = first.get_attribute("aria-controls")
    assert [panel.get_attribute("id") for panel in visible(page, "[role=tabpanel]")] == [chosen]
    press(first, "ARROW_RIGHT")
    (panel,) = visible(page, "[role=tabpanel]")
    assert panel.get_attribute("id") == second.get_attribute("aria-controls")
    assert page.switch_to.active_element == second
    press(second, "ARROW_RIGHT")
    assert page.switch_to.active_element == first
    there = page.current_url
    page.get("about:blank")
    page.get(there)
    assert until(lambda: [panel.get_attribute("id") for panel in visible(page, "[role=tabpanel]")] == [chosen])


def test_the_largest_effect_is_what_one_sees_first(page: Any) -> None:
    assert [panel.get_attribute("id") for panel in visible(page, "[role=tabpanel]")] == ["panel-1"]


def test_inputs_switch_by_keyboard(page: Any) -> None:
    before = [image.get_attribute("src") for image in visible(page, ".before")]
    press(find(page, "input[name=input]"), "ARROW_RIGHT")
    after = [image.get_attribute("src") for image in visible(page, ".before")]
    assert len(before) == len(after) == 1
    assert before != after


def test_everything_can_be_reached_by_tab_alone(page: Any) -> None:
    body = find(page, "body")
    reached = []
    for _ in range(60):
        press(page.switch_to.active_element or body, "TAB")
        element = page.switch_to.active_element
        if element.tag_name == "body":
            break
        reached.append(element.get_attribute("role") or element.get_attribute("class") or element.tag_name)
    assert {"tab", "group", "copy", "summary"} <= set(reached)
    assert reached.count("tab") == 1, "one stop for all tabs; arrows go between them"


def test_a_command_is_copied_or_at_least_selected(page: Any) -> None:
    button = visible(page, ".copy")[0]
    button.click()
    code = button.find_element("xpath", "..").find_element("css selector", "code").text
    assert until(lambda: button.text == "Copied" or page.execute_script("return String(getSelection())") == code)


def test_the_data_can_be_saved(page: Any, long_named: Diagnosis, tmp_path: Path) -> None:
    page.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    visible(page, "summary")[-1].click()
    find(page, "#save").click()
    saved = tmp_path / "diagnosis.json"
    assert until(saved.exists)
    assert json.loads(saved.read_text()) == json.loads(long_named.to_json())
