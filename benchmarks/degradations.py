"""What is done to the content: resizing, upsamplers gone wrong, grids, and everything that is no artifact here."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from content import Image

Degradation = Callable[[Image, np.random.Generator], Image]
SMOOTH_KERNELS = {"bilinear": cv2.INTER_LINEAR, "bicubic": cv2.INTER_CUBIC, "Lanczos": cv2.INTER_LANCZOS4}


def shrink(image: Image, factor: float) -> Image:
    """By the mean over each area, as a camera would see it."""
    height, width = (max(1, round(s / factor)) for s in image.shape)
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)


def resized(image: Image, factor: float, kernel: int) -> Image:
    """Shrunk by `factor` and enlarged to its old size again."""
    small = shrink(image, factor)
    return np.clip(cv2.resize(small, image.shape[::-1], interpolation=kernel), 0, 1)


def nearest(factor: float) -> Degradation:
    return lambda image, rng: resized(image, factor, cv2.INTER_NEAREST_EXACT)


def smooth(name: str, factor: float) -> Degradation:
    return lambda image, rng: resized(image, factor, SMOOTH_KERNELS[name])


def nearest_non_integer(image: Image, rng: np.random.Generator) -> Image:
    return resized(image, float(rng.choice([1.5, 2.5, 3.5]) + rng.uniform(-0.2, 0.2)), cv2.INTER_NEAREST_EXACT)


def blur(sigma: float) -> Degradation:
    return lambda image, rng: cv2.GaussianBlur(image, (0, 0), sigma)


def noise(sigma: float) -> Degradation:
    return lambda image, rng: (image + rng.normal(0, sigma, image.shape)).astype(np.float32)


def jpeg(quality: int) -> Degradation:
    def degrade(image: Image, rng: np.random.Generator) -> Image:
        pixels = np.round(np.clip(image, 0, 1) * 255).astype(np.uint8)
        data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        return cv2.imdecode(data, cv2.IMREAD_GRAYSCALE).astype(np.float32) / 255

    return degrade


def halo(amount: float, sigma: float = 1.0) -> Degradation:
    """Unsharp masking."""
    return lambda image, rng: np.clip(image + amount * (image - cv2.GaussianBlur(image, (0, 0), sigma)), 0, 1)


def brightness(gain: float, offset: float) -> Degradation:
    return lambda image, rng: (gain * image + offset).astype(np.float32)


def grid(period: int, amplitude: float, modulated: bool = False) -> Degradation:
    """A random grid of this period and rms amplitude; where `modulated`, stronger where the content is bright."""

    def degrade(image: Image, rng: np.random.Generator) -> Image:
        pattern = grid_pattern(period, rng)
        height, width = image.shape
        tiled = np.tile(pattern, (-(-height // period), -(-width // period)))[:height, :width] * amplitude
        strength = 0.25 + 1.5 * cv2.GaussianBlur(image, (0, 0), 4) if modulated else 1.0
        return (image + tiled * strength).astype(np.float32)

    return degrade


def grid_pattern(period: int, rng: np.random.Generator) -> Image:
    """Zero mean, unit rms, mostly of no smaller period: a checkerboard, or uneven phases."""
    if period == 2 and rng.random() < 0.5:
        return np.array([[1, -1], [-1, 1]], np.float32)
    pattern = rng.normal(0, 1, (period, period))
    half = period // 2
    for axis in (0, 1):  # what repeats after half the period belongs to a smaller one
        pattern = pattern - 0.7 * (pattern + np.roll(pattern, half, axis)) / 2 if period > 2 else pattern
    pattern -= pattern.mean()
    return (pattern / pattern.std()).astype(np.float32)


def uneven_overlap(image: Image, rng: np.random.Generator) -> Image:
    """A x2 transposed convolution whose 3x3 kernel is no multiple of its stride; phases get 1, 2, 2 and 4 terms."""
    small = torch.from_numpy(shrink(image, 2))[None, None]
    kernel = torch.tensor([0.5, 1.0, 0.5]) + torch.from_numpy(rng.normal(0, 0.1, 3)).float()
    kernel = torch.outer(kernel, kernel)
    out = F.conv_transpose2d(small, kernel[None, None] / (kernel.sum() / 4), stride=2, padding=1, output_padding=1)
    return out[0, 0].numpy()[: image.shape[0], : image.shape[1]]


def unequal_shuffle(image: Image, rng: np.random.Generator) -> Image:
    """A x2 pixel shuffle whose four sub-kernels differ in gain by a few percent."""
    gains = 1 + rng.normal(0, 0.03, (2, 2)).astype(np.float32)
    fine = resized(image, 2, cv2.INTER_CUBIC)
    return fine * np.tile(gains, (-(-image.shape[0] // 2), -(-image.shape[1] // 2)))[: image.shape[0], : image.shape[1]]


STAIRS: dict[str, Degradation] = {f"nearest x{s}": nearest(s) for s in (2, 3, 4, 8)}
CLEAN: dict[str, Degradation] = {
    "clean": lambda image, rng: image,
    **{f"{name} x{s}": smooth(name, s) for name in SMOOTH_KERNELS for s in (2, 3, 4)},
    "area /2": lambda image, rng: shrink(image, 2),
    **{f"blur {sigma}": blur(sigma) for sigma in (0.7, 1.5, 3.0)},
    **{f"JPEG {q}": jpeg(q) for q in (30, 50, 70, 90)},
    "halo 1": halo(1.0),
    "halo 2": halo(2.0),
    "dim": brightness(0.6, 0.2),
}
"""whatever resizes smoothly, blurs, compresses, sharpens or scales: no stair-step"""
NOISE: dict[str, Degradation] = {f"noise {sigma}": noise(sigma) for sigma in (0.01, 0.03, 0.05)}
