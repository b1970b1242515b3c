"""Inputs that carry an artifact or none, and a net that draws none of its own unless it is told to."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn


def _polygons(seed: int, aliased: bool, side: int = 96) -> Tensor:
    """A drawing (1, 1, side, side) of polygons, its pixels sampled at their middle, or averaged over 8x8 samples."""
    draw, image = np.random.default_rng(seed), np.full((8 * side, 8 * side), 0.8, np.float32)
    for _ in range(14):
        angles = np.sort(draw.uniform(0, 2 * np.pi, draw.integers(3, 7)))
        radii = draw.uniform(0.08, 0.3, len(angles))[:, None] * 8 * side
        corners = draw.uniform(0, 8 * side, 2) + radii * np.stack([np.cos(angles), np.sin(angles)], 1)
        cv2.fillPoly(image, [corners.astype(np.int32)], float(draw.uniform(0.1, 0.9)))
    fine = torch.from_numpy(image)[None, None]
    return fine[..., 4::8, 4::8].contiguous() if aliased else F.avg_pool2d(fine, 8)


def _gridded(image: Tensor, period: int, height: float = 0.02) -> Tensor:
    """The image with a grid of so many pixels in it: one phase bright, another half as bright."""
    cell = torch.zeros(period, period)
    cell[0, 0], cell[period // 2, period // 2] = height, height / 2
    rows, columns = (-(-size // period) for size in image.shape[2:])
    return image + cell.repeat(rows, columns)[: image.shape[2], : image.shape[3]]


def _smooth_deconvolution() -> nn.ConvTranspose2d:
    """A bilinear x2 enlargement as a transposed convolution: no phase is favoured."""
    up, ramp = nn.ConvTranspose2d(1, 1, 4, 2, 1, bias=False), torch.tensor([0.25, 0.75, 0.75, 0.25])
    up.weight.data = torch.outer(ramp, ramp)[None, None].clone()
    return up


class Denoiser(nn.Module):
    """Of the input's size: half of it comes by a skip, half by way of half the size."""

    def __init__(self, strength: float = 0.0) -> None:
        super().__init__()
        self.up = _smooth_deconvolution()
        self.up.weight.data[..., 1::2, 1::2] *= 1 + strength

    def forward(self, x: Tensor) -> Tensor:
        return 0.5 * x + 0.5 * self.up(F.avg_pool2d(x, 2))


@pytest.fixture
def polygons() -> Callable[..., Tensor]:
    return _polygons


@pytest.fixture
def gridded() -> Callable[..., Tensor]:
    return _gridded


@pytest.fixture
def smooth_deconvolution() -> Callable[[], nn.ConvTranspose2d]:
    return _smooth_deconvolution


@pytest.fixture
def denoiser() -> type[Denoiser]:
    return Denoiser
