"""Forwards that branch on sizes are followed as for an ordinary input; those that branch on values are not."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from artifactlab.lint.usual_sizes import directions_of

BARE = ["interpolate#0"]


def grown(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2)


@pytest.mark.parametrize(
    "condition",
    [
        lambda x, y: x.dim() == 5,
        lambda x, y: x.ndim == 5 and len(x.shape) == 5,
        lambda x, y: x.shape[2] > 1 and x.shape[2] % 2 == 0,
        lambda x, y: x.size(-1) - y.size(-1) == 0,
        lambda x, y: x.shape[2:] == y.shape[2:],
        lambda x, y: x.shape == y.shape,
        lambda x, y: len(list(x.size())) == 5,
        lambda x, y: not any(size % 8 for size in x.shape[2:]),
        lambda x, y: y.shape[1] % 4 == 0,  # channels of a convolution
        lambda x, y: F.relu(y).dim() == 5,
        lambda x, y: x.shape[1] == 4,  # as many as are asked for
        lambda x, y: x.shape[1] != 4 or x.shape[1] * x.shape[2] % 8 == 0,
        lambda x, y: x.numel() * 2 < 2**31 and x.size(dim=2) == y.size()[2],
        lambda x, y: x.dtype != torch.float16 and x.device.type != "mps" and not x.is_cuda,
        lambda x, y: 3 * x.shape[3] // 2 >= 48 and -x.shape[3] < 0,
        lambda x, y: int(x.shape[2]) > 1,
    ],
)
def test_the_branch_of_an_ordinary_volume_is_followed(condition: Any, net: Any, found: Any) -> None:
    def forward(self: Any, x: Tensor) -> Tensor:
        y = self.conv(x)
        return grown(y) if condition(x, y) else y

    model = net(forward, conv=nn.Conv3d(4, 8, 1))
    assert found(model, "not-seen") == []
    assert found(model, "bare-nearest") == BARE


@pytest.mark.parametrize(
    "condition",
    [
        lambda x: x.mean() > 0,
        lambda x: x.sum(),
        lambda x: int(x.max()) > 1,
        lambda x: len(x.unique()) > 3,
        lambda x: x.shape[7] > 1,
    ],
)
def test_what_values_decide_is_said_to_be_unseen(condition: Any, net: Any, found: Any) -> None:
    model = net(lambda self, x: grown(x) if condition(x) else x, conv=nn.Conv1d(4, 8, 1))
    assert found(model, "not-seen") == ["(model)"]


def test_without_a_convolution_no_size_is_known(net: Any, found: Any) -> None:
    model = net(lambda self, x: grown(x) if x.dim() == 4 else x, linear=nn.Linear(4, 4))
    assert found(model, "not-seen") == ["(model)"]


def test_the_convolution_of_most_directions_tells(net: Any) -> None:
    parts = {"frames": nn.Conv2d(4, 4, 1), "video": nn.ConvTranspose3d(4, 4, 1)}
    assert directions_of(net(None, **parts)) == 3
    assert directions_of(nn.Conv1d(1, 1, 1)) == 1
    assert directions_of(nn.Linear(1, 1)) is None


def test_a_residual_unit_that_crops_to_the_shorter_is_followed(found: Any) -> None:
    class Unit(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.up = nn.ConvTranspose1d(4, 4, 5, 2)
            self.conv = nn.Conv1d(4, 4, 3, padding=1)

        def forward(self, x: Tensor) -> Tensor:
            x = self.up(x)
            y = self.conv(x)
            cut = (x.shape[-1] - y.shape[-1]) // 2
            if cut > 0:
                x = x[..., cut:-cut]
            return x + y

    assert found(Unit(), "not-seen") == []
    assert found(Unit(), "uneven-overlap") == ["up"]


def test_modules_without_a_forward_are_no_place_that_could_not_be_followed(net: Any, found: Any) -> None:
    class Codebook(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.up = nn.ConvTranspose1d(4, 4, 3, 2)

    model = net(lambda self, x: x if x.mean() > 0 else self.book.up(x), book=Codebook())
    assert found(model, "not-seen") == ["(model)"]
    assert found(model, "uneven-overlap") == ["book.up"]
