"""The pictures of the page: tensors as PNG in data URIs, roses as SVG paths."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from torch import Tensor

from artifactlab.report.flat import Flat, flat_for
from artifactlab.report.pictures import DECIBELS, VERMILION, decibels, in_255ths
from artifactlab.report.tracks import DECIBELS as TONE_DECIBELS
from artifactlab.report.tracks import signal_spectrum

THUMB = 448
"""Pixels of the longer side of an output below its maps, at most; the screen has no more for them."""
SLICES_THUMB = 400
"""The same of slices of a volume, of which every site has its own: twelve of them fit into a page however they look."""
LINE_POINTS = 256
"""Points of the line of a spectrum, which is about as many pixels wide."""
TILES = 4
"""Channels beside each other in a sheet, which has at most 8."""
WIDE = 160
"""Pixels from which on a tile is wide, and half as many are beside each other: slices and spectrograms are to be seen,
too."""
SPECTRUM_SIDE = 128
"""Pixels of a side of a spectrum, about as many as it takes of the screen."""
STEP = 3.0
"""Decibels that are told apart: a factor of two in power. Fewer shades make smaller files."""


class Picture(NamedTuple):
    """A picture of the page."""

    uri: str
    """It as a PNG, in a data URI."""
    width: int
    """Columns of what it shows."""
    height: int
    """Rows of what it shows."""


def data_uri(pixels: np.ndarray) -> str:
    """(H, W), (H, W, 3) in RGB or (H, W, 4) in BGRA, uint8, as a PNG."""
    if pixels.ndim == 3 and pixels.shape[2] == 3:
        pixels = pixels[..., ::-1]
    _, data = cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 6])
    return "data:image/png;base64," + base64.b64encode(data.tobytes()).decode()


def pair_uris(before: Tensor, after: Tensor, like: Tensor, flat: Flat, side: int) -> tuple[Picture, Picture]:
    """Two (C, *space) windows of outputs in the colours of the output `like`; of images the middle `side` pixels."""
    shown = like if before.ndim > 2 else before  # a spectrogram is as loud as its loudest
    first, second = (_bytes(flat.close_up(image, shown)) for image in (before, after))
    if before.ndim == 3:
        first, second = _middle(first, side), _middle(second, side)
    return _picture(first), _picture(second)


def output_picture(output: Tensor, flat: Flat) -> Picture:
    """A (C, *space) output in grey, reduced, as a ground for its maps; the size is that before."""
    height, width = flat.size
    return Picture(data_uri(_reduced(_bytes(flat.ground(output)), _thumb(output.ndim - 1))), width, height)


def map_uri(change: Tensor, flat: Flat) -> tuple[str, float]:
    """A (*space) change in orange, as opaque as it is large, and the change, in 1/255, at which it is opaque."""
    values, most = in_255ths(flat.change(change))
    opacity = _reduced(_bytes(np.clip(values / most, 0, 1)), _thumb(change.ndim))
    colour = np.broadcast_to(np.array(VERMILION[::-1], np.uint8), (*opacity.shape, 3))
    return data_uri(np.dstack([colour, opacity])), most


def sheet_uri(activation: Tensor, names: Sequence[str], side: int) -> str:
    """The channels of a (C, *space) activation beside and below each other, each on its own scale."""
    tiles = []
    flat = flat_for(activation, names)
    for channel in activation[:, None]:
        low, high = float(channel.min()), float(channel.max())
        scaled = (channel - low) / ((high - low) or 1.0)
        tile = flat.close_up(scaled, scaled)
        tiles.append(np.pad(_middle(_bytes(tile), side), 1, constant_values=128))
    columns = min(TILES if tiles[0].shape[1] <= WIDE else TILES // 2, len(tiles))
    missing = -len(tiles) % columns
    tiles += [np.full_like(tiles[0], 128)] * missing
    rows = [np.hstack(tiles[first : first + columns]) for first in range(0, len(tiles), columns)]
    return data_uri(np.vstack(rows))


def spectrum_uri(batch: Tensor, period: tuple[int, ...]) -> str:
    """The mean power spectrum of (N, C, h, w) images in steps of 3 dB, zero frequency in the middle."""
    fits = all(p <= min(SPECTRUM_SIDE, length) for p, length in zip(period, batch.shape[2:], strict=True))
    below = decibels(batch, (period[0], period[1]) if fits else 1, SPECTRUM_SIDE)
    return data_uri(_bytes(1 + np.round(below / STEP) * STEP / DECIBELS))


def spectrum_line(signal: Tensor, period: int) -> str:
    """The mean power spectrum of a (C, L) signal as an SVG path, 100 wide and 100 high."""
    below = signal_spectrum(signal, period)
    # as many points as one sees, each the loudest of its frequencies
    points = np.array([part.max() for part in np.array_split(below, min(LINE_POINTS, len(below)))])
    places = np.linspace(0, 100, len(points))
    return "M" + "L".join(f"{x:.1f} {-y * 100 / TONE_DECIBELS:.1f}" for x, y in zip(places, points, strict=True))


def petals(shares: np.ndarray, most: float) -> str:
    """An SVG path of one sector per direction around (0, 0); a share of `most` is 100 long."""
    half = math.pi / len(shares)
    sectors = []
    for k, share in enumerate(shares):
        radius = 100 * share / most
        angle = 2 * math.pi * k / len(shares)
        start_x, start_y = _polar(radius, angle - half)
        end_x, end_y = _polar(radius, angle + half)
        arc = f"A{radius:.1f} {radius:.1f} 0 0 1 {end_x:.1f} {end_y:.1f}"
        sectors.append(f"M0 0L{start_x:.1f} {start_y:.1f}{arc}Z")
    return "".join(sectors)


def outline(shares: np.ndarray, most: float) -> str:
    """An SVG path through the tips of the petals that `petals` would draw."""
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


def _picture(pixels: np.ndarray) -> Picture:
    return Picture(data_uri(pixels), pixels.shape[1], pixels.shape[0])


def _thumb(directions: int) -> int:
    """Pixels of the longer side of a ground and its maps."""
    return SLICES_THUMB if directions > 2 else THUMB


def _reduced(pixels: np.ndarray, side: int) -> np.ndarray:
    """All of an image in at most `side` pixels a side, by averages over areas."""
    height, width = pixels.shape[:2]
    shrink = min(1.0, side / max(height, width))
    size = (max(1, round(width * shrink)), max(1, round(height * shrink)))
    return pixels if shrink == 1 else cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
