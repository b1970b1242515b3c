"""One call of a torch function, and the growth in it, read off what it takes and returns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from artifactlab.attribution.sites.axes import Axes
from artifactlab.attribution.sites.image_views import ImageView
from artifactlab.attribution.sites.upsampling import Growth, growth_between


@dataclass(frozen=True)
class FunctionCall:
    """One call of a torch function in a running model, as a detector is given it.

    >>> import torch
    >>> x = torch.zeros(1, 3, 8, 8)
    >>> call = FunctionCall((x,), {"scale_factor": 2}, x, torch.nn.functional.interpolate(x, scale_factor=2))
    >>> call.argument(2, "scale_factor"), call.argument(3, "mode", "nearest")
    (2, 'nearest')
    """

    args: tuple[Any, ...]
    """Arguments by position."""
    kwargs: Mapping[str, Any]
    """Arguments by name."""
    source: Tensor
    """The first argument, or the one called `input`."""
    output: Tensor
    """What the function returned."""
    axes: Axes | None = None
    """What each axis of the output runs over, where that is known."""

    def argument(self, position: int, name: str, default: Any = None) -> Any:
        """The argument at a `position` or of a `name`; `default` where it was not given."""
        return self.kwargs.get(name, self.args[position] if len(self.args) > position else default)


GrowthOf = Callable[["FunctionCall"], "Growth | None"]
"""What a call enlarges, and by how much; None where it enlarges nothing."""


def growth_by_size(op: str, *, nearest: bool = False) -> GrowthOf:
    """The `growth` of a `SiteDetector` whose functions take one image and return one: the ratio of the two sizes.

    Args:
        op: name of the operation, as it appears in a site's key.
        nearest: whether it repeats pixels, as a nearest-neighbour resize does.

    >>> import torch
    >>> x = torch.zeros(1, 3, 8, 8)
    >>> call = FunctionCall((x, torch.ones(2, 2)), {}, x, torch.kron(x, torch.ones(2, 2)))
    >>> growth_by_size("kron")(call).scale
    (2, 2)
    """

    def growth(call: FunctionCall) -> Growth | None:
        return growth_between(op, call.source, call.output, nearest=nearest)

    return growth


def along(directions: int, growth: GrowthOf) -> GrowthOf:
    """The same for tensors without a batch, or with several axes of it, as functions of so many directions take."""

    def of_any_batch(call: FunctionCall) -> Growth | None:
        rank = call.output.ndim
        return seen_through(ImageView(tuple(range(rank)), rank - directions - 1, 1), growth, call)

    return of_any_batch


def seen_through(view: ImageView, growth: GrowthOf, call: FunctionCall) -> Growth | None:
    """The growth in a call whose tensors are read as `(N, C, *space)` by a view."""
    if view.is_trivial or not call.source.ndim == call.output.ndim == len(view.order):
        return growth(call)
    found = growth(replace(call, source=view.images(call.source), output=view.images(call.output)))
    return replace(found, view=view, seen_shape=tuple(call.output.shape)) if found else None
