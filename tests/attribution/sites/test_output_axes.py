"""Layouts of outputs are told by how they were made."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from one_function import AnyForward
from torch import Tensor

from artifactlab.attribution.sites.axes import axes_of_images, unknown_axes
from artifactlab.attribution.sites.output_axes import directions_of, layout_of, told_layout
from artifactlab.attribution.sites.watch import watch
from artifactlab.attribution.sites.wiring import Wiring
from artifactlab.models.layout import Layout

IMAGE = torch.rand(2, 3, 16, 24, generator=torch.Generator().manual_seed(1))
FILM = torch.rand(2, 5, 3, 16, 24, generator=torch.Generator().manual_seed(2))
KERNEL, KERNEL3 = torch.rand(4, 3, 3, 3), torch.rand(3, 3, 1, 3, 3)


def told(function: Any, x: Tensor) -> tuple[str | None, tuple[int | None, ...]]:
    """The layout, by its letters, and the direction of each of its axes."""
    found: list[tuple[str | None, tuple[int | None, ...]]] = []

    def finished(output: Any, wiring: Wiring) -> None:
        axes = wiring.axes(output)
        layout = told_layout(output, axes)
        found.append((layout and layout.axes, directions_of(layout or layout_of(output, axes), axes)))

    model = AnyForward(function)
    with watch(model, lambda _: None, finished), torch.no_grad():
        model(x)
    return found[0]


def up(x: Tensor) -> Tensor:
    return F.interpolate(F.conv2d(x, KERNEL, padding=1), scale_factor=2)


def filled(x: Tensor) -> Tensor:
    whole = x.new_zeros(2, 5, 4, 32, 48)
    for k in range(5):
        whole[:, k] = up(x[:, k])
    return whole


OUTPUTS: dict[str, tuple[Any, Tensor, str, tuple[int | None, ...]]] = {
    "images": (up, IMAGE, "NCHW", (1, 0)),
    "channels last": (lambda x: up(x).permute(0, 2, 3, 1), IMAGE, "NHWC", (1, 0)),
    "turned": (lambda x: up(x).transpose(2, 3), IMAGE, "NCHW", (0, 1)),
    "turned by a quarter": (lambda x: torch.rot90(up(x), 1, (2, 3)), IMAGE, "NCHW", (0, 1)),
    "labels": (lambda x: up(x).argmax(1), IMAGE, "NHW", (1, 0)),
    "depth": (lambda x: up(x)[:, 0], IMAGE, "NHW", (1, 0)),
    "one of a batch": (lambda x: up(x)[0], IMAGE, "CHW", (1, 0)),
    "one, channels last": (lambda x: up(x)[0].permute(1, 2, 0), IMAGE, "HWC", (1, 0)),
    "a map": (lambda x: up(x)[0, 0], IMAGE, "HW", (1, 0)),
    "maps stacked": (lambda x: torch.stack([up(x)[:, 0], up(x)[:, 1]], 1), IMAGE, "NCHW", (1, 0)),
    "frames in the batch": (lambda x: up(x.flatten(0, 1)).unflatten(0, (2, 5)), FILM, "NTCHW", (None, 1, 0)),
    "frames stacked": (lambda x: torch.stack([up(f) for f in x.unbind(1)], 2), FILM, "NCTHW", (None, 1, 0)),
    "frames written": (filled, FILM, "NTCHW", (None, 1, 0)),
    "frames of one map": (lambda x: up(x.flatten(0, 1))[:, 0].unflatten(0, (2, 5)), FILM, "NTHW", (None, 1, 0)),
    "film": (lambda x: F.conv3d(x.transpose(1, 2), KERNEL3), FILM, "NCTHW", (2, 1, 0)),
    "film, permuted": (
        lambda x: F.conv3d(x.permute(0, 2, 3, 4, 1), KERNEL3).permute(0, 1, 4, 2, 3),
        FILM,
        "NCTHW",
        (2, 1, 0),
    ),
    "a volume": (lambda x: F.conv3d(x[:, None], KERNEL3[:1, :1]), torch.rand(2, 8, 8, 12), "NCDHW", (2, 1, 0)),
    "signals": (lambda x: F.conv1d(x, torch.rand(2, 4, 3)), torch.rand(2, 4, 60), "NCL", (0,)),
    "signals, last": (lambda x: F.conv1d(x, torch.rand(2, 4, 3)).mT, torch.rand(2, 4, 60), "NLC", (0,)),
    "one channel": (lambda x: F.conv1d(x, torch.rand(1, 4, 3))[:, 0], torch.rand(2, 4, 60), "NL", (0,)),
    "a spectrum's": (lambda x: torch.istft(x + 0j, 16, window=torch.ones(16)), torch.rand(2, 9, 60), "NL", (0,)),
}
"""Name -> what makes the output, of what, its layout, and its directions."""


@pytest.mark.parametrize("name", OUTPUTS)
def test_a_layout_is_told_by_how_an_output_was_made(name: str) -> None:
    function, x, letters, directions = OUTPUTS[name]
    assert told(function, x) == (letters, directions)


def test_of_what_is_not_known_a_layout_is_guessed_by_its_shape() -> None:
    output = torch.zeros(1, 3, 32, 32)
    assert told_layout(output, None) is None
    assert told_layout(output, unknown_axes(output.shape)) is None
    assert layout_of(output, None) == Layout("NCHW")
    assert directions_of(Layout("NCHW"), None) == (1, 0)


def test_axes_of_another_rank_tell_nothing() -> None:
    assert told_layout(torch.zeros(1, 3, 32), axes_of_images((1, 3, 32, 32))) is None
