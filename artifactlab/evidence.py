"""What an activation shows: the three metric families, measured at the site itself."""

from __future__ import annotations

import torch
from torch import Tensor

from artifactlab.errors import CaptureError
from artifactlab.metrics import axis_excess, checkerboard_energy, edge_jaggedness
from artifactlab.records import Evidence

EDGE_CHANNELS = 8
"""channels, evenly spread, in which edges are followed; the lattice is measured in all of them"""


def measure_evidence(activation: Tensor, scale: tuple[float, float], label: str) -> Evidence:
    """Evidence in an (N, C, H, W) activation of a site that grew its input by `scale`.

    Activations have no range: each is measured against its own `spread`.

    Raises:
        CaptureError: if the activation holds NaN or Inf; `label` names the site.
    """
    with torch.no_grad(), torch.autocast(activation.device.type, enabled=False):
        values = activation.detach().float()
        if not bool(torch.isfinite(values).all()):
            raise CaptureError(
                f"the activation at {label} holds NaN or Inf; check the model's weights and the input's range"
            )
        size = spread(values)
        if size == 0:
            return Evidence(0.0, 0.0, 0.0)
        step = max(1, values.shape[1] // EDGE_CHANNELS)
        edges = values[:, ::step]
        return Evidence(
            edge_jaggedness=float(edge_jaggedness(edges, data_range=size)),
            axis_excess=float(axis_excess(edges, data_range=size)),
            checkerboard_energy=float(checkerboard_energy(values, lattice_period(scale), data_range=size)),
        )


def spread(values: Tensor) -> float:
    """Range of values between the 0.5% and 99.5% quantiles and zero: what a checkerboard is measured against.

    Zero counts as a value, so that a flat activation with a faint grid is a flat activation with a faint grid.
    """
    flat = values.detach().float().reshape(-1)
    sample = flat[:: max(1, flat.numel() // 100_000) | 1]  # an odd stride visits every phase of a x2 lattice
    low, high = torch.quantile(sample, sample.new_tensor([0.005, 0.995])).tolist()
    return max(high, 0.0) - min(low, 0.0)


def lattice_period(size: tuple[float, float]) -> tuple[int, int]:
    """The integer lattice of a scale or period; a direction in which it is not an integer has no fixed lattice."""
    return tuple(round(s) if s == round(s) else 1 for s in size)  # type: ignore[return-value]
