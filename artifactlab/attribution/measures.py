"""What outputs show, as the numbers that a diagnosis reports."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial

import torch
from torch import Tensor

from artifactlab.attribution.records import HalfSamples, OutputMeasures, SeverityMeasures, SliceMeasures
from artifactlab.attribution.repair.effects import half_samples
from artifactlab.metrics import axis_excess, checkerboard_energy
from artifactlab.metrics.bands import SPATIAL
from artifactlab.metrics.directions import slices
from artifactlab.scoring.severity import Severity, measure_severity, pool

HALF_SAMPLES = 200
"""Number of half-samples that a diagnosis carries, so that it can be compared with another on the same inputs. Ten of
200 lie beyond either end of a 90% interval, so that no single one decides where it ends; more would only lengthen the
JSON."""


def severity_measures(severity: Severity) -> SeverityMeasures:
    """Severity, and the two artifacts it is made of in units of their own."""
    grid, steps = (max(0.0, part) for part in severity.together())
    return SeverityMeasures(
        severity=grid + steps,
        lattice_amplitude=severity.amplitude,
        edge_jaggedness=severity.displacement,
    )


def output_measures(
    severity: Severity, outputs: Sequence[Tensor], period: Sequence[int], data_range: float
) -> OutputMeasures:
    """What the (N, C, *space) outputs show, with metrics that no verdict depends on."""
    directions = len(period)
    return OutputMeasures(
        **asdict(severity_measures(severity)),
        axis_excess=_mean(axis_excess, outputs, data_range) if directions > 1 else None,
        checkerboard_energy=_mean(partial(checkerboard_energy, period=tuple(period)), outputs, data_range),
        slices=tuple(slice_measures(outputs, period, across, data_range) for across in reversed(range(3)))
        if directions == 3
        else (),
    )


def slice_measures(outputs: Sequence[Tensor], period: Sequence[int], across: int, data_range: float) -> SliceMeasures:
    """What the slices of volumes show across a direction, as images.

    Slices of one phase of the lattice across them are measured together, and what they show is averaged over the
    phases: a grid that alternates from slice to slice would else cancel.
    """
    axes = tuple(axis for axis in range(3) if axis != across)
    lattice = [period[axis] for axis in axes]
    by_phase = [
        severity_measures(
            pool([measure_severity(_every(image, across, phase, period), lattice, data_range) for image in outputs])
        )
        for phase in range(period[across])
    ]
    return SliceMeasures(
        severity=sum(found.severity for found in by_phase) / len(by_phase),
        lattice_amplitude=_rms([found.lattice_amplitude for found in by_phase]),
        edge_jaggedness=_rms([found.edge_jaggedness for found in by_phase]),
        axes=(axes[0], axes[1]),
    )


def _every(volume: Tensor, across: int, phase: int, period: Sequence[int]) -> Tensor:
    """The slices of one phase as a batch of images."""
    return slices(volume, SPATIAL + across, phase, period[across])


def _rms(values: Sequence[float]) -> float:
    return math.sqrt(sum(value**2 for value in values) / len(values))


def severity_of_halves(severity: Severity, seed: int) -> HalfSamples:
    """Severity in random halves of the crops, in six digits, which keep the JSON short."""
    artifact = severity.of(half_samples(severity.crops, seed, HALF_SAMPLES)[1:])
    return HalfSamples(grid=_rounded(artifact.grid), steps=_rounded(artifact.steps))


def _rounded(values: Tensor) -> tuple[float, ...]:
    return tuple(float(f"{value:.6g}") for value in values.tolist())


def _mean(metric: Callable[..., Tensor], outputs: Sequence[Tensor], data_range: float) -> float:
    """A metric of the outputs, averaged over inputs."""
    return float(torch.stack([metric(image.float(), data_range=data_range) for image in outputs]).mean())
