"""The plots, as pictures: what is drawn is what is known, everybody can tell it apart, and nothing else happens."""

from __future__ import annotations

import itertools
import math
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

import artifactlab
from artifactlab.attribution.diagnosis import Diagnosis
from artifactlab.errors import InputError
from artifactlab.report import plot_artifact_map, plot_directions, plot_sites, plot_spectrum
from artifactlab.report.plots import COLOURS, IMAGE_COLOUR, REFERENCE_COLOUR


class Net(torch.nn.Module):
    """A transposed convolution whose grid shows, in the right half of the output only, and a resize without any."""

    def __init__(self) -> None:
        super().__init__()
        self.up = torch.nn.ConvTranspose2d(1, 1, 2, 2, bias=False)
        with torch.no_grad():
            self.up.weight[:] = torch.tensor([[1.1, 0.9], [0.9, 1.1]])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.nn.functional.interpolate(x, scale_factor=2, mode="bilinear")
        flat = torch.nn.functional.interpolate(y, scale_factor=2, mode="bilinear")
        right = torch.arange(flat.shape[-1]) >= flat.shape[-1] // 2
        return torch.where(right, self.up(y), flat)


@pytest.fixture(scope="module")
def diagnosis() -> Diagnosis:
    return artifactlab.diagnose(Net(), torch.full((1, 1, 32, 32), 0.5), data_range=1.0)


def axes(**kind: Any) -> Axes:
    return Figure(figsize=(5, 4), dpi=80).subplots(subplot_kw=kind)


def pixels(ax: Axes) -> np.ndarray:
    """The figure of these axes as it would be printed, (H, W, 3) in [0, 1]."""
    assert isinstance(ax.figure, Figure)
    canvas = FigureCanvasAgg(ax.figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3] / 255


def painted(picture: np.ndarray, colour: str) -> np.ndarray:
    """Where a picture has exactly this colour."""
    return (np.abs(picture - to_rgb(colour)) < 1.5 / 255).all(-1)


def inside(ax: Axes, picture: np.ndarray) -> np.ndarray:
    """The part of the picture within the axes."""
    box = ax.get_window_extent()
    height = picture.shape[0]
    return picture[height - int(box.y1) : height - int(box.y0), int(box.x0) : int(box.x1)]


# --- sites ---


def test_a_bar_is_as_long_as_the_effect_in_the_colour_of_the_verdict(diagnosis: Diagnosis) -> None:
    ax = plot_sites(diagnosis, ax=axes())
    offender = diagnosis.offenders[0]
    assert offender.site.name == "up"
    bar = painted(pixels(ax), COLOURS["offender"])
    (left, _), (right, _) = ax.transData.transform([(0, 0), (1, 0)])  # the largest effect is drawn as 1
    columns = np.flatnonzero(bar[:, : int(right) + 3].any(0))
    assert columns.min() == pytest.approx(left, abs=2)
    assert columns.max() == pytest.approx(right, abs=2)
    assert f"{offender.effect.value:.3g}" in ax.get_xlabel()


def test_the_largest_effect_is_on_top_and_every_site_has_its_name_and_verdict(diagnosis: Diagnosis) -> None:
    ax = plot_sites(diagnosis, ax=axes())
    names = [label.get_text().split()[0] for label in ax.get_yticklabels()]
    assert names == [site.site.key for site in diagnosis.sites]
    assert ax.yaxis_inverted()
    assert [text.get_text() for text in ax.texts] == [site.verdict for site in diagnosis.sites]


# --- spectra ---


def test_a_checkerboard_lights_up_under_the_circle_in_the_corner_and_nowhere_else_but_in_the_middle() -> None:
    rows, columns = torch.meshgrid(torch.arange(64), torch.arange(64), indexing="ij")
    board = 0.5 + 0.1 * (1 - 2 * ((rows + columns) % 2))
    wave = 0.2 * torch.cos(2 * math.pi * columns / 16)
    ax = plot_spectrum((board + wave)[None], period=2, ax=axes())
    image = np.asarray(ax.images[0].get_array())
    left, right, bottom, top = ax.images[0].get_extent()
    loud = {
        (
            round(top + (i + 0.5) / 64 * (bottom - top), 6),
            round(left + (j + 0.5) / 64 * (right - left), 6),
        )
        for i, j in np.argwhere(image > -13)
    }
    circled = {(float(v), float(h)) for h, v in ax.collections[0].get_offsets()}
    assert circled == {(-0.5, -0.5), (-0.5, 0.0), (0.0, -0.5)}
    assert (-0.5, -0.5) in loud & circled
    assert {(0.0, 1 / 16), (0.0, -1 / 16)} <= loud
    assert all(abs(v) <= 1 / 64 or abs(v) >= 0.5 - 1 / 64 for v, _ in loud)  # a window spreads to its neighbours


def test_the_circles_of_a_period_are_drawn_where_its_frequencies_are() -> None:
    ax = plot_spectrum(torch.rand(3, 64, 64), period=(1, 4), ax=axes())
    assert sorted(map(tuple, ax.collections[0].get_offsets())) == [(-0.5, 0.0), (-0.25, 0.0), (0.25, 0.0)]
    assert np.ptp(pixels(ax), axis=-1).max() > 0.4, "in colour, on grey"


@pytest.mark.parametrize("period", [None, 1, (1, 1)])
def test_without_a_lattice_there_are_no_circles(period: Any) -> None:
    ax = plot_spectrum(torch.rand(1, 32, 32), period, ax=axes())
    assert np.ptp(pixels(ax), axis=-1).max() < 0.01


def test_a_flat_image_has_a_spectrum_too() -> None:
    assert np.isfinite(np.asarray(plot_spectrum(torch.zeros(1, 32, 32), 2, ax=axes()).images[0].get_array())).all()


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (None, "expected a real tensor of shape"),
        (np.zeros((1, 32, 32)), "expected a real tensor of shape"),
        (torch.zeros(3, 0, 0), "at least one pixel"),
        (torch.full((1, 32, 32), math.nan), "NaN"),
    ],
)
def test_what_is_no_image_is_refused_by_that_name(image: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        plot_spectrum(image, 2, ax=axes())
    with pytest.raises(InputError, match=words):
        plot_directions(image, ax=axes(projection="polar"))


# --- directions ---


def stripes(degrees: float) -> torch.Tensor:
    """A wave whose gradient points that way, y down."""
    rows, columns = torch.meshgrid(torch.arange(96.0), torch.arange(96.0), indexing="ij")
    along = math.cos(math.radians(degrees)) * columns + math.sin(math.radians(degrees)) * rows
    return (0.5 + 0.4 * torch.sin(along / 2))[None]


@pytest.mark.parametrize("degrees", [0, 30, 90, 135])
def test_the_rose_points_where_the_gradient_does_as_one_sees_it_in_the_image(degrees: int) -> None:
    ax = plot_directions(stripes(degrees), ax=axes(projection="polar"))
    picture = pixels(ax)
    box = ax.get_window_extent()
    middle = np.array([picture.shape[0] - (box.y0 + box.y1) / 2, (box.x0 + box.x1) / 2])
    orange = picture[..., 0] - picture[..., 2] > 0.3
    rows, columns = np.nonzero(orange)
    dy, dx = rows - middle[0], columns - middle[1]
    turned = math.degrees(0.5 * np.angle(np.sum((dx + 1j * dy) ** 2))) % 180  # y down, axes modulo 180
    assert min(abs(turned - degrees), 180 - abs(turned - degrees)) < 4


def test_a_reference_is_a_line_of_its_own_colour_with_a_legend() -> None:
    ax = plot_directions(stripes(30), stripes(120), ax=axes(projection="polar"))
    assert painted(pixels(ax), REFERENCE_COLOUR).sum() > 20
    legend = ax.get_legend()
    assert legend is not None
    assert {text.get_text() for text in legend.get_texts()} == {"image", "reference"}
    angle, radius = (np.asarray(data) for data in ax.lines[0].get_data())
    assert math.degrees(angle[int(radius.argmax())]) % 180 == pytest.approx(120, abs=3)


def test_axes_that_are_not_polar_are_refused_with_what_to_do() -> None:
    with pytest.raises(InputError, match="projection"):
        plot_directions(torch.rand(1, 32, 32), ax=axes())


# --- maps ---


def test_the_map_is_orange_where_the_site_acts_and_grey_elsewhere(diagnosis: Diagnosis) -> None:
    ax = plot_artifact_map(diagnosis, "up/conv_transpose2d#0", ax=axes())
    picture = inside(ax, pixels(ax))
    colour = np.ptp(picture, axis=-1)
    width = picture.shape[1]
    assert colour[:, : width // 2 - 4].max() < 0.01
    assert np.median(colour[:, width // 2 + 4 : -4]) > 0.3


def test_the_default_is_the_site_with_the_largest_effect(diagnosis: Diagnosis) -> None:
    assert plot_artifact_map(diagnosis, ax=axes()).get_title() == diagnosis.sites[0].site.key


def test_a_site_that_is_not_there_is_named_and_nothing_is_drawn(diagnosis: Diagnosis) -> None:
    ax = axes()
    with pytest.raises(InputError, match="no site 'nowhere'"):
        plot_artifact_map(diagnosis, "nowhere", ax=ax)
    assert not ax.has_data()


# --- all of them ---


def test_they_draw_into_the_axes_they_are_given_and_return_them(diagnosis: Diagnosis) -> None:
    image = torch.rand(2, 3, 32, 32)
    cartesian, polar = [axes() for _ in range(3)], axes(projection="polar")
    assert plot_sites(diagnosis, ax=cartesian[0]) is cartesian[0]
    assert plot_spectrum(image, 2, ax=cartesian[1]) is cartesian[1]
    assert plot_artifact_map(diagnosis, ax=cartesian[2]) is cartesian[2]
    assert plot_directions(image, image, ax=polar) is polar


def test_without_axes_they_draw_into_pyplot_s_own_and_never_show(
    diagnosis: Diagnosis, monkeypatch: pytest.MonkeyPatch
) -> None:
    import matplotlib.pyplot as plt

    monkeypatch.setattr(plt, "show", lambda *a, **k: pytest.fail("show was called"))
    plt.switch_backend("agg")
    try:
        figure, ax = plt.subplots()
        assert plot_sites(diagnosis) is ax
        plt.close(figure)
        assert plot_directions(torch.rand(1, 32, 32)).name == "polar"
    finally:
        plt.close("all")


def test_notebooks_show_pictures_of_several_panels_by_themselves(diagnosis: Diagnosis) -> None:
    figures = diagnosis.plot(), diagnosis.plot_maps()
    assert [figure._repr_png_()[:4] for figure in figures] == [b"\x89PNG"] * 2  # what IPython asks for


def test_matplotlib_is_imported_when_something_is_drawn_and_not_before() -> None:
    code = "import sys, artifactlab.report; print('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "False\n"


MACHADO = {
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
"""What linear RGB is to people without red, green or blue cones: Machado, Oliveira, Fernandes 2009, severity 1."""


@pytest.mark.parametrize("eyes", MACHADO)
def test_colours_differ_for_colour_blind_eyes_too(eyes: str) -> None:
    def perceived(colour: str) -> np.ndarray:
        linear = np.array(to_rgb(colour)) ** 2.2
        return np.clip(np.array(MACHADO[eyes]) @ linear, 0, 1) ** (1 / 2.2)

    pairs = [*itertools.combinations(COLOURS.values(), 2), (IMAGE_COLOUR, REFERENCE_COLOUR)]
    for one, other in pairs:
        assert np.linalg.norm(perceived(one) - perceived(other)) > 0.15, (one, other)
