"""Edge-aware metrics: pure functions on `(N, C, H, W)` tensors. They know no model, no file and no plot.

They measure, and are not differentiable. Three families: the direction of gradients (`directions`), the jaggedness of
edges (`jaggedness`) and the energy locked to a sampling lattice (`checkerboard`); beside them, exact replication
(`replication`).
"""

from artifactlab.metrics.checkerboard import (
    checkerboard_energy,
    checkerboard_map,
    lattice_amplitude,
    lattice_spectrum,
)
from artifactlab.metrics.directions import axis_excess, direction_divergence, gradient_direction_histogram
from artifactlab.metrics.jaggedness import edge_jaggedness, edge_jaggedness_map
from artifactlab.metrics.replication import replication_factor

__all__ = [
    "axis_excess",
    "checkerboard_energy",
    "checkerboard_map",
    "direction_divergence",
    "edge_jaggedness",
    "edge_jaggedness_map",
    "gradient_direction_histogram",
    "lattice_amplitude",
    "lattice_spectrum",
    "replication_factor",
]
