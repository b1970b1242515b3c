"""The loss and the metrics for BasicSR, neosr and traiNNer-redux, whose option files name them.

`register` makes them known to whichever of the three packages is in use. All three import what lies in their folder
`losses` and ends in `_loss.py`, so that a file `losses/artifactlab_loss.py` of two lines will do:

    from artifactlab.integrations.basicsr import register
    register()

traiNNer-redux adds up any list of losses:

    train:
      losses:
        - {type: L1Loss, loss_weight: 1.0}
        - {type: EdgeAwareLoss, loss_weight: 1.0, periods: [2, 4]}

BasicSR and neosr have one place for a loss of pixels, which `EdgeAwareL1Loss` is made for (here in YAML; neosr has the
same names in TOML):

    train:
      pixel_opt: {type: EdgeAwareL1Loss, loss_weight: 1.0, edge_weight: 1.0, periods: [2, 4]}

What `artifactlab.fix.EdgeAwareLoss` takes, option files may say. Metrics are called alike in all three; they judge the
output alone, and lower is better:

    val:
      metrics:
        severity: {type: calculate_severity, crop_border: 4, better: lower}
        jaggedness: {type: calculate_jaggedness, crop_border: 4, better: lower}
        checkerboard: {type: calculate_checkerboard, period: 2, crop_border: 4, better: lower}
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from inspect import signature
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from artifactlab.errors import InputError
from artifactlab.fix.loss import EdgeAwareLoss as _EdgeAwareLoss
from artifactlab.fix.loss import check_number
from artifactlab.inputs.images import luma
from artifactlab.metrics import checkerboard_energy, edge_jaggedness
from artifactlab.metrics.inputs import as_lattice
from artifactlab.scoring.periods import smallest_sides
from artifactlab.scoring.severity import measure_severity

__all__ = [
    "EdgeAwareL1Loss",
    "EdgeAwareLoss",
    "calculate_checkerboard",
    "calculate_jaggedness",
    "calculate_severity",
    "register",
]

PACKAGES = ("traiNNer", "neosr", "basicsr")
"""What the three packages are imported as; each has its registries in `utils.registry`."""
WHITE = 255.0
"""Brightest value of the images that metrics are given, whatever their type."""
ORDERS = ("HWC", "CHW")
Image: TypeAlias = np.ndarray[Any, Any]


def register() -> tuple[str, ...]:
    """Make the losses and metrics of this module known to BasicSR, neosr and traiNNer-redux, by their own names.

    It is done in each of them that the process has imported; where it has none yet, in each that is installed. Others
    stay as they are, as to import one takes seconds, and may fail for reasons of its own. A second call does nothing.

    Returns:
        The packages, as they are imported.

    Raises:
        ImportError: if none of the three is installed.
        InputError: if a name is taken by something else.

    >>> PACKAGES  # after `import basicsr; register()` in a process, its option files may say EdgeAwareL1Loss
    ('traiNNer', 'neosr', 'basicsr')
    """
    in_use = [name for name in PACKAGES if name in sys.modules]
    names = in_use or [name for name in PACKAGES if find_spec(name)]
    if not names:
        raise ImportError(f"no training package to register with: none of {', '.join(PACKAGES)} is installed")
    for name in names:
        registries = importlib.import_module(f"{name}.utils.registry")
        _add(registries.LOSS_REGISTRY, (EdgeAwareLoss, EdgeAwareL1Loss), name)
        _add(registries.METRIC_REGISTRY, (calculate_checkerboard, calculate_jaggedness, calculate_severity), name)
    return tuple(names)


def _add(registry: Any, things: tuple[Any, ...], package: str) -> None:
    """All of them, or none."""
    new = [thing for thing in things if thing.__name__ not in registry]
    for thing in things:
        if thing not in new and registry.get(thing.__name__) is not thing:
            raise InputError(f"{package} has another {thing.__name__} already; take that one out, or leave ours out")
    for thing in new:
        registry.register(thing)


class EdgeAwareLoss(_EdgeAwareLoss):
    """`artifactlab.fix.EdgeAwareLoss`, made of what an option file says.

    Add it to the loss that you have, as in traiNNer-redux's list of losses; it does not replace one. Where there is
    room for one alone, take `EdgeAwareL1Loss`.

    Args:
        loss_weight: times which the loss is returned.
        settings: other arguments of `artifactlab.fix.EdgeAwareLoss`, such as `periods`.

    `forward(output, target)` takes two (N, C, H, W) and returns a scalar.

    Raises:
        InputError: if an argument is unknown or out of range.

    >>> EdgeAwareLoss(loss_weight=10, periods=[2, [4, 8]]).periods
    (2, (4, 8))
    """

    def __init__(self, loss_weight: float = 1.0, **settings: Any) -> None:
        known = signature(_EdgeAwareLoss).parameters
        if unknown := settings.keys() - known:
            raise InputError(f"EdgeAwareLoss has no option {', '.join(sorted(unknown))}; it has {', '.join(known)}")
        super().__init__(loss_weight=loss_weight, **settings)


class EdgeAwareL1Loss(nn.Module):
    """An L1 loss with `EdgeAwareLoss` beside it, for packages that have one place for a loss of pixels.

    Args:
        loss_weight: times which the sum is returned.
        edge_weight: of `EdgeAwareLoss`, beside an L1 of weight 1.
        settings: other arguments of `artifactlab.fix.EdgeAwareLoss`, such as `periods`.

    `forward(pred, target)` takes two (N, C, H, W) and returns a scalar.

    Raises:
        InputError: if an argument is unknown or out of range.

    >>> import torch
    >>> loss = EdgeAwareL1Loss(edge_weight=10, periods=[2, 4])
    >>> float(loss(torch.full((1, 3, 64, 64), 0.5), torch.zeros(1, 3, 64, 64)))
    0.5
    """

    def __init__(self, loss_weight: float = 1.0, edge_weight: float = 1.0, **settings: Any) -> None:
        super().__init__()
        check_number("loss_weight", loss_weight, 0.0)
        self.loss_weight = loss_weight
        self.edges = EdgeAwareLoss(edge_weight, **settings)

    def forward(self, pred: Tensor, target: Tensor, weight: Tensor | None = None, **_: Any) -> Tensor:
        """The weighted sum; `weight`, which packages may hand on, must be None."""
        if weight is not None:
            raise InputError("EdgeAwareL1Loss has no weight per pixel; leave it out")
        loss: Tensor = self.loss_weight * (nn.functional.l1_loss(pred, target) + self.edges(pred, target))
        return loss


def calculate_severity(
    img: Image, img2: Image | None = None, *, period: int | Sequence[int] = 8, **options: Any
) -> float:
    """How bad grids and stair-steps of an output are together, as `diagnose` reports it.

    It counts what is confirmed to be in step with the lattice, so that clean photos, also noisy ones, read 0 or nearly
    so; `artifactlab.severity` is what losses descend on, and reads a little more.

    Args:
        img: the output, as validation hands it to metrics: (H, W, 3) of blue, green and red or (H, W) of gray, 0 to
            255 in any type.
        img2: the target, which is not looked at.
        period: lattice spacing in pixels, one number or (vertical, horizontal); its divisors count, too.
        options: `crop_border`, pixels to leave out at each border; `input_order`, HWC or CHW; `test_y_channel`, to
            measure the luma; `device`, to measure on. Others, as `better`, are the package's own, and not looked at.

    Returns:
        At least 0; 1 just shows.

    Raises:
        InputError: if it is no such image, or too small for the period: 48 pixels a side, for the default.

    >>> board = 128 + 5 * (-1.0) ** np.add.outer(np.arange(64), np.arange(64))
    >>> round(calculate_severity(board, period=2))
    6
    """
    image = _image(img, **options)
    lattice = as_lattice(_as_period(period), 2)
    rows, columns = smallest_sides(lattice, image.shape[2:])
    if image.shape[2] < rows or image.shape[3] < columns:
        size = "x".join(map(str, image.shape[2:]))
        raise InputError(
            f"calculate_severity needs at least {rows}x{columns} pixels for the period {period}, got {size} within"
            " crop_border; give a smaller period, or larger images"
        )
    return sum(measure_severity(image, lattice, 1.0).together())


def calculate_jaggedness(img: Image, img2: Image | None = None, **options: Any) -> float:
    """How far stair-steps of an output displace its edges, in pixels: `artifactlab.metrics.edge_jaggedness`.

    Args:
        img, img2, options: as for `calculate_severity`.

    Returns:
        Pixels; .1 just shows.

    Raises:
        InputError: if it is no such image.

    >>> stairs = 255 * np.kron(np.tri(16, k=3), np.ones((4, 4)))
    >>> round(calculate_jaggedness(stairs), 1)
    1.1
    """
    return float(edge_jaggedness(_image(img, **options)))


def calculate_checkerboard(
    img: Image, img2: Image | None = None, *, period: int | Sequence[int] = 2, **options: Any
) -> float:
    """What share of an output's fine structure is a grid: `artifactlab.metrics.checkerboard_energy`.

    Args:
        img, img2, options: as for `calculate_severity`.
        period: lattice spacing in pixels, one number or (vertical, horizontal).

    Returns:
        A share, 0 to 1.

    Raises:
        InputError: if it is no such image, or the period none.

    >>> board = 128 + 5 * (-1.0) ** np.add.outer(np.arange(64), np.arange(64))
    >>> round(calculate_checkerboard(board), 2)
    1.0
    """
    return float(checkerboard_energy(_image(img, **options), _as_period(period)))


def _image(
    img: Image,
    crop_border: int = 0,
    input_order: str = "HWC",
    test_y_channel: bool = False,
    device: torch.device | str | None = None,
    **_: Any,
) -> Tensor:
    """(1, C, H, W) of what validation hands to metrics, 0 to 1."""
    if input_order not in ORDERS:
        raise InputError(f"input_order must be one of {', '.join(ORDERS)}, got {input_order!r}")
    if not isinstance(img, np.ndarray) or img.ndim not in (2, 3):
        raise InputError(f"expected an image (H, W, C) or (H, W), got {getattr(img, 'shape', type(img).__name__)}")
    planes = img[None] if img.ndim == 2 else img if input_order == "CHW" else np.moveaxis(img, -1, 0)
    rows, columns = (slice(crop_border, size - crop_border) for size in planes.shape[1:])
    image = torch.from_numpy(planes[:, rows, columns].astype(np.float32)).to(device) / WHITE
    return luma(image.flip(0))[None] if test_y_channel and len(image) == 3 else image[None]


def _as_period(value: int | Sequence[int]) -> int | tuple[int, ...]:
    """Option files have lists where a tuple, of one number per axis, is meant."""
    return value if isinstance(value, int) else tuple(value)
