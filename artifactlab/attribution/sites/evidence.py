"""What an activation shows: the three metric families, measured at the site itself."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from artifactlab.attribution.sites.records import Evidence
from artifactlab.errors import CaptureError
from artifactlab.metrics import axis_excess
from artifactlab.metrics.bands import SPATIAL
from artifactlab.metrics.checkerboard import locked_share
from artifactlab.metrics.inputs import LARGEST_PERIOD
from artifactlab.metrics.spectral_reading import read_lattice
from artifactlab.metrics.spectral_sums import lattice_sums
from artifactlab.scoring.data_range import spread
from artifactlab.scoring.periods import lattice_period

LATTICE_CHANNELS = 16
"""How many channels, evenly spread, the lattice is measured in."""
EDGE_CHANNELS = 8
"""How many channels edges are followed in: steps show in a few as in all, while their number varies
with the content."""
# docs/decisions.md, *Evidence is a sample*.
SIDE = 192
"""Pixels per side of the middle in which both are measured. On a trained CycleGAN's 64 and 128 channels, of 256 and
128 pixels a side, 16 channels of the middle read the share of everything within 12%; 32 channels of 128 pixels missed
it by up to 27%, 8 channels of everything by 29%. So what evidence costs has a bound, while a forward pass has none."""
SIDES = {1: SIDE**2, 2: SIDE, 3: SIDE // 4}
"""Likewise by the number of directions: about as many samples of signals; of volumes three times as many, as a lattice
of 8 takes 48 a side."""
SPREAD_SAMPLE = 2**15
"""How many values the range is taken from that evidence is measured against: a share hardly depends on it."""


def check_finite(activation: Tensor, label: str) -> None:
    """Check every value of an activation.

    Raises:
        CaptureError: if one is NaN or Inf; `label` names the site.
    """
    low, high = torch.aminmax(activation.detach())  # NaN where any value is; unlike `isfinite`, no copy
    if not bool(low.isfinite() & high.isfinite()):
        raise CaptureError(
            f"the activation at {label} holds NaN or Inf; check the model's weights and the input's range"
        )


def measure_evidence(activation: Tensor, scale: Sequence[float]) -> Evidence:
    """Evidence in a finite (N, C, *space) activation of a site that grew its input by `scale`.

    Activations have no range: each is measured against its own `spread`.
    """
    with torch.no_grad():
        lattice = lattice_period(scale)
        values = _middle(some_channels(activation.detach(), LATTICE_CHANNELS), lattice).float()
        size = spread(values, SPREAD_SAMPLE)
        if size == 0:
            return Evidence(0.0, 0.0, 0.0)
        edges = some_channels(values, EDGE_CHANNELS)
        fits = all(p <= side for p, side in zip(lattice, values.shape[SPATIAL:], strict=True))
        known = fits and 1 < max(lattice) <= LARGEST_PERIOD
        return Evidence(
            edge_jaggedness=float(read_lattice(lattice_sums(edges / size, lattice, "warp")).warp.mean())
            if known
            else 0.0,
            # signals have no edges with a direction
            axis_excess=float(axis_excess(edges, data_range=size)) if len(lattice) > 1 else 0.0,
            checkerboard_energy=float(locked_share(lattice_sums(values / size, lattice, "grid")).mean())
            if known
            else 0.0,
        )


def some_channels(values: Tensor, most: int) -> Tensor:
    """At most so many channels, evenly spread."""
    return values[:, :: -(-values.shape[1] // most)]


def _middle(values: Tensor, lattice: Sequence[int]) -> Tensor:
    """At most so many samples a side of the middle, in step with the lattice from their first on."""
    side = SIDES[len(lattice)]
    for axis, spacing in enumerate(lattice, SPATIAL):
        size = values.shape[axis]
        if size > side:
            values = values.narrow(axis, (size - side) // 2 // spacing * spacing, side)
    return values


def mean_evidence(evidence: Sequence[Evidence]) -> Evidence:
    """The average of several passes' evidence."""
    count = len(evidence)
    return Evidence(
        edge_jaggedness=sum(e.edge_jaggedness for e in evidence) / count,
        axis_excess=sum(e.axis_excess for e in evidence) / count,
        checkerboard_energy=sum(e.checkerboard_energy for e in evidence) / count,
    )
