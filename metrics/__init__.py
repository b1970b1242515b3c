"""Edge-aware metrics: pure functions on tensors. They know no model, no file and no plot.

They measure, and are not differentiable. `spectral_images` finds what keeps step with a sampling lattice: grids
(`checkerboard`) and stair-steps (`jaggedness`) are its readings. Beside it stand the direction of gradients
(`directions`) and exact replication (`replication`).
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
from artifactlab.metrics.spectral_images import spectral_images
from artifactlab.metrics.spectral_reading import SpectralImages
from artifactlab.metrics.spectral_repair import remove_spectral_images, spectral_images_map

__all__ = [
    "SpectralImages",
    "axis_excess",
    "checkerboard_energy",
    "checkerboard_map",
    "direction_divergence",
    "edge_jaggedness",
    "edge_jaggedness_map",
    "gradient_direction_histogram",
    "lattice_amplitude",
    "lattice_spectrum",
    "remove_spectral_images",
    "replication_factor",
    "spectral_images",
    "spectral_images_map",
]
