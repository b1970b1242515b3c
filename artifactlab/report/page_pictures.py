"""The pictures of the page: tensors as PNG in data URIs, roses as SVG paths."""

from __future__ import annotations

import base64
import math

import cv2
import numpy as np
from torch import Tensor

from artifactlab.evidence import spread
from artifactlab.metrics import gradient_direction_histogram
from artifactlab.metrics.spectrum import power_spectrum
from artifactlab.report.pictures import displayable

THUMB = 448
"""pixels of the longer side of the whole output, at most"""
TILES = 4
"""channels beside each other in a sheet"""
SPECTRUM_SIDE = 128
DECIBELS, STEP = 60.0, 3.0
"""range of powers that is shown, and what is told apart in it; fewer shades make smaller files"""
BINS = 36
MAP_COLOUR = (0, 94, 213)
"""Okabe and Ito's vermilion, in OpenCV's order"""


def data_uri(pixels: np.ndarray) -> str:
    """(H, W), (H, W, 3) in RGB or (H, W, 4) in BGRA, uint8, as a PNG."""
    if pixels.ndim == 3 and pixels.shape[2] == 3:
        pixels = pixels[..., ::-1]
    _, data = cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 6])
    return "data:image/png;base64," + base64.b64encode(data.tobytes()).decode()


def pair_uris(before: Tensor, after: Tensor, like: Tensor, side: int) -> tuple[str, str]:
    """Two (C, h, w) windows of an output as it was shown to be, cut to the middle `side` pixels."""
    cut = [_middle(_bytes(displayable(image, like)), side) for image in (before, after)]
    return data_uri(cut[0]), data_uri(cut[1])


def whole_uri(output: Tensor) -> str:
    """A (C, H, W) output in grey, reduced, as a ground for its maps."""
    image = displayable(output)
    grey = image if image.ndim == 2 else image @ np.array([0.299, 0.587, 0.114])
    return data_uri(_reduced(_bytes(grey)))


def map_uri(change: Tensor) -> tuple[str, float]:
    """An (H, W) change in orange, as opaque as it is large, and the change, in 1/255, at which it is opaque."""
    values = 255 * change.numpy()
    most = max(1.0, float(np.quantile(values, 0.995)))
    opacity = _reduced(_bytes(np.clip(values / most, 0, 1)))
    colour = np.broadcast_to(np.array(MAP_COLOUR, np.uint8), (*opacity.shape, 3))
    return data_uri(np.dstack([colour, opacity])), most


def sheet_uri(activation: Tensor, side: int) -> str:
    """The channels of a (C, h, w) activation beside and below each other, each on its own scale."""
    tiles = []
    for channel in activation:
        low, high = float(channel.min()), float(channel.max())
        scaled = (channel - low) / ((high - low) or 1.0)
        tiles.append(np.pad(_middle(_bytes(scaled.numpy()), side), 1, constant_values=128))
    columns = min(TILES, len(tiles))
    tiles += [np.full_like(tiles[0], 128)] * (-len(tiles) % columns)
    return data_uri(np.vstack([np.hstack(tiles[row : row + columns]) for row in range(0, len(tiles), columns)]))


def spectrum_uri(image: Tensor, period: tuple[int, int]) -> str:
    """The power spectrum of a (C, h, w) image in steps of 3 dB, zero frequency in the middle."""
    cut = image[None]
    if min(cut.shape[-2] // period[0], cut.shape[-1] // period[1]) == 0:
        period = (1, 1)
    power = power_spectrum(cut, period, data_range=spread(cut) or 1.0, side=SPECTRUM_SIDE)[0]
    decibels = 10 * (power / power.max().clamp_min(1e-30)).clamp_min(10 ** (-DECIBELS / 10)).log10().numpy()
    steps = np.round(decibels / STEP) * STEP
    return data_uri(_bytes(1 + steps / DECIBELS))


def rose(image: Tensor) -> list[float]:
    """Shares of the squared gradient by direction, both ends of each, of a (C, h, w) image."""
    shares = gradient_direction_histogram(image[None], BINS, data_range=spread(image) or 1.0)[0].tolist()
    return [*shares, *shares]


def petals(shares: list[float], most: float) -> str:
    """An SVG path of one sector per direction around (0, 0); a share of `most` is 100 long."""
    half = math.pi / len(shares)
    sectors = []
    for k, share in enumerate(shares):
        radius, angle = 100 * share / most, 2 * math.pi * k / len(shares)
        (x, y), (u, v) = (_polar(radius, angle + turn) for turn in (-half, half))
        sectors.append(f"M0 0L{x:.1f} {y:.1f}A{radius:.1f} {radius:.1f} 0 0 1 {u:.1f} {v:.1f}Z")
    return "".join(sectors)


def outline(shares: list[float], most: float) -> str:
    """An SVG path through the tips of the same."""
    tips = [_polar(100 * share / most, 2 * math.pi * k / len(shares)) for k, share in enumerate(shares)]
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in tips) + "Z"


def _polar(radius: float, angle: float) -> tuple[float, float]:
    return radius * math.cos(angle), radius * math.sin(angle)


def _bytes(values: np.ndarray) -> np.ndarray:
    return np.round(255 * np.clip(values, 0, 1)).astype(np.uint8)


def _middle(pixels: np.ndarray, side: int) -> np.ndarray:
    """The middle of an image, at most `side` pixels a side."""
    top, left = (max(0, length - side) // 2 for length in pixels.shape[:2])
    return pixels[top : top + side, left : left + side]


def _reduced(pixels: np.ndarray) -> np.ndarray:
    """The whole of an image, by averages over areas."""
    height, width = pixels.shape[:2]
    shrink = min(1.0, THUMB / max(height, width))
    size = (max(1, round(width * shrink)), max(1, round(height * shrink)))
    return pixels if shrink == 1 else cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
