"""Gaussians, their derivatives, and separable filters."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def gaussian(sigma: float, like: Tensor, derivative: bool = False) -> Tensor:
    """A sampled Gaussian of unit sum, or its derivative scaled to measure a unit ramp as 1."""
    radius = max(1, math.ceil(3 * sigma))  # beyond three sigmas lies a quarter of a percent
    t = torch.arange(-radius, radius + 1, dtype=like.dtype, device=like.device)
    kernel = torch.exp(-0.5 * (t / sigma) ** 2)
    if not derivative:
        return kernel / kernel.sum()
    kernel = t * kernel
    return kernel / (t * kernel).sum()


def separable(planes: Tensor, vertical: Tensor, horizontal: Tensor) -> Tensor:
    """Correlate `(..., H, W)` planes with two 1-D kernels of odd length; borders are replicated.

    On a CPU, adding shifted planes is many times faster than a convolution layer with one channel.
    """
    v, h = vertical.numel() // 2, horizontal.numel() // 2
    padded = F.pad(planes, (h, h, v, v), mode="replicate")
    for axis, kernel in ((-2, vertical), (-1, horizontal)):
        size = padded.shape[axis] - kernel.numel() + 1
        first, *others = kernel.tolist()
        total = padded.narrow(axis, 0, size) * first
        for shift, value in enumerate(others, 1):
            total.add_(padded.narrow(axis, shift, size), alpha=value)
        padded = total
    return padded


def gradient(planes: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
    """Gaussian derivatives `(d/dy, d/dx)` of `(P, 1, H, W)` planes at scale `sigma` pixels."""
    smooth, slope = gaussian(sigma, planes), gaussian(sigma, planes, derivative=True)
    return separable(planes, slope, smooth), separable(planes, smooth, slope)
