"""Which torch functions enlarge their input, and by how much: our own kinds of sites, and those of installed packages.

A package of one file adds a kind by an entry point of the group `artifactlab.sites`, whose name is the kind's:

    KRON = SiteDetector(functions=(torch.kron,), growth=growth_by_size("kron"))
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from artifactlab.attribution.sites.hand_made import growth_by_hand
from artifactlab.attribution.sites.upsampling import Growth, growth_between
from artifactlab.errors import RegistryError
from artifactlab.models.outputs import is_image
from artifactlab.registry import Registry

NEAREST = ("nearest", "nearest-exact")


@dataclass(frozen=True)
class FunctionCall:
    """One call of a torch function in a running model, as a detector is given it.

    >>> x = torch.zeros(1, 3, 8, 8)
    >>> call = FunctionCall((x,), {"scale_factor": 2}, x, F.interpolate(x, scale_factor=2), set())
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
    partitions: set[tuple[int, ...]]
    """Splits into windows that this forward pass has made so far, as (h, r, w, s), and of features into heads, as
    (heads, features); detectors may note and read them."""

    def argument(self, position: int, name: str, default: Any = None) -> Any:
        """The argument at a `position` or of a `name`; `default` where it was not given."""
        return self.kwargs.get(name, self.args[position] if len(self.args) > position else default)


@dataclass(frozen=True)
class SiteDetector:
    """A kind of upsampling call.

    >>> kron = SiteDetector(functions=(torch.kron,), growth=growth_by_size("kron"))
    >>> x, ones = torch.rand(1, 3, 8, 8), torch.ones(2, 3)
    >>> kron.growth(FunctionCall((x, ones), {}, x, torch.kron(x, ones), set())).scale
    (2, 3)
    """

    functions: tuple[Callable[..., Any], ...]
    """The torch functions that make such calls; no other kind may have one of them."""
    growth: Callable[[FunctionCall], Growth | None]
    """What a call of one of them enlarges, and by how much; None where it enlarges nothing."""


SITE_DETECTORS: Registry[SiteDetector] = Registry("artifactlab.sites", SiteDetector)
"""All kinds of upsampling calls by name."""


def growth_by_size(op: str, *, nearest: bool = False) -> Callable[[FunctionCall], Growth | None]:
    """The `growth` of a `SiteDetector` whose functions take one image and return one: the ratio of the two sizes.

    Args:
        op: name of the operation, as it appears in a site's key.
        nearest: whether it repeats pixels, as a nearest-neighbour resize does.

    >>> x = torch.zeros(1, 3, 8, 8)
    >>> call = FunctionCall((x, torch.ones(2, 2)), {}, x, torch.kron(x, torch.ones(2, 2)), set())
    >>> growth_by_size("kron")(call).scale
    (2, 2)
    """

    def growth(call: FunctionCall) -> Growth | None:
        return growth_between(op, call.source, call.output, nearest=nearest)

    return growth


class GrowthDetection:
    """Recognises growth in the torch function calls of forward passes, one pass at a time.

    Raises:
        RegistryError: if two kinds of sites have a function in common.
    """

    def __init__(self) -> None:
        self._growths = _growths_by_function()
        self._partitions: set[tuple[int, ...]] = set()

    def start(self) -> None:
        """Forget the pass before."""
        self._partitions.clear()

    def of_call(self, func: Any, args: Any, kwargs: Any, output: Any) -> Growth | None:
        """The growth in one call, or None; it is asked of every call that a model makes."""
        if not isinstance(output, Tensor):
            return None
        growth = self._growths.get(func)
        if growth is None:
            return growth_by_hand(func, args, kwargs, output)
        source = args[0] if args else kwargs.get("input")
        if not isinstance(source, Tensor):
            return None
        return growth(FunctionCall(args, kwargs, source, output, self._partitions))


def _growths_by_function() -> dict[Callable[..., Any], Callable[[FunctionCall], Growth | None]]:
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


def _transposed(call: FunctionCall) -> Growth | None:
    stride = _pair(call.argument(3, "stride", 1))
    return growth_between("conv_transpose2d", call.source, call.output, scale=stride)


def _folded(call: FunctionCall) -> Growth | None:
    """Overlapping patches summed into an image: `F.fold` grows a grid of patches by its stride."""
    r, s = _pair(call.argument(5, "stride", 1))
    if not is_image(call.output) or (r, s) == (1, 1):
        return None
    n, c, h, w = call.output.shape
    return Growth("fold", (r, s), (n, c, h // r, w // s), (n, c, h, w), None, call.output)


def _reshaped(call: FunctionCall) -> Growth | None:
    """Depth to space by hand: a reshape that merges (h, r) and (w, s) into h*r and w*s.

    Window attention merges its windows the same way. It has folded them into the batch before, which patches never
    are; a merge that undoes such a fold of this pass is no growth.
    """
    source, output = call.source, call.output
    if output.ndim >= 4 and source.ndim and _splits_features(source, output):
        call.partitions.add(tuple(output.shape[-2:]))
    if source.ndim not in (5, 6):  # models reshape all the time
        return None
    if source.ndim == 6 and output.shape[0] == source.shape[0] * source.shape[1] * source.shape[2]:
        h, w = source.shape[1:3]
        call.partitions.add((h, source.shape[3], w, source.shape[4]))  # (N, h, w, r, s, C)
        call.partitions.add((h, source.shape[4], w, source.shape[5]))  # (N, h, w, C, r, s)
        return None
    if output.ndim != 4 or not output.is_floating_point() or source.shape[:1] != output.shape[:1]:
        return None
    merged = _merged_axes(tuple(source.shape), tuple(output.shape))
    if merged is None:
        return None
    (c, h, r, w, s), channels_last = merged
    is_of_heads = source.ndim == 5 and s > 1 and (w, s) in call.partitions
    if (r, s) == (1, 1) or is_of_heads or _is_of_windows(call.partitions, h, r, w, s):
        return None
    image = output.permute(0, 3, 1, 2) if channels_last else output
    in_shape = (source.shape[0], c, h, w)
    return Growth("reshape", (r, s), in_shape, tuple(image.shape), None, image, channels_last=channels_last)


def _is_of_windows(partitions: set[tuple[int, ...]], h: int, r: int, w: int, s: int) -> bool:
    """Whether windows are put back together, in their own size or enlarged meanwhile."""
    splits = [split for split in partitions if len(split) == 4]
    return any((h, w) == (rows, columns) and r % y == 0 and s % x == 0 for rows, y, columns, x in splits)


def _splits_features(source: Tensor, output: Tensor) -> bool:
    """Whether the last axis is split into heads, or phases, and the features of each."""
    features, parts = source.shape[-1], math.prod(output.shape[-2:])
    return output.shape[-1] < features and parts > 0 and features % parts == 0


def _merged_axes(shape: tuple[int, ...], out: tuple[int, ...]) -> tuple[tuple[int, int, int, int, int], bool] | None:
    """The (c, h, r, w, s) of a reshape to (c, h*r, w*s), and whether it is to (h*r, w*s, c) instead."""
    n = shape[0]
    readings = []
    if len(shape) == 6 and out == (n, shape[1], shape[2] * shape[3], shape[4] * shape[5]):
        _, c, h, r, w, s = shape
        readings.append(((c, h, r, w, s), False))
    if len(shape) == 6 and out == (n, shape[1] * shape[2], shape[3] * shape[4], shape[5]):
        _, h, r, w, s, c = shape
        readings.append(((c, h, r, w, s), True))
    if readings:  # where axes of one pixel allow both, one that merges nothing is right: FIR filters are written so
        return min(readings, key=lambda reading: reading[0][2] * reading[0][4] > 1)
    if len(shape) == 5 and out == (n, shape[1], shape[2] * shape[3], shape[4]):
        _, c, h, r, w = shape
        return (c, h, r, w, 1), False
    if len(shape) == 5 and out == (n, shape[1], shape[2], shape[3] * shape[4]):
        _, c, h, w, s = shape
        return (c, h, 1, w, s), False
    return None


def _pair(value: Any) -> tuple[int, int]:
    """(vertical, horizontal) of an argument that may be one number."""
    pair = (value, value) if isinstance(value, int) else tuple(value)
    return pair[0], pair[-1]


def _operators(*names: str) -> tuple[Callable[..., Any], ...]:
    """`torch.ops.aten.name`, and each of its overloads, in arguments as the function of that name."""
    packets = [getattr(torch.ops.aten, name) for name in names]
    return tuple(op for packet in packets for op in (packet, *(getattr(packet, o) for o in packet.overloads())))


OWN_DETECTORS = {
    "interpolate": SiteDetector((F.interpolate, F.upsample), _interpolated),
    "upsample_nearest": SiteDetector((F.upsample_nearest,), growth_by_size("interpolate", nearest=True)),
    "upsample_bilinear": SiteDetector((F.upsample_bilinear,), growth_by_size("interpolate")),
    "conv_transpose2d": SiteDetector((F.conv_transpose2d, *_operators("conv_transpose2d")), _transposed),
    "pixel_shuffle": SiteDetector((F.pixel_shuffle, *_operators("pixel_shuffle")), growth_by_size("pixel_shuffle")),
    "grid_sample": SiteDetector(
        (F.grid_sample, torch.grid_sampler, *_operators("grid_sampler", "grid_sampler_2d")),
        growth_by_size("grid_sample"),
    ),
    "fold": SiteDetector((F.fold,), _folded),
    "max_unpool2d": SiteDetector((F.max_unpool2d,), growth_by_size("max_unpool2d")),
    "repeat_interleave": SiteDetector(
        (torch.repeat_interleave, Tensor.repeat_interleave), growth_by_size("repeat_interleave")
    ),
    "reshape": SiteDetector((torch.reshape, Tensor.reshape, Tensor.view, torch.flatten, Tensor.flatten), _reshaped),
}
"""The kinds of sites that need no other package."""
for _name, _detector in OWN_DETECTORS.items():
    SITE_DETECTORS.register(_name, _detector)
