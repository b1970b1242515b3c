"""Each metric follows its own defect alone, replication is named, and nothing depends on how an image is held."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from content import plain_scene
from degradations import SMOOTH, grid, nearest
from torch import Tensor
from validity_content import Content, Split
from validity_readings import Array, Measure, Row, amplitude, axes, energy, jaggedness, read, tensor

from artifactlab.metrics import axis_excess, edge_jaggedness, lattice_amplitude, replication_factor

BOARD, STEPS = grid(2, 0.05), nearest(4)
METRICS = {
    "jaggedness": (jaggedness(), STEPS),
    "axis excess": (axes(), STEPS),
    "lattice amplitude": (amplitude(8), grid(4, 0.03)),
}
"""name -> the metric, and what it is measured on"""
PLAIN = 50
EXAMPLES = 20


def metrics_are_selective(split: Split) -> Iterator[Row]:
    """What the other defect moves a metric by, as a share of what its own moves it by."""
    for content in (split.photos, split.rendered):
        for claim, measure, own, other in (
            ("a 5% board moves jaggedness", jaggedness(), STEPS, BOARD),
            ("nearest x4 moves checkerboard energy", energy(8), BOARD, STEPS),
        ):
            before = content.read(measure, SMOOTH["clean"])
            moved = [float(np.abs(content.read(measure, family) - before).mean()) for family in (own, other)]
            share = moved[1] / max(moved[0], 1e-12)
            yield Row(f"{claim}, {content.name}", "< 10% of what its own moves", f"{share:.1%}", share < 0.1)


def replication_is_named(split: Split) -> Iterator[Row]:
    """Exact replication by 2 to 8, and nothing else."""
    hits = [
        (content.read(_replication, nearest(factor)) == factor).all(1)
        for content in (split.photos, split.rendered)
        for factor in range(2, 9)
    ]
    share, count = float(np.concatenate(hits).mean()), sum(hit.size for hit in hits)
    yield Row("exact replication named with its factor, x2 to x8", ">= 99%", f"{share:.2%} of {count}", share >= 0.99)
    kinds = [kind for kind in ("boxes", "chessboard") for _ in range(PLAIN)]
    scenes = [plain_scene(kind, split.seed + number) for number, kind in enumerate(kinds)]
    false = total = 0
    for content in (split.photos, split.rendered, Content("plain", scenes, kinds, split.seed)):
        for family in SMOOTH.values():
            named = (content.read(_replication, family) > 1).any(1)
            false, total = false + int(named.sum()), total + named.size
    yield Row("... and nothing else is", "", f"{false} of {total} false", None)


def _replication(x: Tensor) -> Tensor:
    return replication_factor(x)


def metrics_are_invariant(split: Split) -> Iterator[Row]:
    """Turned, mirrored, scaled, in a batch and in half precision."""
    for name, (measure, family) in METRICS.items():
        images = [image for content in (split.photos, split.rendered) for image in content.degraded(family)[:EXAMPLES]]
        upright = read(measure, images)
        turned = [
            read(measure, [np.ascontiguousarray(turn(image)) for image in images])
            for turn in (np.fliplr, np.flipud, np.transpose, np.rot90)
        ]
        yield _turned_row(f"{name}: flips, transposes, quarter turns", turned, upright)
        scaled = _off(read(_scaled(name), images), upright)
        yield Row(f"{name}: a x + b", "<= 0.5%", f"{scaled:.3%}", scaled <= 0.005)
        alone = np.concatenate([measure(tensor([image])).double().numpy() for image in images])
        single = _off(alone, upright)
        yield Row(f"{name}: batch against single", "equal", f"{single:.1e}", single < 1e-6)
        half = {kind: _off(read(_in(measure, kind), images), upright) for kind in (torch.float16, torch.bfloat16)}
        measured = ", ".join(f"{str(kind).removeprefix('torch.')} {off:.2%}" for kind, off in half.items())
        yield Row(f"{name}: half precision", "<= 2%", measured, max(half.values()) <= 0.02)


def _turned_row(claim: str, turned: Sequence[Array], upright: Array) -> Row:
    """Where an image is off, its readings: a percentage of next to nothing says nothing."""
    off = np.max([_offs(values, upright) for values in turned], 0)
    worst, most = int(off.argmax()), float(off.max())
    readings = sorted({round(float(values[worst]), 4) for values in (upright, *turned)})
    within = f"{(off <= 0.01).sum()} of {off.size} images"
    measured = f"{most:.2%}" if most <= 0.01 else f"{within}; the worst reads {' or '.join(map(str, readings))}"
    return Row(claim, "<= 1%", measured, most <= 0.01)


def _off(values: Array, upright: Array) -> float:
    """The largest relative difference."""
    return float(_offs(values, upright).max())


def _offs(values: Array, upright: Array) -> Array:
    """The relative differences; where one reads nothing, the other must, too."""
    difference = np.abs(values - upright)
    return np.where(difference > 0, difference / np.maximum(np.abs(upright), 1e-6), 0)


def _in(measure: Measure, kind: torch.dtype) -> Measure:
    return lambda x: measure(x.to(kind))


def _scaled(name: str) -> Measure:
    """The metric on an image between -1 and 2."""
    return {
        "jaggedness": lambda x: edge_jaggedness(x * 3 - 1, data_range=3.0, reduction="none"),
        "axis excess": lambda x: axis_excess(x * 3 - 1, data_range=3.0, reduction="none"),
        "lattice amplitude": lambda x: lattice_amplitude(x * 3 - 1, 8, data_range=3.0, reduction="none"),
    }[name]
