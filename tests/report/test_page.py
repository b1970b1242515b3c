"""The page by itself: complete, escaped, small, and nothing in it that would be fetched."""

from __future__ import annotations

import base64
import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from markup import Page, assert_nothing_is_fetched
from torch import nn

import artifactlab
from artifactlab.attribution.diagnosis import Diagnosis
from artifactlab.attribution.records import ModelSource
from artifactlab.report.next_steps import Invocation
from artifactlab.report.page import LARGEST, report_page

CALLED = Invocation("models.py:make", inputs=("--input", "photos/"))


class Net(nn.Module):
    """Two sites; the first one's grid reaches the output."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.up = nn.ConvTranspose2d(1, 4, 3, 2, padding=1, output_padding=1)
        self.shuffle = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.PixelShuffle(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.shuffle(self.up(x)).sigmoid()


@pytest.fixture(scope="module")
def diagnosis() -> Diagnosis:
    images = [torch.rand(1, 1, 48, 40, generator=torch.Generator().manual_seed(k)) for k in range(2)]
    return artifactlab.diagnose(Net(), images, data_range=1.0)


@pytest.fixture(scope="module")
def page(diagnosis: Diagnosis) -> Page:
    return Page(report_page(diagnosis, CALLED))


def pixels(uri: str | None) -> np.ndarray:
    assert uri is not None
    kind, _, data = uri.partition(",")
    assert kind == "data:image/png;base64"
    image = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_UNCHANGED)
    assert image is not None
    return image


def test_the_main_finding_is_the_headline_and_remarks_stand_below_it(diagnosis: Diagnosis, page: Page) -> None:
    assert page.texts["h1"] == [diagnosis.heading]
    assert diagnosis.remarks not in page.texts["h1"][0] or not diagnosis.remarks
    assert diagnosis.verdict.split() == f"{diagnosis.doubt} {diagnosis.heading} {diagnosis.remarks}".split()


def test_every_site_has_a_tab_in_the_order_they_run_and_a_panel_of_its_own(diagnosis: Diagnosis, page: Page) -> None:
    tabs = page.having("button", role="tab")
    ranks = {site.order: site.rank for site in diagnosis.sites}
    assert [tab["id"] for tab in tabs] == [f"tab-{ranks[order]}" for order in (1, 2)]
    for tab in tabs:
        assert page.having("section", id=str(tab["aria-controls"]), aria_labelledby=str(tab["id"]))


def test_the_close_ups_are_the_output_pixel_by_pixel(diagnosis: Diagnosis, page: Page) -> None:
    key = diagnosis.sites[0].site.key
    for example in (0, 1):
        for image, name in zip(diagnosis.before_and_after(key, example), ("before", "after"), strict=True):
            close_up = pixels(page.having("img", class_=name)[example]["src"])
            assert close_up.shape == tuple(image.shape[1:])
            assert np.abs(close_up - 255 * image[0].clamp(0, 1).numpy()).max() <= 0.5 + 1e-3


def test_the_frame_in_the_map_is_where_the_close_up_is_cut(diagnosis: Diagnosis, page: Page) -> None:
    kept = diagnosis.examples[0].repaired[diagnosis.sites[0].site.key]
    frame = page.having("rect", class_="frame")[0]
    height, width = kept.pixels.shape[1:]
    assert [frame[side] for side in ("x", "y", "width", "height")] == [
        str(n) for n in (kept.corner[1], kept.corner[0], width, height)
    ]


def test_the_map_is_vermillion_and_as_opaque_as_the_change_is_large(diagnosis: Diagnosis, page: Page) -> None:
    change = diagnosis.artifact_map(diagnosis.sites[0].site.key).numpy()
    maps = [found for found in page.having("image") if found.get("width") == str(change.shape[1])]
    overlay = pixels(maps[2]["href"])  # after the whole outputs of both inputs
    assert (overlay[..., 2::-1] == (213, 94, 0)).all()
    assert np.abs(overlay[..., 3] - 255 * np.clip(change / np.quantile(change, 0.995), 0, 1)).max() <= 1


def test_a_lattice_of_period_4_has_its_fifteen_points_marked(page: Page) -> None:
    circles = [c for c in page.having("circle") if c.get("r") == "3"]
    # first site: 3 in its activation at scale 2, 15 in the output at period 4; second: 3 and 3; on both inputs
    assert len(circles) == 2 * (3 + 15 + 3 + 3)


def test_the_data_inside_is_the_diagnosis(diagnosis: Diagnosis, page: Page) -> None:
    assert json.loads(page.texts["script"][0]) == json.loads(diagnosis.to_json())


def test_nothing_is_fetched(page: Page) -> None:
    assert_nothing_is_fetched(page)


EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(1)>\"'&{{ 7*7 }}"


def test_what_a_model_is_called_is_text_wherever_it_appears(diagnosis: Diagnosis) -> None:
    site = diagnosis.sites[0]
    renamed = replace(site, site=replace(site.site, name=EVIL))
    example = diagnosis.examples[0]
    moved = {
        what: {
            renamed.site.key if key == site.site.key else key: value for key, value in getattr(example, what).items()
        }
        for what in ("changes", "repaired", "activations")
    }
    hostile = replace(
        diagnosis,
        sites=(renamed, *diagnosis.sites[1:]),
        verdict=EVIL,
        model=ModelSource(EVIL, EVIL),
        config=replace(diagnosis.config, output=EVIL),
        examples=(replace(example, **moved),),
    )
    page = Page(report_page(hostile, replace(CALLED, target=EVIL, inputs=("--input", EVIL))))
    assert page.texts["h1"] == [EVIL]
    assert len(page.having("script")) == 2
    assert [found for found in page.having("img") if found.get("src") == "x"] == []
    assert json.loads(page.texts["script"][0])["verdict"] == EVIL


def test_a_large_report_is_cut_until_it_is_small(monkeypatch: pytest.MonkeyPatch, diagnosis: Diagnosis) -> None:
    uncut = len(report_page(diagnosis))
    assert uncut < LARGEST
    monkeypatch.setattr("artifactlab.report.page.LARGEST", uncut - 1)
    cut = report_page(diagnosis)
    assert len(cut) < uncut
    assert len(Page(cut).having("button", role="tab")) == 2


class Coloured(nn.Module):
    """A flat, strongly red output of 400 pixels a side, with a grid of its one site."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        grown = nn.functional.interpolate(x, scale_factor=2.0)
        board = torch.tensor([[0.02, -0.02], [-0.02, 0.02]]).repeat(200, 200)
        return grown * torch.tensor([0.9, 0.2, 0.1])[:, None, None] + board


def test_red_stays_red_and_the_frame_is_where_a_cut_close_up_is() -> None:
    found = artifactlab.diagnose(Coloured(), torch.ones(1, 3, 200, 200), data_range=1.0)
    kept = found.examples[0].repaired[found.sites[0].site.key]
    assert kept.pixels.shape[1:] == (256, 256)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("artifactlab.report.page.SIZES", ((100, 1),))
        page = Page(report_page(found))
    close_up = pixels(page.having("img", class_="before")[0]["src"])
    assert close_up.shape == (100, 100, 3)
    blue, green, red = close_up.reshape(-1, 3).mean(0)  # as OpenCV reads it
    assert (red, green, blue) == pytest.approx((0.9 * 255, 0.2 * 255, 0.1 * 255), abs=1)
    frame = page.having("rect", class_="frame")[0]
    assert (frame["x"], frame["y"], frame["width"]) == (str(kept.corner[1] + 78), str(kept.corner[0] + 78), "100")


class Branches(Net):
    """It grows by another site for dark inputs than for bright ones."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        grown = self.up(x)
        dark = x.mean() < 0.5
        return (nn.functional.interpolate(grown[:, :1], None, 2.0) if dark else self.shuffle(grown)).sigmoid()


def test_a_site_that_does_not_run_for_an_input_says_so_there_and_has_no_pictures_of_a_repair() -> None:
    inputs = [torch.rand(1, 1, 48, 40) * 0.5, 0.5 + torch.rand(1, 1, 48, 40) * 0.5]
    page = Page(report_page(artifactlab.diagnose(Branches(), inputs, data_range=1.0)))
    assert page.text.count("This site does not run for this input.") == 2
    assert len(page.having("img", class_="before")) == len(page.having("svg", class_="map")) == 4


def test_twelve_sites_have_pictures_and_the_thirteenth_its_numbers() -> None:
    class Sum(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.ups = nn.ModuleList(nn.Upsample(scale_factor=2) for _ in range(13))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.stack([up(x) for up in self.ups]).mean(0)

    page = Page(report_page(artifactlab.diagnose(Sum(), torch.rand(1, 1, 40, 40), data_range=1.0)))
    assert len(page.having("button", role="tab")) == 13
    assert len(page.having("img", class_="before")) == 12
    assert "only the 12 with the largest effects" in page.text


def test_a_period_that_is_longer_than_a_spectrum_has_one_without_marks(diagnosis: Diagnosis) -> None:
    """Un-patchified tokens of 160 pixels, say."""
    wide = [replace(site, site=replace(site.site, scale=(160, 160), period=(160, 160))) for site in diagnosis.sites]
    page = Page(report_page(replace(diagnosis, sites=tuple(wide))))
    assert page.having("svg", class_="spectrum")
    assert page.having("circle", r="3") == []


def test_nothing_is_less_than_nothing(diagnosis: Diagnosis) -> None:
    clean = replace(diagnosis.output, severity=-0.001)
    slightly = tuple(replace(seen, severity=-0.002) for seen in diagnosis.per_input)
    text = Page(report_page(replace(diagnosis, output=clean, per_input=slightly, joint=()))).text
    assert "severity 0.00" in text
    assert "-0.00" not in text.partition('<script type="application/json"')[0]


def test_a_fast_diagnosis_says_why_it_has_no_close_ups() -> None:
    fast = artifactlab.diagnose(Net(), torch.rand(1, 1, 48, 40), data_range=1.0, fast=True)
    text = report_page(fast)
    page = Page(text)
    assert page.having("img", class_="before") == page.having("svg", class_="map") == []
    assert page.having("img", class_="sheet")
    assert "leave --fast out" in text
    assert "Repairing this site alone takes" not in text


def test_a_diagnosis_without_examples_is_a_page_of_numbers(diagnosis: Diagnosis) -> None:
    page = Page(report_page(replace(diagnosis, examples=())))
    assert page.having("img") == []
    assert len(page.having("button", role="tab")) == 2


def test_to_html_is_the_page_with_code_instead_of_commands(diagnosis: Diagnosis) -> None:
    text = diagnosis.to_html()
    assert text == report_page(diagnosis)
    assert "artifactlab fix " not in text
    assert "fix_site(" in text
