"""What is measured of a net of `training.py`: by artifactlab's metrics, and by what knows nothing of them."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from training_edges import contours_of
from training_loop import outputs
from training_records import Task

from artifactlab.metrics import axis_excess
from artifactlab.metrics.visible import VISIBLE_GRID, VISIBLE_STEPS
from artifactlab.scoring.severity import measure_severity

NEAR = 1 / 8
"""of the spacing of a lattice's frequencies, within which a frequency is the lattice's"""


class Scores(NamedTuple):
    """What an output is like; what the targets have of their own is taken off, but for the last three."""

    psnr: float
    """dB, of all images together"""
    detail: float
    """dB: energy above the lattice's base band and off the lattice, over the targets'; 0 is as much, less is blur"""
    steps: float
    """pixels: stair-steps, by artifactlab"""
    grid: float
    """1/255 rms: grids, by artifactlab"""
    explained: float
    """1/255 rms: all that keeps step with the lattice, by artifactlab"""
    axis: float
    """share of the gradients on oblique edges that point along an axis, by artifactlab"""
    contour: float
    """pixels: what known edges' contours have in step with the lattice"""
    flat: float
    """1/255 rms: grids where the target is flat"""
    found: float
    """share of the known edges whose contour was found"""

    @property
    def severity(self) -> float:
        """Contours and flat places together, in units of what just shows: by what weights are chosen."""
        return (self.contour / VISIBLE_STEPS) ** 2 + (self.flat / 255 / VISIBLE_GRID) ** 2


def assess(model: nn.Module, task: Task, split: str) -> Scores:
    """The scores on the images of a split."""
    pairs = task.validation if split == "validation" else task.test
    output = outputs(model, pairs.given)
    ours, theirs = (lattice(images, task.period) for images in (output, pairs.wanted))
    known = contours_of(model, task, split)
    return Scores(
        float(-10 * (output - pairs.wanted).square().mean().log10()),
        float(10 * (detail(output, task.period) / detail(pairs.wanted, task.period)).log10()),
        *(float(value) for value in ours - theirs),
        float(axis_excess(output) - axis_excess(pairs.wanted)),
        known.steps,
        255 * known.grid,
        known.found,
    )


def lattice(images: Tensor, period: int) -> Tensor:
    """Stair-steps, grids and both together, of all images, as `Scores` has them."""
    severity = measure_severity(images, (period, period), 1.0)
    energy = float(severity.of(torch.ones(1, severity.crops)).energy)
    return torch.tensor([severity.displacement, 255 * severity.amplitude, 255 * max(0.0, energy) ** 0.5])


def detail(images: Tensor, period: int) -> Tensor:
    """Energy of frequencies above the base band along an axis, but for those at the lattice's along both."""
    sizes = images.shape[2:]
    window = torch.outer(*(torch.hann_window(size, periodic=False) for size in sizes))
    energy = torch.fft.fft2((images - images.mean((2, 3), keepdim=True)) * window).abs().square()
    cycles = [torch.fft.fftfreq(size) * period for size in sizes]
    near = torch.outer(*((one - one.round()).abs() <= NEAR for one in cycles))
    base = torch.outer(*(one.round() == 0 for one in cycles))
    return (energy * ~(near | base)).sum()
