"""The page and the plots of signals, volumes and video, from diagnoses put together by hand."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from types import SimpleNamespace
from typing import Any

import by_hand
import cv2
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from artifactlab.attribution.diagnosis import Diagnosis
from artifactlab.fix.verify import FixCheck
from artifactlab.report import plot_artifact_map, plot_spectrum
from artifactlab.report.figures import png_of
from artifactlab.report.fix_report import plot_fix
from artifactlab.report.next_steps import Invocation
from artifactlab.report.page import LARGEST, report_page

KINDS: dict[str, Callable[[], Diagnosis]] = {
    "signal": by_hand.a_signal,
    "volume": by_hand.a_volume,
    "video": by_hand.a_video,
}
CALLED = Invocation("models.py:make", inputs=("--input", "x.npy"))


class Elements(HTMLParser):
    """Elements with their attributes, and the text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data.replace("\N{MULTIPLICATION SIGN}", "x")

    def of(self, tag: str, kind: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag and attributes.get("class") == kind]


@pytest.fixture(scope="module", params=KINDS)
def diagnosis(request: pytest.FixtureRequest) -> Diagnosis:
    return KINDS[request.param]()


@pytest.fixture(scope="module")
def page(diagnosis: Diagnosis) -> Elements:
    text = report_page(diagnosis, CALLED)
    assert len(text.encode()) < LARGEST
    return Elements(text)


def pixels(uri: str | None) -> np.ndarray:
    data = base64.b64decode((uri or "").partition(",")[2])
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert image is not None
    return image


def test_close_ups_of_both_sites_are_as_large_as_they_say(page: Elements) -> None:
    for kind in ("before", "after"):
        for image in page.of("img", kind):
            assert [str(side) for side in pixels(image["src"]).shape[1::-1]] == [image["width"], image["height"]]
    assert len(page.of("img", "before")) == len(page.of("img", "after")) == len(page.of("svg", "map")) == 2


def test_what_a_repair_changes_is_seen_in_the_close_ups_and_in_the_map(page: Elements) -> None:
    before, after = (pixels(page.of("img", kind)[0]["src"]).astype(float) for kind in ("before", "after"))
    assert np.abs(before - after).max() > 20
    overlay = next(
        pixels(attributes["href"])
        for tag, attributes in page.found
        if tag == "image" and pixels(attributes["href"]).ndim == 3
    )
    assert overlay[..., 3].max() == 255


def test_frames_are_inside_the_map(page: Elements) -> None:
    width, height = (float(side) for side in str(page.of("svg", "map")[0]["viewbox"]).split()[2:])
    frames = page.of("rect", "frame")
    assert frames
    for frame in frames:
        assert 0 <= float(frame["x"] or -1) <= float(frame["x"] or 0) + float(frame["width"] or 0) <= width
        assert 0 <= float(frame["y"] or -1) <= float(frame["y"] or 0) + float(frame["height"] or 0) <= height


def test_the_page_speaks_of_what_the_output_is(diagnosis: Diagnosis, page: Elements) -> None:
    kinds = {"NCL": "signal", "NCDHW": "volume", "NCTHW": "video"}
    said = {
        "signal": ("channels, samples", "3000 → 24000", "cycles per sample", "tones", "-39 dB"),
        "volume": ("channels, depth, height, width", "10x36x28 → 40x72x56", "period z 4, y 2, x 2", "voxels"),
        "video": ("channels, frames, height, width", "4x8x12 → 17x64x96", "period t 4, y 8, x 8", "over time"),
    }
    for words in said[kinds[diagnosis.config.layout]]:
        assert words in page.text
    assert ("Directions of gradients" in page.text) == (diagnosis.config.layout != "NCL")


def test_long_names_are_short_with_the_full_one_to_hover_and_to_paste(diagnosis: Diagnosis, page: Elements) -> None:
    key = diagnosis.sites[0].site.key
    handle = diagnosis.handles[key]
    names = [attributes for tag, attributes in page.found if attributes.get("title") == key]
    assert len(names) == 3, "on its card, above its panel, and in the table of what was repaired together"
    heading = next(attributes for tag, attributes in page.found if tag == "h1")
    assert heading["title"] == diagnosis.heading
    assert diagnosis.remarks == by_hand.REMARK.strip()
    assert diagnosis.remarks in page.text
    assert f"{handle} causes the output's" in page.text
    commands = re.findall(r"artifactlab fix .*", page.text)
    assert any(key in command for command in commands)
    assert not any("--site ..." in command for command in commands)


def test_a_fast_diagnosis_of_a_volume_has_a_page(diagnosis: Diagnosis) -> None:
    example = replace(diagnosis.examples[0], changes={}, repaired={})
    fast = replace(diagnosis, config=replace(diagnosis.config, fast=True), examples=(example,))
    page = Elements(report_page(fast))
    assert page.of("img", "before") == page.of("svg", "map") == []
    assert page.of("img", "sheet")
    png_of(fast.plot())


def test_activations_of_fewer_directions_than_the_output_are_drawn_as_what_they_are(diagnosis: Diagnosis) -> None:
    """Such as those of a resize of frames that are folded into the batch."""
    flat = {key: torch.rand(4, 24, 32) for key in diagnosis.examples[0].activations}
    sites = tuple(
        replace(site, site=replace(site.site, scale=(2, 2), in_shape=(9, 4, 12, 16), out_shape=(9, 4, 24, 32)))
        for site in diagnosis.sites
    )
    folded = replace(diagnosis, sites=sites, examples=(replace(diagnosis.examples[0], activations=flat),))
    page = Elements(report_page(folded))
    assert "channels, height, width" in page.text
    assert "12x16 → 24x32" in page.text


def test_a_page_that_is_too_large_is_cut(diagnosis: Diagnosis, monkeypatch: pytest.MonkeyPatch) -> None:
    """Signals and volumes have one size of close-ups; what the sheets of activations show is less then."""
    noise = {key: torch.rand(8, *activation.shape[1:]) for key, activation in diagnosis.examples[0].activations.items()}
    noisy = replace(diagnosis, examples=(replace(diagnosis.examples[0], activations=noise),))
    uncut = len(report_page(noisy))
    monkeypatch.setattr("artifactlab.report.page.LARGEST", uncut - 30_000)
    cut = report_page(noisy)
    assert len(cut) <= uncut - 30_000
    assert cut.count('class="before"') == 2


def test_the_pictures_of_a_diagnosis_are_drawn(diagnosis: Diagnosis) -> None:
    for figure in (diagnosis.plot(), diagnosis.plot_maps()):
        picture = cv2.imdecode(np.frombuffer(png_of(figure), np.uint8), cv2.IMREAD_COLOR)
        assert picture is not None
        assert picture.std() > 20
    titles = [ax.get_title().replace("\n", "") for ax in diagnosis.plot_maps().axes]
    assert f"{diagnosis.handles[diagnosis.sites[0].site.key]}offender" in titles


def test_the_map_alone_is_drawn_over_the_output(diagnosis: Diagnosis) -> None:
    ax = plot_artifact_map(diagnosis, ax=Figure().subplots())
    ground, over = (np.asarray(image.get_array()) for image in ax.images)
    assert ground.shape == over.shape
    assert over.max() > 0


def test_maps_and_pairs_have_the_directions_of_the_output(diagnosis: Diagnosis) -> None:
    key = diagnosis.sites[0].site.key
    assert diagnosis.artifact_map(key).shape == diagnosis.examples[0].output.shape[1:]
    before, after = diagnosis.before_and_after(key)
    assert before.shape == after.shape
    assert before.ndim == diagnosis.examples[0].output.ndim


def test_the_spectrum_of_a_signal_is_a_line_with_the_tones_of_its_lattice_marked() -> None:
    output = by_hand.a_signal().examples[0].output
    ax = plot_spectrum(output, 8, ax=Figure().subplots())
    curve, *marks = ax.lines
    assert [float(np.asarray(mark.get_xdata())[0]) for mark in marks] == [0.125, 0.25, 0.375, 0.5]
    frequencies, power = (np.asarray(data) for data in curve.get_data())
    for frequency in (0.125, 0.25, 0.375, 0.5):
        at = np.abs(frequencies - frequency).argmin()
        assert power[at] > power[max(0, at - 20)] + 20


def test_a_fix_is_drawn_before_and_after(diagnosis: Diagnosis) -> None:
    key, names = diagnosis.sites[0].site.key, diagnosis.directions
    cured = replace(diagnosis.examples[0], output=diagnosis.examples[0].output - diagnosis.artifact_map(key))
    check = FixCheck(
        sites=(key,),
        period=diagnosis.config.period,  # type: ignore[arg-type]
        lattice_amplitude=(0.02, 0.0),
        edge_jaggedness=(0.02, 0.0),
        severity=(40.0, 0.0),
        energy_drop=1.0,
        steps_drop=None,
        psnr=40.0,
        cured=True,
        verdict="Fixed.",
    )
    made: Any = SimpleNamespace(before=diagnosis, after=replace(diagnosis, examples=(cured,)), check=check)
    figure = plot_fix(made)
    png_of(figure)
    titles = " ".join(ax.get_title() for ax in figure.axes)
    assert {1: "before, 384 samples", 3: "48x48"}[len(names)] in titles
