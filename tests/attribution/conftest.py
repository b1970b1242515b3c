"""A net with one merge, for the tests of merges and of what meets at them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import skimage
import torch
import torch.nn.functional as F
from torch import Tensor, nn


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
def skip_net() -> Callable[[Any], nn.Module]:
    return Net


@pytest.fixture(scope="session")
def image() -> Tensor:
    photo = np.asarray(skimage.data.astronaut())[0:128, 160:288] / 255
    return torch.from_numpy(photo).permute(2, 0, 1).float()[None]
