"""A net with one merge, for the tests of merges and of what meets at them."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import skimage
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import artifactlab
from artifactlab import Diagnosis


class Decoder(nn.Module):
    """Half and full size features meet by `function(upsampled, skip)`."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function
        self.coarse = nn.Conv2d(3, 6, 3, padding=1)
        self.fine = nn.Conv2d(3, 6, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        up = F.interpolate(self.coarse(F.avg_pool2d(x, 2)), scale_factor=2, mode="bilinear")
        return self.function(up, self.fine(x))


class Net(nn.Module):
    """A `Decoder` by the name of `dec`."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.dec = Decoder(function)

    def forward(self, x: Tensor) -> Tensor:
        return self.dec(x + x)  # before any upsampling: no merge


@pytest.fixture
def two_sites(three_sites) -> nn.Sequential:
    """The first two of the three sites, the second of which draws a grid: less work, where the number is no matter."""
    return nn.Sequential(three_sites.up1, three_sites.plant("up2").up2)


_diagnosed: dict[tuple[str, bool], Diagnosis] = {}


@pytest.fixture
def of_three_sites(three_sites, scene: Tensor) -> Callable[..., Diagnosis]:
    """A function of the name of the planted site, or none, that diagnoses the three sites; once for each."""

    def diagnosis(guilty: str = "", fast: bool = False) -> Diagnosis:
        if (guilty, fast) not in _diagnosed:
            model = copy.deepcopy(three_sites)
            model = model.plant(guilty) if guilty else model
            _diagnosed[guilty, fast] = artifactlab.diagnose(model, scene, data_range=1.0, fast=fast)
        return _diagnosed[guilty, fast]

    return diagnosis


@pytest.fixture
def skip_net() -> Callable[[Any], nn.Module]:
    return Net


@pytest.fixture(scope="session")
def image() -> Tensor:
    photo = np.asarray(skimage.data.astronaut())[0:128, 160:288] / 255
    return torch.from_numpy(photo).permute(2, 0, 1).float()[None]
