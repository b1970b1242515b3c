"""Small models with and without planted defects, and what lint says of them, handed out as functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from artifactlab import lint


class Net(nn.Module):
    """Named parts and a forward made of one function of (self, x)."""

    def __init__(self, forward: Callable[[Any, Tensor], Any], **parts: nn.Module) -> None:
        super().__init__()
        self.function = forward
        for name, part in parts.items():
            self.add_module(name, part)

    def forward(self, x: Tensor) -> Any:
        return self.function(self, x)


def found(model: nn.Module, rule: str, *, trained: bool = True) -> list[str]:
    """Sites that a rule names."""
    return [finding.site for finding in lint(model, trained=trained) if finding.rule == rule]


def number(model: nn.Module, rule: str, *, trained: bool = True) -> tuple[float, ...]:
    (finding,) = (finding for finding in lint(model, trained=trained) if finding.rule == rule)
    return finding.number


def bilinear(channels: int = 4) -> nn.ConvTranspose2d:
    """A transposed convolution all of whose phases sum to one."""
    layer = nn.ConvTranspose2d(channels, channels, 4, 2, 1)
    ramp = torch.tensor([0.25, 0.75, 0.75, 0.25])
    layer.weight = nn.Parameter((torch.eye(channels)[:, :, None, None] * torch.outer(ramp, ramp)).contiguous())
    return layer


def icnr(conv: nn.Conv2d, factor: int = 2) -> nn.Conv2d:
    """The convolution with one sub-kernel and one bias for all phases of a pixel shuffle."""
    with torch.no_grad():
        conv.weight.copy_(conv.weight[:: factor**2].repeat_interleave(factor**2, 0))
        if conv.bias is not None:
            conv.bias.copy_(conv.bias[:: factor**2].repeat_interleave(factor**2, 0))
    return conv


def flat_answer(layer: nn.Module, channels: int, period: tuple[int, int]) -> Tensor:
    """(in, out, phases): one period of a layer's output, far from its border, per input channel that is 1."""
    with torch.no_grad():
        images = torch.eye(channels, dtype=torch.float64)[:, :, None, None].expand(-1, -1, 24, 24)
        output = layer.double()(images) - layer(torch.zeros_like(images[:1]))
    top, left = output.shape[2] // 2, output.shape[3] // 2
    return output[:, :, top : top + period[0], left : left + period[1]].flatten(2)


def rms_share(answer: Tensor) -> float:
    values = answer.numpy()
    return float(np.sqrt(values.var(-1).mean() / np.square(values).mean()))


class Branching(nn.Module):
    """A block that cannot be followed."""

    def __init__(self) -> None:
        super().__init__()
        self.expand = nn.Conv2d(4, 16, 3)
        self.act = nn.ReLU()
        self.shuffle = nn.PixelShuffle(2)
        self.up = nn.ConvTranspose2d(4, 4, 3, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)
        if x.mean() > 0:
            x = self.up(x)
        return self.shuffle(self.act(self.expand(x)))


@pytest.fixture(scope="session", name="net")
def _net() -> Callable[..., Any]:
    return Net


@pytest.fixture(scope="session", name="branching")
def _branching() -> Callable[..., Any]:
    return Branching


@pytest.fixture(scope="session", name="found")
def _found() -> Callable[..., Any]:
    return found


@pytest.fixture(scope="session", name="number")
def _number() -> Callable[..., Any]:
    return number


@pytest.fixture(scope="session", name="bilinear")
def _bilinear() -> Callable[..., Any]:
    return bilinear


@pytest.fixture(scope="session", name="icnr")
def _icnr() -> Callable[..., Any]:
    return icnr


@pytest.fixture(scope="session", name="flat_answer")
def _flat_answer() -> Callable[..., Any]:
    return flat_answer


@pytest.fixture(scope="session", name="rms_share")
def _rms_share() -> Callable[..., Any]:
    return rms_share
