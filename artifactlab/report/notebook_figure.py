"""Figures that a notebook shows by themselves; in a file of its own, as matplotlib is imported late."""

from __future__ import annotations

import io

from matplotlib.figure import Figure


class NotebookFigure(Figure):
    """A figure that a notebook shows as a picture.

    A plain one is shown as text until pyplot has drawn something there, as only then matplotlib tells the notebook how.
    """

    def _repr_png_(self) -> bytes:
        data = io.BytesIO()
        self.savefig(data, format="png")
        return data.getvalue()
