"""Records as text, pictures and files. Public are the plots, each one panel for a paper or a notebook."""

from typing import TYPE_CHECKING

from artifactlab._lazy import LazyPackage

if TYPE_CHECKING:
    from artifactlab.report.plots import plot_artifact_map, plot_directions, plot_sites, plot_spectrum

__all__ = ["plot_artifact_map", "plot_directions", "plot_sites", "plot_spectrum"]

LazyPackage.made_of(__name__, places=dict.fromkeys(__all__, "artifactlab.report.plots"))
