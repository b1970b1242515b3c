"""Which arguments of a pass are pictures, of images, volumes and signals."""

from __future__ import annotations

from typing import cast

import pytest
import torch
from torch import Tensor, nn

from artifactlab.attribution.findings.pictures import (
    constant_input,
    output_layout,
    picture_layout,
    pictures,
    with_pictures,
)
from artifactlab.models.calls import Call, constant_call
from artifactlab.models.layout import Layout
from artifactlab.models.runner import Runner


@pytest.mark.parametrize(
    ("shape", "output", "axes"),
    [
        ((1, 3, 64, 64), "NCHW", "NCHW"),
        ((1, 64, 64, 3), "NCHW", "NHWC"),
        ((1, 3, 64, 64), "NHWC", "NCHW"),
        ((1, 3, 64, 64), "NHW", "NCHW"),
        ((1, 77, 768), "NCHW", None),
        ((1, 96, 96), "NHW", "NHW"),
        ((1, 512, 1, 1), "NCHW", None),
        ((1, 3, 9, 64, 64), "NCTHW", "NCTHW"),
        ((1, 9, 3, 64, 64), "NTCHW", "NTCHW"),
        ((1, 16, 5, 8, 8), "NCTHW", "NCDHW"),
        ((1, 3, 64, 64), "NCTHW", None),
        ((1, 80, 200), "NCL", "NCL"),
        ((1, 512), "NCL", None),
        ((1, 4096), "NL", "NL"),
    ],
)
def test_a_picture_has_as_many_directions_as_the_output(shape: tuple[int, ...], output: str, axes: str | None) -> None:
    found = picture_layout(torch.zeros(shape), Layout(output))
    assert (found and found.axes) == axes


def test_other_arguments_stay_as_they_are() -> None:
    volume, tokens, time = torch.rand(1, 1, 8, 9, 10), torch.rand(1, 7, 5), torch.tensor([3])
    call = with_pictures(Call((volume, time), {"tokens": tokens}), Layout("NCDHW"), lambda x: x.roll(1, 2))
    assert torch.equal(call.args[0], volume.roll(1, 2))
    assert call.args[1] is time
    assert call.kwargs["tokens"] is tokens


def test_pictures_are_changed_in_their_own_order_of_axes() -> None:
    film = torch.rand(1, 9, 3, 16, 20)
    (picture,) = pictures(Call((film,)), Layout("NTCHW"))
    assert picture.shape == (1, 3, 9, 16, 20)
    (shifted,) = with_pictures(Call((film,)), Layout("NTCHW"), lambda x: x.roll(2, 4)).args
    assert torch.equal(shifted, film.roll(2, 4))
    (later,) = with_pictures(Call((film,)), Layout("NTCHW"), lambda x: x.roll(1, 2)).args
    assert torch.equal(later, film.roll(1, 1))


@pytest.mark.parametrize(
    ("shape", "output"), [((2, 3, 16, 16), "NCHW"), ((1, 2, 8, 8, 8), "NCDHW"), ((1, 80, 50), "NCL")]
)
def test_a_constant_input_has_each_channels_mean(shape: tuple[int, ...], output: str) -> None:
    given = torch.rand(shape)
    (constant,) = constant_input(Call((given,)), Layout(output), 0.5).args
    assert constant.shape == given.shape
    for channel, of in enumerate(given.unbind(1)):
        assert torch.allclose(constant[:, channel], 0.5 * of.mean())


def test_without_pictures_a_constant_input_is_that_of_tokens() -> None:
    tokens = torch.rand(1, 64, 32)
    ours, theirs = constant_input(Call((tokens,)), Layout("NCHW"), 0.5), constant_call(Call((tokens,)), 0.5)
    assert torch.equal(cast(Tensor, ours.args[0]), cast(Tensor, theirs.args[0]))


def test_the_layout_is_the_runners_where_it_has_as_many_directions() -> None:
    image, volume = torch.rand(1, 3, 32, 32), torch.rand(1, 3, 9, 32, 32)
    assert output_layout(Runner(nn.Identity(), None, 0), image).axes == "NCHW"
    assert output_layout(Runner(nn.Identity(), None, 0, Layout("NTCHW")), volume).axes == "NTCHW"
    assert output_layout(Runner(nn.Identity(), None, 0, Layout("NTCHW")), image).axes == "NCHW"
