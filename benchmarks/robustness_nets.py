"""Random decoders: what people build, in every combination, and what they hang on it."""

from __future__ import annotations

import random
from collections import OrderedDict, namedtuple
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrizations
from torch.utils.checkpoint import checkpoint

PADDINGS = ("zeros", "reflect", "replicate", "circular")
DTYPES = (torch.float32, torch.float32, torch.float64, torch.bfloat16)
MOST_OUTPUT = 160
"""pixels of the output's longer side, as far as the input's 16 allow"""
Pair = namedtuple("Pair", ["image", "features"])


class OwnError(Exception):
    """What a forward raises that raises."""


@dataclass
class Output:
    """A model's output of a type of its own."""

    image: Tensor
    features: Tensor | None = None


class Mapping(OrderedDict):
    """A model's output as transformers have it: a dictionary of a type of its own."""


class Grown(nn.Module):
    """Growth by a function, in one line of a forward."""

    def __init__(self, grow: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.grow = grow

    def forward(self, x: Tensor) -> Tensor:
        return self.grow(x)


class Checkpointed(nn.Module):
    """A part whose activations are computed again in the backward pass."""

    def __init__(self, part: nn.Module, reentrant: bool) -> None:
        super().__init__()
        self.part, self.reentrant = part, reentrant

    def forward(self, x: Tensor) -> Tensor:
        return checkpoint(self.part, x, use_reentrant=self.reentrant)


class Decoder(nn.Module):
    """Stages one after the other, with what `habits` ask for between them."""

    def __init__(self, stages: Sequence[nn.Module], last: nn.Module, habits: dict[str, Any]) -> None:
        super().__init__()
        self.stages, self.last, self.habits = nn.ModuleList(stages), last, habits
        self.runs = 0
        self.plain = torch.ones(1)  # a tensor that is neither parameter nor buffer
        self.register_buffer("passing", torch.zeros(1), persistent=False)

    def forward(self, x: Tensor) -> Any:
        self.runs += 1
        if self.habits["registers"] == "a buffer" and "late" not in self._buffers:
            self.register_buffer("late", torch.linspace(0, 1, x.shape[-1], dtype=x.dtype))
        if self.habits["registers"] == "a module" and "made" not in self._modules:
            self.add_module("made", nn.Conv2d(1, 1, 1).to(x.dtype))
        first = x
        for stage in self.stages:
            x = stage(x)
            if self.habits["skips"] and x.shape[1] == first.shape[1]:
                x = x + F.interpolate(first, x.shape[-2:], mode="bilinear")
        if self.runs >= self.habits["raises from"]:
            raise OwnError("this forward raises")
        image = self.last(x)
        return wrapped(self.habits["output"], image, x)


def wrapped(kind: str, image: Tensor, features: Tensor) -> Any:
    """The output as a model of that kind gives it."""
    return {
        "tensor": lambda: image,
        "dict": lambda: {"features": features.mean((2, 3)), "image": image},
        "nested": lambda: {"outputs": [{"image": image}, None, 3]},
        "tuple": lambda: (image, features.mean()),
        "list": lambda: [image],
        "namedtuple": lambda: Pair(image, features.mean((2, 3))),
        "dataclass": lambda: Output(image),
        "mapping": lambda: Mapping(image=image),
    }[kind]()


OUTPUTS = ("tensor", "tensor", "dict", "nested", "tuple", "list", "namedtuple", "dataclass", "mapping")


def transposed(rng: random.Random, channels: int) -> tuple[nn.Module, int]:
    """A transposed convolution with any kernel, padding, dilation and groups that fit together."""
    stride, kernel, dilation = rng.choice((2, 2, 3)), rng.randint(2, 5), rng.choice((1, 1, 2))
    layer = nn.ConvTranspose2d(
        *(channels, channels, kernel, stride),
        padding=rng.randint(0, dilation * (kernel - 1) // 2),
        output_padding=rng.randint(0, stride - 1),
        groups=rng.choice((1, 1, 2, channels)),
        bias=rng.random() < 0.7,
        dilation=dilation,
    )
    return layer, stride


def shuffled(rng: random.Random, channels: int) -> tuple[nn.Module, int]:
    """A convolution and a pixel shuffle."""
    scale = rng.choice((2, 3))
    return nn.Sequential(convolution(rng, channels, channels * scale**2), nn.PixelShuffle(scale)), scale


def resized(rng: random.Random, channels: int) -> tuple[nn.Module, int]:
    """A resize by a module."""
    scale, mode = rng.choice((2, 3)), rng.choice(("nearest", "nearest-exact", "bilinear", "bicubic"))
    corners = None if mode.startswith("nearest") else rng.random() < 0.3
    return nn.Upsample(scale_factor=scale, mode=mode, align_corners=corners), scale


def by_hand(rng: random.Random, channels: int) -> tuple[nn.Module, int]:
    """Growth by two that no layer of torch stands for, or by one of its functions."""
    return Grown(rng.choice(HAND_MADE)), 2


def _zeros_between(x: Tensor) -> Tensor:
    grown = x.new_zeros(*x.shape[:2], 2 * x.shape[2], 2 * x.shape[3])
    grown[..., ::2, ::2] = x
    return grown


def _expanded(x: Tensor) -> Tensor:
    n, c, h, w = x.shape
    return x[:, :, :, None, :, None].expand(n, c, h, 2, w, 2).reshape(n, c, 2 * h, 2 * w)


def _indexed(x: Tensor) -> Tensor:
    rows, columns = (torch.arange(2 * side) // 2 for side in x.shape[-2:])
    return x[:, :, rows][..., columns]


def _depth_to_space(x: Tensor) -> Tensor:
    n, c, h, w = x.shape
    return x.repeat(1, 4, 1, 1).view(n, 2, 2, c, h, w).permute(0, 3, 4, 1, 5, 2).reshape(n, c, 2 * h, 2 * w)


HAND_MADE: tuple[Callable[[Tensor], Tensor], ...] = (
    lambda x: F.interpolate(x, scale_factor=2.0),
    lambda x: F.interpolate(x, size=[2 * side for side in x.shape[-2:]], mode="bilinear"),
    lambda x: x.repeat_interleave(2, 2).repeat_interleave(2, dim=3),
    lambda x: torch.stack([x, x], 4).flatten(3).repeat_interleave(2, 2),
    lambda x: torch.kron(x, x.new_ones(2, 2)),
    lambda x: F.conv_transpose2d(x, x.new_ones(x.shape[1], 1, 2, 2), stride=2, groups=x.shape[1]),
    lambda x: F.pixel_shuffle(x.repeat_interleave(4, 1), 2),
    *(_zeros_between, _expanded, _indexed, _depth_to_space),
)
GROWTHS = (transposed, transposed, shuffled, resized, by_hand, by_hand)


def convolution(rng: random.Random, before: int, after: int) -> nn.Module:
    """A convolution that keeps the size, however it is padded, dilated and grouped."""
    kernel, dilation = rng.choice((1, 3, 3, 5)), rng.choice((1, 1, 2))
    layer = nn.Conv2d(
        *(before, after, kernel),
        padding=rng.choice(("same", dilation * (kernel - 1) // 2)),
        dilation=dilation,
        groups=rng.choice((1, 1, 2)) if before % 2 == after % 2 == 0 else 1,
        bias=rng.random() < 0.7,
        padding_mode=rng.choice(PADDINGS),
    )
    if rng.random() < 0.1:
        return parametrizations.weight_norm(layer)
    return parametrizations.spectral_norm(layer) if rng.random() < 0.1 else layer


def _norm(rng: random.Random, channels: int) -> nn.Module:
    return rng.choice(
        (
            nn.Identity(),
            nn.BatchNorm2d(channels, track_running_stats=rng.random() < 0.7),
            nn.GroupNorm(2, channels),
            nn.InstanceNorm2d(channels, affine=True),
            nn.Dropout2d(0.2),
            nn.Dropout(0.2),
        )
    )


def _activation(rng: random.Random) -> nn.Module:
    return rng.choice((nn.ReLU(inplace=True), nn.ReLU(), nn.LeakyReLU(0.2, inplace=True), nn.SiLU(), nn.Tanh()))


def stages_of(rng: random.Random, channels: int, growth: int) -> list[nn.Module]:
    """Stages until the size has grown by `growth`, or by a little less; some share a layer, some are checkpointed."""
    stages: list[nn.Module] = []
    shared = convolution(rng, channels, channels)
    grown = 1
    while not stages or (grown * 3 <= growth and rng.random() < 0.7):
        grow, scale = rng.choice(GROWTHS)(rng, channels)
        grown *= scale
        conv = shared if rng.random() < 0.3 else convolution(rng, channels, channels)
        stage: nn.Module = nn.Sequential(grow, conv, _norm(rng, channels), _activation(rng))
        stages.append(Checkpointed(stage, rng.random() < 0.5) if rng.random() < 0.2 else stage)
    return stages
