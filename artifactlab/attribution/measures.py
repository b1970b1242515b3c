"""What outputs show, as the numbers that a diagnosis reports."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial

import torch
from torch import Tensor

from artifactlab.attribution.records import HalfSamples, OutputMeasures, SeverityMeasures
from artifactlab.attribution.repair.effects import half_samples
from artifactlab.metrics import axis_excess, checkerboard_energy
from artifactlab.metrics.visible import VISIBLE_STEPS
from artifactlab.scoring.severity import Severity

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
        edge_jaggedness=steps**0.5 * VISIBLE_STEPS,
    )


def output_measures(
    severity: Severity, outputs: Sequence[Tensor], period: tuple[int, int], data_range: float
) -> OutputMeasures:
    """What the outputs show, with metrics that no verdict depends on."""
    return OutputMeasures(
        **asdict(severity_measures(severity)),
        axis_excess=_mean(axis_excess, outputs, data_range),
        checkerboard_energy=_mean(partial(checkerboard_energy, period=period), outputs, data_range),
    )


def severity_of_halves(severity: Severity, seed: int) -> HalfSamples:
    """Severity in random halves of the crops, in six digits, which keep the JSON short."""
    artifact = severity.of(half_samples(severity.crops, seed, HALF_SAMPLES)[1:])
    return HalfSamples(grid=_rounded(artifact.grid), steps=_rounded(artifact.steps))


def _rounded(values: Tensor) -> tuple[float, ...]:
    return tuple(float(f"{value:.6g}") for value in values.tolist())


def _mean(metric: Callable[..., Tensor], outputs: Sequence[Tensor], data_range: float) -> float:
    """A metric of the outputs, averaged over inputs."""
    return float(torch.stack([metric(image.float(), data_range=data_range) for image in outputs]).mean())
