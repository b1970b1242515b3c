"""Regular texture that no decoder drew: chessboards, screentone, and pages of text in five scripts."""

from __future__ import annotations

import math

import cv2
import numpy as np
from content import FRACTION_BITS, Image, shrink_exactly
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath

SUBPIXELS = 8
DOT_SUBPIXELS = 4
SIDE = 240
SCRIPTS = {
    "Latin": [chr(code) for code in range(0x61, 0x7B)],
    "Greek": [chr(code) for code in range(0x3B1, 0x3CA)],
    "Cyrillic": [chr(code) for code in range(0x430, 0x450)],
    "Hebrew": [chr(code) for code in range(0x5D0, 0x5EB)],
    "Georgian": [chr(code) for code in range(0x10D0, 0x10F1)],
}
"""small letters that DejaVu Sans has; it ships with matplotlib"""


def chessboard(seed: int, whole_pixels: bool) -> Image:
    """Cells of 2 to 24 pixels from any place on, exactly anti-aliased; of whole pixels, or of anything between."""
    rng = np.random.default_rng(seed)
    cell = float(rng.integers(2, 25)) if whole_pixels else rng.uniform(2, 24)
    start = rng.integers(0, 48, 2) if whole_pixels else rng.uniform(0, 48, 2)
    lines = [_odd_cells(start[axis], cell) for axis in (0, 1)]
    mask = np.outer(lines[0], 1 - lines[1]) + np.outer(1 - lines[0], lines[1])
    return _inked(mask, rng)


def _odd_cells(start: float, cell: float) -> Image:
    """How much of each pixel lies in an odd cell."""
    edges = (start + np.arange(SIDE + 1)) / cell
    covered = np.floor(edges / 2) + np.clip(edges % 2 - 1, 0, 1)  # cells that are odd, up to each edge
    return np.diff(covered) * cell


def screentone(seed: int) -> Image:
    """Dots on a screen of 45 degrees or any other angle, larger where the picture is darker."""
    rng = np.random.default_rng(seed)
    pitch = float(rng.integers(3, 13)) if rng.random() < 0.5 else rng.uniform(3, 12)
    angle = math.pi / 4 if rng.random() < 0.5 else rng.uniform(0, math.pi / 2)
    y, x = (np.mgrid[0 : SIDE * DOT_SUBPIXELS, 0 : SIDE * DOT_SUBPIXELS].astype(np.float32) + 0.5) / DOT_SUBPIXELS
    u, v = x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)
    dots = np.cos(2 * math.pi * u / pitch) + np.cos(2 * math.pi * v / pitch)
    tone = cv2.GaussianBlur(rng.normal(0, 1, (SIDE, SIDE)).astype(np.float32), (0, 0), rng.uniform(10, 30))
    tone = cv2.resize(tone / np.abs(tone).max(), (SIDE * DOT_SUBPIXELS,) * 2, interpolation=cv2.INTER_CUBIC)
    return _inked(shrink_exactly((dots > 1.5 * tone).astype(np.float32), DOT_SUBPIXELS), rng)


def text_page(script: str, seed: int) -> Image:
    """A page of words, exactly anti-aliased; lines are a fraction of a pixel off the rows."""
    rng = np.random.default_rng(seed)
    canvas = np.zeros((SIDE * SUBPIXELS,) * 2, np.uint8)
    size = rng.uniform(9, 20)
    spacing, left = size * rng.uniform(1.15, 1.7), rng.uniform(0, 8)
    letters = SCRIPTS[script] + [" "] * (len(SCRIPTS[script]) // 5)
    font = FontProperties(family="DejaVu Sans", weight="bold" if rng.random() < 0.25 else "normal")
    for line in range(int(SIDE / spacing)):
        words = "".join(rng.choice(letters, int(2 * SIDE / size)))
        path = TextPath((0, 0), words, size=size, prop=font)
        rings = [ring * (1, -1) + (left, (line + 0.9) * spacing) for ring in path.to_polygons(closed_only=True)]
        points = [np.round((ring * SUBPIXELS - 0.5) * 2**FRACTION_BITS).astype(np.int32) for ring in rings]
        cv2.fillPoly(canvas, points, 255, cv2.LINE_8, FRACTION_BITS)
    return _inked(shrink_exactly(canvas.astype(np.float32) / 255, SUBPIXELS), rng)


def _inked(mask: Image, rng: np.random.Generator) -> Image:
    """Dark on light, or light on dark, with a contrast of .4 at least."""
    dark, light = rng.uniform(0, 0.3), rng.uniform(0.7, 1)
    mask = mask if rng.random() < 0.25 else 1 - mask
    return (dark + (light - dark) * mask).astype(np.float32)
