"""Figures that a notebook shows by themselves; in a file of its own, as matplotlib is imported when something is drawn."""

from __future__ import annotations

from matplotlib.figure import Figure

from artifactlab.report.figures import png_of


class NotebookFigure(Figure):
    """A figure that a notebook shows as a picture.

    A plain one is shown as text until pyplot has drawn something there, as only then matplotlib tells the notebook how.
    """

    def _repr_png_(self) -> bytes:
        return png_of(self)
