"""Which modules make up a site where several calls read one, and which layers are its neighbours."""

from __future__ import annotations

from types import ModuleType

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import artifactlab
from artifactlab.errors import FixError
from artifactlab.fix import replace_upsampler
from artifactlab.fix.operator import find_operator, neighbours_of


def site_of(model: nn.Module) -> artifactlab.Site:
    with artifactlab.capture(model) as cap, torch.no_grad():
        model(torch.rand(1, 1, 64, 64))
    return cap.sites[0].site


class Shared(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.up = nn.Upsample(scale_factor=2)
        self.a, self.b = nn.Conv2d(1, 1, 3, padding=1), nn.Conv2d(1, 1, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.b(self.up(self.a(self.up(x))))


class ReadTwice(nn.Module):
    """The convolution before the shuffle also feeds something else."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.shuffle = nn.Conv2d(1, 4, 3, padding=1), nn.PixelShuffle(2)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        return self.shuffle(y) + F.interpolate(y.mean(1, keepdim=True), scale_factor=2)


class Branching(nn.Module):
    """Cannot be followed without data, so that only registration order is known of its parts."""

    def __init__(self) -> None:
        super().__init__()
        self.up = nn.Upsample(scale_factor=2)
        self.other, self.conv = nn.Conv2d(1, 1, 3, padding=1), nn.Conv2d(1, 1, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x) if x.sum() > 0 else x
        return self.conv(self.other(x) + 1) + self.up(x).mean()


def test_a_module_that_runs_at_several_sites_is_left_alone() -> None:
    with pytest.raises(FixError, match="runs 2 times"):
        replace_upsampler(Shared(), "up")


def test_a_convolution_that_others_read_is_not_taken_along() -> None:
    model = ReadTwice()
    assert find_operator(model, site_of(model)).paths == ("shuffle",)


def test_a_guessed_neighbour_is_not_taken_along() -> None:
    site = artifactlab.Site("up", "interpolate", 0, (2.0, 2.0), (2.0, 2.0), (1, 1, 8, 8), (1, 1, 16, 16))
    assert find_operator(Branching(), site).paths == ("up",)


def test_neighbours_are_the_layers_with_weights_before_and_after(decoders: ModuleType) -> None:
    model = decoders.Decoder(nn.Sequential(nn.ReLU(), nn.ConvTranspose2d(6, 4, 4, 2, 1), nn.ReLU()))
    assert set(neighbours_of(model, ["up.1"])) == {"stem", "head"}
