"""What is done to the content: resizing, grids, and everything that is no artifact here.

A degradation takes a gray image `(H, W)` in [0, 1] and a random generator, and gives an image of the same kind. The
functions that make one give the same object for the same arguments, so that readings can be kept by it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from fractions import Fraction

import cv2
import numpy as np
from content import Image, shrink_exactly

Degradation = Callable[[Image, np.random.Generator], Image]
SMOOTH_KERNELS = {"bilinear": cv2.INTER_LINEAR, "bicubic": cv2.INTER_CUBIC, "Lanczos": cv2.INTER_LANCZOS4}
FACTORS = (2, 3, 4, 5, 8)
"""by which content is enlarged"""


def shrink(image: Image, factor: float) -> Image:
    """By the mean over each area, as a camera would see it."""
    height, width = (max(1, round(s / factor)) for s in image.shape)
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)


def resized(image: Image, factor: float, kernel: int) -> Image:
    """Shrunk by `factor` and enlarged to its old size again."""
    small = shrink(image, factor)
    return np.clip(cv2.resize(small, image.shape[::-1], interpolation=kernel), 0, 1)


def enlarged(image: Image, factor: Fraction, kernel: int) -> Image:
    """Shrunk by exactly `factor` and enlarged again, whatever the size is: blocks start at the first pixel.

    The image is continued by its border up to whole blocks, and what they stick out is cut off afterwards.
    """
    height, width = image.shape
    whole = [-(-side // factor.numerator) * factor.numerator for side in image.shape]
    padded = np.pad(image, [(0, w - s) for w, s in zip(whole, image.shape, strict=True)], mode="edge")
    if factor.denominator == 1:
        small = shrink_exactly(padded, factor.numerator).astype(np.float32)
    else:
        small = shrink(padded, float(factor))
    if kernel == cv2.INTER_NEAREST_EXACT and factor.denominator == 1:
        large = np.kron(small, np.ones((factor.numerator,) * 2, np.float32))
    else:
        large = cv2.resize(small, padded.shape[::-1], interpolation=kernel)
    return np.clip(large[:height, :width], 0, 1)


@functools.cache
def nearest(factor: float | Fraction) -> Degradation:
    """Replication."""
    exact = Fraction(factor).limit_denominator(10)
    return lambda image, rng: enlarged(image, exact, cv2.INTER_NEAREST_EXACT)


@functools.cache
def smooth(name: str, factor: int) -> Degradation:
    """Enlargement by one of `SMOOTH_KERNELS`."""
    return lambda image, rng: enlarged(image, Fraction(factor), SMOOTH_KERNELS[name])


@functools.cache
def area(factor: float) -> Degradation:
    """A smaller image."""
    return lambda image, rng: shrink(image, factor)


@functools.cache
def blur(sigma: float) -> Degradation:
    """A Gaussian."""
    return lambda image, rng: cv2.GaussianBlur(image, (0, 0), sigma)


@functools.cache
def noise(sigma: float) -> Degradation:
    """White and Gaussian."""
    return lambda image, rng: (image + rng.normal(0, sigma, image.shape)).astype(np.float32)


@functools.cache
def jpeg(quality: int) -> Degradation:
    """Compressed and read again."""

    def degrade(image: Image, rng: np.random.Generator) -> Image:
        pixels = np.round(np.clip(image, 0, 1) * 255).astype(np.uint8)
        data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        return cv2.imdecode(data, cv2.IMREAD_GRAYSCALE).astype(np.float32) / 255

    return degrade


@functools.cache
def halo(amount: float, sigma: float = 1.0) -> Degradation:
    """Unsharp masking."""
    return lambda image, rng: np.clip(image + amount * (image - cv2.GaussianBlur(image, (0, 0), sigma)), 0, 1)


@functools.cache
def brightness(gain: float, offset: float) -> Degradation:
    """Another contrast."""
    return lambda image, rng: (gain * image + offset).astype(np.float32)


@functools.cache
def then(first: Degradation, second: Degradation) -> Degradation:
    """One after the other."""
    return lambda image, rng: second(first(image, rng), rng)


@functools.cache
def grid(period: int, amplitude: float, modulated: bool = False) -> Degradation:
    """A random grid of this period and rms amplitude; where `modulated`, stronger where the content is bright."""

    def degrade(image: Image, rng: np.random.Generator) -> Image:
        strength = 0.25 + 1.5 * cv2.GaussianBlur(image, (0, 0), 4) if modulated else 1.0
        return (image + amplitude * tiled(grid_pattern(period, rng), image.shape) * strength).astype(np.float32)

    return degrade


@functools.cache
def content_grid(period: int, amplitude: float) -> Degradation:
    """Content whose phases have unequal gains, as after an uneven overlap; what is added has this rms."""

    def degrade(image: Image, rng: np.random.Generator) -> Image:
        added = image * tiled(grid_pattern(period, rng), image.shape)
        return (image + amplitude / (np.sqrt(np.mean(added**2)) + 1e-9) * added).astype(np.float32)

    return degrade


def tiled(pattern: Image, shape: tuple[int, ...]) -> Image:
    """The pattern over and over, from the first pixel on."""
    height, width = shape
    return np.tile(pattern, (-(-height // pattern.shape[0]), -(-width // pattern.shape[1])))[:height, :width]


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


def _unchanged(image: Image, rng: np.random.Generator) -> Image:
    return image


JPEG = {f"JPEG {quality}": jpeg(quality) for quality in (30, 45, 60, 75, 90)}
SMOOTH: dict[str, Degradation] = {
    "clean": _unchanged,
    **{f"{name} x{factor}": smooth(name, factor) for name in SMOOTH_KERNELS for factor in FACTORS},
    **{f"area /{factor}": area(factor) for factor in (1.5, 2)},
    **{f"blur {sigma}": blur(sigma) for sigma in (0.7, 1.5, 3.0)},
    **{f"noise {sigma}": noise(sigma) for sigma in (0.01, 0.03, 0.05)},
    **{f"halo {amount:g}": halo(amount) for amount in (1.0, 2.0)},
    "dim": brightness(0.6, 0.2),
    **JPEG,
}
"""name -> whatever resizes smoothly, blurs, compresses, sharpens, scales or adds noise: no stair-step, no grid"""
