"""Edges whose place is known, and what of a net's output keeps step with a lattice there: no measure of artifactlab.

Shapes are rendered from their formulas and passed through a task's degradation; of glyphs the outlines are the font's.
Along the known edges the contour at half the contrast is followed: its displacement, averaged in step with the lattice,
is what stair-steps are. Where the target is flat, the means of the lattice's phases are what grids are. Both averages
are taken of two halves of the data, and their product is what counts: noise has none on average.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor, nn
from training_loop import outputs
from training_records import Pairs, Task, as_batch

Floats = NDArray[np.float64]
SIDE, COUNT, OVERSAMPLING = 96, 64, 8
SEEDS = {"validation": 0, "test": 1}
MOST = 128
"""glyphs whose outlines are followed"""
SPACING = 0.5
"""pixels from one place on an edge to the next"""
REACH, FINE = 3.0, 0.25
"""pixels across an edge in which its contour is looked for, and between samples there"""
STRAIGHT = math.cos(math.radians(25))
"""cosine of the most that an outline may turn within `REACH` pixels: at a corner it has no displacement"""
BORDER, FLAT = 8, 6
"""pixels: left out along the border, which nets pad in their own way; in which a target has one value around a pixel"""
SECTORS = 24
"""of directions; stair-steps of edges in different directions are different"""


class Known(NamedTuple):
    """Targets, and places on their edges."""

    pairs: Pairs
    image: NDArray[np.int64]
    """(P,) number of the target that a place is in"""
    place: Floats
    """(P, 2) (x, y) in pixels; pixel k is centred at k + 1/2"""
    normal: Floats
    """(P, 2) unit vectors from the brighter to the darker side"""


class Contours(NamedTuple):
    """What a net draws at known edges and beside them."""

    steps: float
    """rms of stair-steps, in pixels; infinite where no contour was found"""
    grid: float
    """rms of grids, in data ranges"""
    found: float
    """share of the places on edges where a contour was found"""


def contours_of(model: nn.Module, task: Task, split: str) -> Contours:
    """Those of a net."""
    known = known_edges(task, split)
    output = outputs(model, known.pairs.given)
    moved = displacements(known, output)
    grid = flat_grid(output, known.pairs.wanted, task.period)
    return Contours(in_step(known, moved, task.period), grid, float(np.isfinite(moved).mean()))


@functools.lru_cache(maxsize=4)
def _shapes(split: str) -> tuple[Tensor, list[list[Floats]]]:
    """Discs and half-planes (N, 1, H, W), and their edges."""
    rng = np.random.default_rng(SEEDS[split])
    drawn = [shape(rng, k % 2 == 0) for k in range(COUNT)]
    return as_batch([image for image, _ in drawn]), [[edge] for _, edge in drawn]


def shape(rng: np.random.Generator, disc: bool) -> tuple[NDArray[np.float32], Floats]:
    """A disc or a half-plane of one gray on another, by area coverage, and its edge."""
    low, high = rng.uniform(0.05, 0.35), rng.uniform(0.65, 0.95)
    first, second = (low, high) if rng.random() < 0.5 else (high, low)
    axis = (np.arange(SIDE * OVERSAMPLING) + 0.5) / OVERSAMPLING
    x, y = axis[None], axis[:, None]
    centre = SIDE / 2 + rng.uniform(-8, 8, 2)
    if disc:
        radius = rng.uniform(18, 32)
        inside = np.hypot(x - centre[0], y - centre[1]) < radius
        turn = np.arange(0, 2 * math.pi, SPACING / radius)
        edge = centre + radius * np.stack([np.cos(turn), np.sin(turn)], 1)
    else:
        angle = rng.uniform(0, 2 * math.pi)
        inside = (x - centre[0]) * math.cos(angle) + (y - centre[1]) * math.sin(angle) < 0
        along = np.arange(-SIDE, SIDE, SPACING)[:, None]
        edge = centre + along * (-math.sin(angle), math.cos(angle))
    cover = inside.reshape(SIDE, OVERSAMPLING, SIDE, OVERSAMPLING).mean((1, 3))
    return (second + (first - second) * cover).astype(np.float32), edge


_KEPT: dict[tuple[str, str], Known] = {}
"""(title of a task, split) -> its edges"""


def known_edges(task: Task, split: str) -> Known:
    """Those of a task's split: of shapes that are degraded as its photos are, or of its glyphs."""
    if (task.title, split) not in _KEPT:
        if task.degrade:
            clean, edges = _shapes(split)
            pairs = Pairs(task.degrade(clean), clean)
        else:
            whole = task.validation if split == "validation" else task.test
            pairs = Pairs(*(images[:MOST] for images in whole))
            edges = [[evenly(ring) for ring in rings] for rings in task.outlines[split][:MOST]]
        _KEPT[task.title, split] = _placed(pairs, edges)
    return _KEPT[task.title, split]


def evenly(ring: Floats) -> Floats:
    """Places on a polygon, `SPACING` apart."""
    closed = np.concatenate([ring, ring[:1]])
    walked = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(closed, axis=0), axis=1))])
    stops = np.arange(0, walked[-1], SPACING)
    return np.stack([np.interp(stops, walked, closed[:, k]) for k in (0, 1)], 1)


def _placed(pairs: Pairs, edges: Sequence[Sequence[Floats]]) -> Known:
    """Places with their normals, where an edge is straight, inside the image and one in the target."""
    parts = []
    for number, lines in enumerate(edges):
        for line in lines:
            reach = round(REACH / SPACING)
            ahead, behind = np.roll(line, -reach, 0) - line, line - np.roll(line, reach, 0)
            tangent = ahead + behind
            lengths = [np.maximum(np.linalg.norm(part, axis=1), 1e-9) for part in (ahead, behind, tangent)]
            straight = (ahead * behind).sum(1) > STRAIGHT * lengths[0] * lengths[1]
            normal = np.stack([tangent[:, 1], -tangent[:, 0]], 1) / lengths[2][:, None]
            within = ((line > BORDER) & (line < pairs.wanted.shape[-1] - BORDER)).all(1) & straight
            parts.append((np.full(int(within.sum()), number), line[within], normal[within]))
    known = Known(pairs, *(np.concatenate(part) for part in zip(*parts, strict=True)))
    rise = (profiles(known, pairs.wanted, np.array([-1.5, 1.5])) * (1, -1)).sum(1)  # brighter behind than ahead
    kept = np.abs(rise) > 0.3
    normal = known.normal * np.sign(rise)[:, None]
    return Known(pairs, known.image[kept], known.place[kept], normal[kept])


def profiles(known: Known, images: Tensor, across: Floats) -> Floats:
    """(P, K): images at K distances across each place's edge, by cubic splines."""
    places = known.place[:, None] + across[:, None] * known.normal[:, None]
    values = np.empty(places.shape[:2])
    for number, image in enumerate(images[:, 0].double().numpy()):
        here = known.image == number
        x, y = np.moveaxis(places[here], -1, 0) - 0.5
        values[here] = ndimage.map_coordinates(image, [y, x], order=3, mode="nearest")
    return values


def displacements(known: Known, output: Tensor) -> Floats:
    """(P,): how far the contour at half the target's contrast lies from each place, along its normal; NaN where there
    is none near."""
    across = np.arange(-REACH, REACH + FINE, FINE)
    values = profiles(known, output, across)
    sides = profiles(known, known.pairs.wanted, np.array([-REACH, REACH]))
    above = values - sides.mean(1, keepdims=True)
    falls = (above[:, :-1] > 0) & (above[:, 1:] <= 0)
    drop = np.where(falls, above[:, :-1] - above[:, 1:], 1)
    crossing = np.where(falls, across[:-1] + FINE * above[:, :-1] / drop, np.inf)
    nearest = np.take_along_axis(crossing, np.abs(crossing).argmin(1)[:, None], 1)[:, 0]
    return np.where(np.isfinite(nearest), nearest, np.nan)


def in_step(known: Known, moved: Floats, period: int) -> float:
    """Rms of what displacements have in common at the same phase of the lattice, edges of each direction by themselves;
    the halves are every second image."""
    found = np.isfinite(moved)
    phase = np.floor(known.place[found]).astype(int) % period
    turn = np.arctan2(known.normal[found, 1], known.normal[found, 0]) / (2 * math.pi)
    cell = (np.floor(turn * SECTORS).astype(int) % SECTORS * period + phase[:, 1]) * period + phase[:, 0]
    half = known.image[found] // 2 % 2  # discs and half-planes take turns
    sums, counts = (
        np.bincount(half * SECTORS * period**2 + cell, weights, 2 * SECTORS * period**2).reshape(2, SECTORS, -1)
        for weights in (moved[found], np.ones(int(found.sum())))
    )
    weight = counts[0] * counts[1] / np.maximum(counts.sum(0), 1)  # 0 where a half has none
    means = sums / np.maximum(counts, 1)
    means = means - (means * weight).sum(-1, keepdims=True) / np.maximum(weight.sum(-1)[None, :, None], 1e-9)
    energy = (weight * means[0] * means[1]).sum() / weight.sum() if weight.any() else math.inf
    return float(max(0.0, energy) ** 0.5)


def flat_grid(output: Tensor, target: Tensor, period: int) -> float:
    """Rms of the means of the lattice's phases where the target is flat; the halves are blocks as on a chessboard."""
    window = 2 * FLAT + 1
    spread = F.max_pool2d(target, window, 1, FLAT) + F.max_pool2d(-target, window, 1, FLAT)
    spread[..., BORDER:-BORDER, BORDER:-BORDER] -= 1
    flat = spread <= -1 + 1e-6
    rows, columns = torch.meshgrid(*(torch.arange(size) for size in output.shape[2:]), indexing="ij")
    halves = (rows // period + columns // period) % 2
    phase = (rows % period * period + columns % period + halves * period**2).flatten()
    sums, counts = (
        torch.zeros(len(output), 2 * period**2).index_add_(1, phase, part.flatten(1)).unflatten(1, (2, -1))
        for part in ((output - target) * flat, flat.float())
    )
    means = sums / counts.clamp_min(1)
    means = means - means.mean(2, keepdim=True)
    weight = counts.amin((1, 2))  # of an image: none where a phase has none
    products = (means[:, 0] * means[:, 1]).mean(1)
    return float(((products * weight).sum() / weight.sum()).clamp_min(0).sqrt())
