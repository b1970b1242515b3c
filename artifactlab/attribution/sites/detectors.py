"""Which torch functions enlarge their input, and by how much: our own kinds of sites, and those of installed packages.

A package of one file adds a kind by an entry point of the group `artifactlab.sites`, whose name is the kind's:

    KRON = SiteDetector(functions=(torch.kron,), growth=growth_by_size("kron"))
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import starmap
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from artifactlab.attribution.sites.axes import (
    DIRECTIONS,
    Axes,
    Axis,
    axes_of_images,
    by_direction,
    direction_of,
    is_direction,
    is_unknown,
    merged,
    phases_between,
    role_of,
    size_of,
    source_of,
)
from artifactlab.attribution.sites.axis_flow import AxisFlow
from artifactlab.attribution.sites.axis_steps import VIEWS
from artifactlab.attribution.sites.function_calls import FunctionCall, GrowthOf, along, growth_by_size, seen_through
from artifactlab.attribution.sites.hand_made import growth_by_hand
from artifactlab.attribution.sites.image_views import plain_view, view_of
from artifactlab.attribution.sites.upsampling import Growth, growth_between, has_values
from artifactlab.errors import RegistryError
from artifactlab.models.outputs import is_image
from artifactlab.registry import Registry

NEAREST = ("nearest", "nearest-exact")


@dataclass(frozen=True)
class SiteDetector:
    """A kind of upsampling call.

    >>> kron = SiteDetector(functions=(torch.kron,), growth=growth_by_size("kron"))
    >>> x, ones = torch.rand(1, 3, 8, 8), torch.ones(2, 3)
    >>> kron.growth(FunctionCall((x, ones), {}, x, torch.kron(x, ones))).scale
    (2, 3)
    """

    functions: tuple[Callable[..., Any], ...]
    """The torch functions that make such calls; no other kind may have one of them."""
    growth: GrowthOf
    """What a call of one of them enlarges."""


SITE_DETECTORS: Registry[SiteDetector] = Registry("artifactlab.sites", SiteDetector)
"""All kinds of upsampling calls by name."""


class GrowthDetection:
    """Recognises growth in the torch function calls of a forward pass, whose axes are followed.

    Raises:
        RegistryError: if two kinds of sites have a function in common.
    """

    def __init__(self, flow: AxisFlow) -> None:
        self._growths = _growths_by_function()
        self._flow = flow

    def of_call(self, func: Any, args: Any, kwargs: Any, output: Any) -> Growth | None:
        """The growth in one call, or None; it is asked of every call that a model makes."""
        if not isinstance(output, Tensor):
            return None
        growth = self._growths.get(func)
        if growth is None:
            found = growth_by_hand(func, args, kwargs, output, self._flow.of)
        else:
            source = source_of(args, kwargs)
            if not isinstance(source, Tensor):
                return None
            found = growth(FunctionCall(args, kwargs, source, output, self._flow.of(output)))
        return self._placed(found, args, output) if found else None

    def _placed(self, growth: Growth, args: Any, output: Tensor) -> Growth | None:
        """The growth with its directions; None of what is no image's, or is made of weights alone."""
        if self._flow.is_constant(output):  # position embeddings of another size
            return None
        if growth.directions:  # features lie between places, which from now on are places
            self._flow.set(output, merged(self._flow.of(output) or ()))
            return growth
        axes, view = self._flow.of(output), growth.view or plain_view(output.ndim)
        places = [axes[k] for k in view.order[view.batch + view.features :]] if axes else []
        directions = [direction for axis in places if (direction := direction_of(axis)) is not None]
        if len(set(directions)) != len(growth.scale):
            if growth.view is None:
                self._flow.set(output, axes_of_images(output.shape))
            return growth
        # what is looked up for each pixel, with pixels in the batch, is no image
        return None if max(directions) >= DIRECTIONS else replace(growth, directions=tuple(directions))


def _growths_by_function() -> dict[Callable[..., Any], GrowthOf]:
    names: dict[Callable[..., Any], str] = {}
    for name, detector in SITE_DETECTORS.items():
        for function in detector.functions:
            if function in names:
                raise RegistryError(
                    f"{SITE_DETECTORS.group}: {names[function]!r} and {name!r} both say what a call of"
                    f" {getattr(function, '__name__', function)} enlarges; uninstall the package of one of them"
                )
            names[function] = name
    return {function: SITE_DETECTORS[name].growth for function, name in names.items()}


def _interpolated(call: FunctionCall) -> Growth | None:
    nearest = call.argument(3, "mode", "nearest") in NEAREST
    return growth_between("interpolate", call.source, call.output, nearest=nearest)


def _transposed(directions: int) -> GrowthOf:
    def growth(call: FunctionCall) -> Growth | None:
        stride = _each(call.argument(3, "stride", 1), directions)
        return growth_between(f"conv_transpose{directions}d", call.source, call.output, scale=stride)

    return growth


def _repeated(call: FunctionCall) -> Growth | None:
    """Entries repeated along any axis, which may be one of channels-last images, of tokens, or of frames."""
    axes, growth = call.axes, growth_by_size("repeat_interleave")
    places = [axis for axis in axes or () if role_of(axis) == "places"]
    if axes is None or is_unknown(axes) or not places or not all(map(is_direction, places)):
        return growth(call)
    return seen_through(view_of(axes), growth, call)


def _folded(call: FunctionCall) -> Growth | None:
    """Overlapping patches summed into an image: `F.fold` grows a grid of patches by its stride."""
    r, s = _each(call.argument(5, "stride", 1), 2)
    if not is_image(call.output) or (r, s) == (1, 1):
        return None
    n, c, h, w = call.output.shape
    return Growth("fold", (r, s), (n, c, h // r, w // s), (n, c, h, w), None, call.output)


def _reshaped(call: FunctionCall) -> Growth | None:
    """Depth to space by hand, in as many reshapes as it takes: features are laid between places.

    While phases have axes of their own, more are to be merged: three of them are merged one after the other.
    """
    output = call.output
    if call.axes is None or not has_values(output):
        return None
    axes = tuple(part for axis in call.axes for part in by_direction(axis))
    phases = [1, *(phases_between(axis) for axis in axes[1:])]
    if max(phases) == 1 or _is_unfinished(axes):
        return None
    grown = {number: axis for number, (axis, scale) in enumerate(zip(axes, phases, strict=True)) if scale > 1}
    if not all(map(_runs_along_one, grown.values())) or (len(grown) == 1 and not all(starmap(_is_sure, grown.items()))):
        return None
    whole = merged(axes)
    split = None if len(axes) == output.ndim else tuple(map(size_of, axes))
    view = view_of(whole)._replace(split=split)
    scales = tuple(phases[k] for k in view.order[view.batch + view.features :])
    directions = tuple(direction_of(whole[k]) or 0 for k in view.order[view.batch + view.features :])
    if len(scales) > DIRECTIONS:
        return None
    images = view.images(output)
    sizes = (size // scale for size, scale in zip(images.shape[2:], scales, strict=True))
    shapes = (*images.shape[:2], *sizes), tuple(images.shape)
    return Growth("reshape", scales, *shapes, None, images, False, True, directions, view, tuple(output.shape))


def _is_unfinished(axes: Axes) -> bool:
    """Whether phases still have an axis of their own, right behind the places that they are to be laid between.

    Where there is one channel, such an axis is the only one of features. Behind a single place, as of the one latent
    frame of an image in a video net, there is nothing to be laid between: that one stays, or is cut off.
    """
    features = [k for k, axis in enumerate(axes) if axis and role_of(axis) in ("features", "stacked")]
    behind_one = [k for k in features if k > 2 and not axes[k - 1]]
    waiting = [k for k in features if 1 < k < len(axes) - 1 and role_of(axes[k - 1]) == "places"]
    channels = len(features) - len(behind_one) - len(waiting)
    return channels > 1 or (bool(waiting) and (channels + len(waiting) > 1 or not axes[1]))


def _is_sure(number: int, axis: Axis) -> bool:
    """Whether one axis that grows is one of an image, and not the batch with heads of attention merged into it."""
    return direction_of(axis) is not None or (number > 1 and axis[-1].role == "stacked")


def _runs_along_one(axis: Axis) -> bool:
    """Whether all places of an axis lie along one direction: pixels in a row, as tokens are, are no image's axis."""
    return len([factor for factor in axis if factor.role == "places"]) <= 1


def _each(value: Any, directions: int) -> tuple[int, ...]:
    """One number for each direction, of an argument that may be one number for all."""
    values = (value,) if isinstance(value, int) else tuple(value)
    return values if len(values) == directions else (values[0],) * directions


OWN_DETECTORS = {
    "interpolate": SiteDetector((F.interpolate, F.upsample), _interpolated),
    "upsample_nearest": SiteDetector((F.upsample_nearest,), growth_by_size("interpolate", nearest=True)),
    "upsample_bilinear": SiteDetector((F.upsample_bilinear,), growth_by_size("interpolate")),
    "conv_transpose1d": SiteDetector((F.conv_transpose1d,), along(1, _transposed(1))),
    "conv_transpose2d": SiteDetector((F.conv_transpose2d,), along(2, _transposed(2))),
    "conv_transpose3d": SiteDetector((F.conv_transpose3d,), along(3, _transposed(3))),
    "pixel_shuffle": SiteDetector((F.pixel_shuffle,), along(2, growth_by_size("pixel_shuffle"))),
    "grid_sample": SiteDetector((F.grid_sample, torch.grid_sampler), growth_by_size("grid_sample")),
    "fold": SiteDetector((F.fold,), _folded),
    "max_unpool1d": SiteDetector((F.max_unpool1d,), along(1, growth_by_size("max_unpool1d"))),
    "max_unpool2d": SiteDetector((F.max_unpool2d,), along(2, growth_by_size("max_unpool2d"))),
    "max_unpool3d": SiteDetector((F.max_unpool3d,), along(3, growth_by_size("max_unpool3d"))),
    "repeat_interleave": SiteDetector((torch.repeat_interleave, Tensor.repeat_interleave), _repeated),
    "reshape": SiteDetector(VIEWS, _reshaped),
}
"""The kinds of sites that need no other package."""
for _name, _detector in OWN_DETECTORS.items():
    SITE_DETECTORS.register(_name, _detector)
