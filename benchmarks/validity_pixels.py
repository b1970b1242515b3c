"""Stair-steps are read in pixels: of a known step, in the order of the factors, and after a filter what it leaves."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from content import Image, shrink_exactly
from degradations import FACTORS, blur, nearest, then
from validity_content import Content, Split
from validity_readings import Array, Row, jaggedness, percent, read, reading_of, spectral

ANGLES = (15, 20, 25, 30, 35, 40, 50, 55, 60, 65, 70, 75)
HALF_PLANE = 384
SUBPIXELS = 8
WITHIN_PIXELS, WITHIN_LINEAR = 0.10, 0.15
SIGMAS = {"p/8": 1 / 8, "p/4": 1 / 4, "3p/8": 3 / 8}
LADDER = (2, 3, 4, 8)


def sawtooth(period: int) -> float:
    """rms displacement of replication, in pixels: the displacements are -(p-1)/2, ..., (p-1)/2, each equally often."""
    return math.sqrt((period**2 - 1) / 12)


def share_left(period: int, sigma: float) -> float:
    """What a Gaussian leaves of the sawtooth's rms, harmonic by harmonic.

    Its response is that of the kernel that is really applied: with a sigma of half a pixel, a kernel on whole pixels
    leaves .57 of what alternates from pixel to pixel, where exp(-2 (pi sigma f)^2) would be .29.
    """
    power = np.abs(np.fft.fft(np.arange(period) - (period - 1) / 2))[1:] ** 2
    impulse = np.zeros((1, 64 * period), np.float32)
    impulse[0, 32 * period] = 1
    response = np.abs(np.fft.fft(blur(sigma)(impulse, np.random.default_rng(0))[0]))[64::64]
    return math.sqrt(float((power * response**2).sum() / power.sum()))


def half_planes_are_in_pixels(split: Split) -> Iterator[Row]:
    """A half-plane replicated, across an edge of a known angle; its small image is anti-aliased, or black and white."""
    for name, anti_aliased in (("anti-aliased", True), ("black and white", False)):
        ratios = np.array([_half_plane_ratios(factor, anti_aliased) for factor in range(2, 9)])
        measured = f"{_spread(ratios, WITHIN_PIXELS)}, from {ratios.min():.2f} to {ratios.max():.2f}"
        near = bool((np.abs(ratios - 1) <= WITHIN_PIXELS).all())
        yield Row(f"pixels: half-planes, x2 to x8, {len(ANGLES)} angles, {name}", "all within 10%", measured, near)


def _half_plane_ratios(factor: int, anti_aliased: bool) -> Array:
    images = [_half_plane(factor, angle, anti_aliased) for angle in ANGLES]
    return read(jaggedness(factor), images) / sawtooth(factor)


def _half_plane(factor: int, angle: float, anti_aliased: bool) -> Image:
    size = HALF_PLANE // factor
    fine = size * (SUBPIXELS if anti_aliased else 1)
    y, x = ((np.mgrid[0:fine, 0:fine] + 0.5) / fine - 0.5) * size
    beyond = x * math.cos(math.radians(angle)) + y * math.sin(math.radians(angle)) > 0.123
    small = shrink_exactly(beyond.astype(np.float32), fine // size)
    return np.kron(small, np.ones((factor, factor))).astype(np.float32)


def photos_are_in_pixels(split: Split) -> Iterator[Row]:
    """Photos and scenes replicated: the middle one of every factor, and the share of all that are near."""
    for content in (split.photos, split.rendered):
        found = {f: content.read(jaggedness(f), nearest(f)) / sawtooth(f) for f in FACTORS}
        middles = {factor: float(np.median(ratios)) for factor, ratios in found.items()}
        measured = ", ".join(f"x{factor} {middle:.2f}" for factor, middle in middles.items())
        near = all(abs(middle - 1) <= WITHIN_PIXELS for middle in middles.values())
        yield Row(f"pixels: {content.name} replicated, median of each factor", "within 10%", measured, near)
        yield Row("... of all crops", "", _spread(np.concatenate(list(found.values())), WITHIN_PIXELS), None)


def readings_are_linear(split: Split) -> Iterator[Row]:
    """What is read after a blur over what was read before, against what the filter leaves."""
    for content in (split.photos, split.rendered):
        for name, sigma in SIGMAS.items():
            found = {factor: _left_over_expected(content, factor, sigma * factor) for factor in FACTORS}
            middles = {factor: float(np.median(ratios)) for factor, (ratios, _) in found.items() if ratios.size}
            near = [abs(middle - 1) <= WITHIN_LINEAR for middle in middles.values()]
            measured = ", ".join(f"x{factor} {middle:.2f}" for factor, middle in middles.items())
            claim = f"linear: {content.name}, Gaussian of {name}, median of each factor"
            yield Row(claim, "within 15%", measured, len(near) == len(FACTORS) and all(near))
            together = np.concatenate([ratios for ratios, _ in found.values()])
            told = together.size / sum(count for _, count in found.values())
            yield Row("... of all crops that can be told", "", f"{_spread(together, 0.15)}; told {percent(told)}", None)
            own = {
                f: middle * share_left(f, sigma * f) / _own_left(content, f, sigma * f) for f, middle in middles.items()
            }
            measured = ", ".join(f"x{factor} {ratio:.2f}" for factor, ratio in own.items())
            yield Row("... over what it leaves of the content's own images", "", measured, None)


def _own_left(content: Content, factor: int, sigma: float) -> float:
    """What a Gaussian leaves of the displacement of all content, by its images' spectrum over its slopes'.

    It is more than of a sinusoid of the lattice's period: of what stands beside the lattice's frequencies, the half
    that is nearer to zero is kept better, and the edges themselves get softer. The median over the crops.
    """
    shares = []
    for image in content.images:
        before = nearest(factor)(image, np.random.default_rng(0))
        after = blur(sigma)(before, np.random.default_rng(0))
        shares.append(_images_over_slopes(after, factor) / max(_images_over_slopes(before, factor), 1e-12))
    return float(np.median(shares))


def _images_over_slopes(image: Image, period: int) -> float:
    """rms of the images along one axis over rms of the base band's slope; neither of axis-parallel content."""
    taper = np.outer(*(np.hanning(side) for side in image.shape))
    power = np.abs(np.fft.fft2((image - image.mean()) * taper)) ** 2
    rows, columns = (np.fft.fftfreq(side) for side in image.shape)
    inside = [np.abs(f) < 0.5 / period for f in (rows, columns)]
    oblique = np.outer(*(np.abs(f - np.round(f * period) / period) > 1.5 / f.size for f in (rows, columns)))
    images = oblique & (inside[0][:, None] ^ inside[1][None])
    slopes = 4 * math.pi**2 * (rows[:, None] ** 2 + columns[None] ** 2) * (oblique & np.outer(*inside))
    return math.sqrt(float((power * images).sum() / max((power * slopes).sum(), 1e-12)))


def _left_over_expected(content: Content, factor: int, sigma: float) -> tuple[Array, int]:
    """Of every crop that can be told before and after: the ratio; and how many crops there are."""
    before = reading_of(content.read(spectral(factor), nearest(factor)))
    after = reading_of(content.read(spectral(factor), then(nearest(factor), blur(sigma))))
    told = (before.told > 0) & (after.told > 0) & (before.warp > 0)
    return after.warp[told] / before.warp[told] / share_left(factor, sigma), told.size


def factors_are_in_order(split: Split) -> Iterator[Row]:
    """Larger steps read larger, wherever all of them can be told."""
    for content in (split.photos, split.rendered):
        readings = [reading_of(content.read(spectral(factor), nearest(factor))) for factor in LADDER]
        told = np.all([reading.told > 0 for reading in readings], 0)
        growing = (np.diff([reading.warp for reading in readings], axis=0) > 0).all(0)
        share = float(growing[told].mean()) if told.any() else 0.0
        measured = f"{percent(share)} of {told.sum()} that can be told, of {told.size}"
        yield Row(f"x2 < x3 < x4 < x8, {content.name}, period given", ">= 99%", measured, share >= 0.99)


def _spread(ratios: Array, within: float) -> str:
    """How many are near to 1, and the middle one."""
    if not ratios.size:
        return "none"
    near = int((np.abs(ratios - 1) <= within).sum())
    return f"{near} of {ratios.size} within {within:.0%} ({near / ratios.size:.0%}), median {np.median(ratios):.2f}"
