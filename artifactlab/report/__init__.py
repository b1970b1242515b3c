"""Records as text, pictures and files. Public are the plots, each one panel for a paper or a notebook."""

from artifactlab.report.plots import plot_artifact_map, plot_directions, plot_sites, plot_spectrum

__all__ = ["plot_artifact_map", "plot_directions", "plot_sites", "plot_spectrum"]
