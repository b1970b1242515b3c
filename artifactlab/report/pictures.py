"""Tensors as panels: an image as it is, and how far a repair moves it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def displayable(image: Tensor, like: Tensor | None = None) -> np.ndarray:
    """(H, W, 3) or (H, W) values in [0, 1]: as they are if those of `like` (the image itself) fit, else stretched."""
    values, scale = (_shown_channels(x) for x in (image, image if like is None else like))
    if scale.min() < -0.05 or scale.max() > 1.05:
        low, high = scale.min(), scale.max()
        values = (values - low) / (high - low).clamp_min(1e-12)
    pixels: np.ndarray = values.clamp(0, 1).permute(1, 2, 0).numpy()
    return pixels if pixels.shape[2] == 3 else pixels[..., 0]


def _shown_channels(image: Tensor) -> Tensor:
    return (image[:3] if image.shape[0] >= 3 else image[:1]).float().cpu()


def show(ax: Axes, image: Tensor, title: str) -> None:
    """An image as it is if its values fit [0, 1], else stretched to its own range."""
    ax.imshow(displayable(image), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    ax.set_title(title, fontsize=10)
    ax.set_axis_off()


def show_change(ax: Axes, change: Tensor, title: str) -> None:
    """How far a repair moves each pixel, in 1/255 of the data range."""
    values = 255 * change.numpy()
    image = ax.imshow(values, cmap="magma", vmin=0, vmax=max(1.0, float(np.quantile(values, 0.995))))
    ax.figure.colorbar(image, ax=ax, orientation="horizontal", shrink=0.8, label="1/255 of the data range")
    ax.set_title(title, fontsize=10)
    ax.set_axis_off()
