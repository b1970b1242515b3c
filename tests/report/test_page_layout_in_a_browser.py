"""How the page looks in a real browser: dark and light, wide and narrow, in print, and without scripts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest


def visible(page: Any, selector: str) -> list[Any]:
    return [element for element in page.find_elements("css selector", selector) if element.is_displayed()]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_in_the_light_and_in_the_dark(page: Any, emulate: Callable[..., None], scheme: str) -> None:
    emulate(1200, scheme)
    colours = page.execute_script("""
        const rgb = (colour) => colour.match(/[\\d.]+/g).slice(0, 3).map(Number);
        const paper = (element) => {
          for (let at = element; at; at = at.parentElement) {
            const colour = getComputedStyle(at).backgroundColor;
            if (!/, 0\\)$/.test(colour)) return rgb(colour);
          }
        };
        return [...document.querySelectorAll('h1, .hint, .unit, .verdict, .bad, figcaption, code, .size, button')]
          .filter(element => element.checkVisibility())
          .map(element => [element.className || element.tagName, rgb(getComputedStyle(element).color), paper(element)]);
    """)
    assert len(colours) > 20
    for name, ink, paper in colours:
        assert contrast(ink, paper) >= 4.5, name  # WCAG 2.1, level AA
    assert (np.mean(colours[0][2]) < 60) == (scheme == "dark")


def contrast(first: list[float], second: list[float]) -> float:
    """Ratio of relative luminances, WCAG 2.1."""
    values = np.array([first, second]) / 255
    linear = np.where(values <= 0.03928, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    low, high = sorted(linear @ [0.2126, 0.7152, 0.0722])
    return float((high + 0.05) / (low + 0.05))


@pytest.mark.parametrize("width", [320, 700, 2200])
def test_no_width_makes_the_page_scroll_sideways(page: Any, emulate: Callable[..., None], width: int) -> None:
    emulate(width)
    needed, given = page.execute_script("return [document.documentElement.scrollWidth, innerWidth]")
    assert needed <= given == width


def test_print_shows_every_site_and_both_outputs_beside_each_other_and_nothing_to_click(
    page: Any, emulate: Callable[..., None]
) -> None:
    emulate(800, media="print")
    assert len(visible(page, "[role=tabpanel]")) == 2
    assert [title.text for title in visible(page, ".which")] == ["Input 1", "Input 1"]
    assert visible(page, "input") == visible(page, ".copy") == []
    before, after = visible(page, "#panel-1 .before") + visible(page, "#panel-1 .after")
    assert before.rect["x"] + before.rect["width"] <= after.rect["x"] + 1
    assert before.rect["y"] == after.rect["y"]


@pytest.mark.parametrize("offset", [0, 0.3, 0.5, 0.9])
def test_a_close_up_begins_at_a_pixel_of_the_screen(page: Any, offset: float) -> None:
    page.execute_script(
        "document.body.style.paddingTop = arguments[0] + 'px'; dispatchEvent(new Event('resize'))", offset
    )
    (stack,) = visible(page, ".stack")
    place = page.execute_script("const { x, y } = arguments[0].getBoundingClientRect(); return [x, y]", stack)
    assert place == [pytest.approx(round(side), abs=1e-3) for side in place]


def test_without_scripts_everything_is_there_to_read(page: Any, address: str) -> None:
    page.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        page.get(address)
        assert len(visible(page, "[role=tabpanel]")) == 2
        assert len(visible(page, ".after")) == 4
        assert visible(page, "input[type=range]") == []
    finally:
        page.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
