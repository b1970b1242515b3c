"""Gaussian derivatives and the structure tensor: the shared ground of the edge metrics.

Source: J. Bigun, G. Granlund, "Optimal orientation detection of linear symmetry", ICCV 1987.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class Orientation(NamedTuple):
    """Local orientation of a stack of planes; every field has the planes' shape."""

    normal: Tensor
    """angle of the edge normal, radians in (-pi/2, pi/2]"""
    coherence: Tensor
    """0 (no single direction) to 1 (one direction only)"""
    magnitude: Tensor
    """gradient magnitude, value units per pixel"""


def gaussian(sigma: float, like: Tensor, derivative: bool = False) -> Tensor:
    """A sampled Gaussian of unit sum, or its derivative scaled to measure a unit ramp as 1."""
    radius = max(1, math.ceil(3 * sigma))
    t = torch.arange(-radius, radius + 1, dtype=like.dtype, device=like.device)
    kernel = torch.exp(-0.5 * (t / sigma) ** 2)
    if not derivative:
        return kernel / kernel.sum()
    kernel = t * kernel
    return kernel / (t * kernel).sum()


def separable(planes: Tensor, vertical: Tensor, horizontal: Tensor) -> Tensor:
    """Correlate `(P, 1, H, W)` planes with two 1-D kernels; borders are replicated."""
    v, h = vertical.numel() // 2, horizontal.numel() // 2
    padded = F.pad(planes, (h, h, v, v), mode="replicate")
    return F.conv2d(F.conv2d(padded, vertical.view(1, 1, -1, 1)), horizontal.view(1, 1, 1, -1))


def gradient(planes: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
    """Gaussian derivatives `(d/dy, d/dx)` of `(P, 1, H, W)` planes at scale `sigma` pixels."""
    smooth, slope = gaussian(sigma, planes), gaussian(sigma, planes, derivative=True)
    return separable(planes, slope, smooth), separable(planes, smooth, slope)


def orientation(planes: Tensor, sigma: float, integration: float) -> Orientation:
    """Structure-tensor orientation with derivative scale `sigma` and integration scale `integration` pixels."""
    gy, gx = gradient(planes, sigma)
    window = gaussian(integration, planes)
    xx, yy, xy = (separable(p, window, window) for p in (gx * gx, gy * gy, gx * gy))
    anisotropy = torch.hypot(xx - yy, 2 * xy)
    coherence = anisotropy / (xx + yy).clamp_min(torch.finfo(planes.dtype).tiny)
    return Orientation(0.5 * torch.atan2(2 * xy, xx - yy), coherence, torch.hypot(gx, gy))
