"""Which sites each tensor of a forward pass came through, and what has happened to it since.

A site's lattice keeps its spacing through convolutions, crops, paddings and tiles, and changes it only where the result
passes another resize. So its period in the output follows from the wiring, and not from a ratio of sizes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from artifactlab.outputs import first_image
from artifactlab.sites import Growth

Scale = tuple[Fraction, Fraction]
"""(vertical, horizontal)"""
UNCHANGED: Scale = (Fraction(1), Fraction(1))
MOST_PATHS = 8
"""scales that are kept of one site: a net that is run over and over multiplies them without end"""
FINEST = 64
"""denominator of a scale: sizes that differ by a sample or two are no resize"""


@dataclass(frozen=True)
class Path:
    """How a tensor came from a site."""

    scales: frozenset[Scale]
    """what resizes have made of the site's lattice since, its own scale included; several where paths meet"""
    pointwise: bool
    """whether nothing has been done to it since but functions of single values"""
    bounded: bool = False
    """whether one of them was a sigmoid, a softmax or a tanh"""


Paths = dict[int, Path]
"""by number of the site in this pass, 1 for the first"""


class Wiring:
    """Follows tensors through the forward pass in progress."""

    def __init__(self) -> None:
        self._paths = WeakTensorKeyDictionary()
        self._keys: list[tuple[str, str, int]] = []

    def start(self) -> None:
        """Forget the pass before."""
        self._paths.clear()
        self._keys.clear()

    def of(self, value: Any) -> Paths:
        """The sites that a tensor, or all tensors in nested arguments, came through."""
        if isinstance(value, Tensor):
            return self._paths.get(value) or {}
        items = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
        paths: Paths = {}
        for item in items:
            paths = _met(paths, self.of(item))
        return paths

    def sites(self, value: Any) -> frozenset[int]:
        """Numbers of the sites that a value came through."""
        return frozenset(self.of(value))

    def latest(self, value: Any) -> str:
        """The site that a value came through last, as its module and call; empty where it came through none."""
        name, op, _ = self._keys[max(self.of(value)) - 1] if self.of(value) else ("", "", 0)
        return "/".join(filter(None, (name, op)))

    def ways(self, output: Tensor) -> dict[tuple[str, str, int], Path]:
        """The ways from each site, by its key, to an output."""
        return {self._keys[number - 1]: path for number, path in self.of(output).items()}

    def called(
        self, func: Any, args: Any, kwargs: Any, output: Any, growth: Growth | None, key: tuple[str, str, int] | None
    ) -> None:
        """A call made `output` of its arguments, or wrote into the first of them; a `key` makes it a site."""
        target = args[0] if func is Tensor.__setitem__ else output
        came = self.of((args, kwargs)) if self._keys else {}
        if came:
            by = _scale_of(growth) if growth else _shrunk(func, args, kwargs, output)
            kept = func in POINTWISE and sum(map(_varies, (*args, *kwargs.values()))) < 2
            bounding = func in BOUNDING
            came = came if by == UNCHANGED and kept and not bounding else _passed(came, by, kept, bounding)
        if key and growth:
            self._keys.append(key)
            came = {**came, len(self._keys): Path(frozenset([_own_lattice(growth)]), True)}
        if came:
            self._add(target, came)
            if isinstance(target, Tensor) and args and target is args[0] and target._base is not None:
                self._add(target._base, came)  # a tensor that is filled through views of it, part by part

    def left(
        self, args: Any, kwargs: Any, output: Any, growth: Growth | None, key: tuple[str, str, int] | None
    ) -> None:
        """A module returned `output`: if no call was seen to make it, it came the way of the module's arguments."""
        if key and growth:
            self.called(None, args, kwargs, output, growth, key)
        elif self._keys and isinstance(output, Tensor) and not self.of(output):
            source, image = first_image((args, kwargs)), first_image(output)
            by = UNCHANGED if source is None or image is None else _whole_ratio(source, image)
            if came := self.of((args, kwargs)):
                self._add(output, _passed(came, by, pointwise=False))

    def _add(self, value: Any, paths: Paths) -> None:
        if isinstance(value, Tensor):
            self._paths[value] = _met(self._paths.get(value) or {}, paths)
        elif isinstance(value, (list, tuple)):
            for item in value:
                self._add(item, paths)


def period_of(path: Path) -> tuple[float, float]:
    """The spacing of a site's lattice at the end of a path, (vertical, horizontal).

    Where paths of different scale meet, the smallest spacing that holds all of them.
    """
    axes = zip(*path.scales, strict=True)
    return tuple(_together(set(axis)) for axis in axes)  # type: ignore[return-value]


def _together(scales: set[Fraction]) -> float:
    whole = [int(scale) for scale in scales if scale.denominator == 1 and scale > 1]
    if whole:
        return math.lcm(*whole)
    largest = max(scales)
    return 1 if largest <= 1 else float(round(float(largest), 3))


def _met(paths: Paths, others: Paths) -> Paths:
    """Both together."""
    if not paths or not others or paths is others:
        return paths or others
    met = dict(paths)
    for site, path in others.items():
        known = met.get(site)
        if known is None:
            met[site] = path
        elif known != path:
            scales = known.scales | path.scales
            if len(scales) > MOST_PATHS:
                scales = frozenset(sorted(scales)[-MOST_PATHS:])
            met[site] = Path(scales, known.pointwise and path.pointwise, known.bounded and path.bounded)
    return met


def _passed(paths: Paths, by: Scale, pointwise: bool, bounding: bool = False) -> Paths:
    """The paths after one more call."""
    return {
        site: Path(
            frozenset((v * by[0], h * by[1]) for v, h in path.scales) if by != UNCHANGED else path.scales,
            path.pointwise and pointwise,
            path.bounded or bounding,
        )
        for site, path in paths.items()
    }


def _own_lattice(growth: Growth) -> Scale:
    """A site's own scale; 0, and so for ever, along an axis that it does not grow."""
    vertical, horizontal = (Fraction(0) if scale == 1 else scale for scale in _scale_of(growth))
    return vertical, horizontal


def _scale_of(growth: Growth) -> Scale:
    vertical, horizontal = (Fraction(scale).limit_denominator(FINEST) for scale in growth.scale)
    return vertical, horizontal


def _varies(value: Any) -> bool:
    """Whether an operand differs from place to place, so that it may undo what another has."""
    if not isinstance(value, Tensor):
        return False
    with torch._C.DisableTorchFunction():
        return any(size > 1 for size in value.shape[-2:])


def _shrunk(func: Any, args: Any, kwargs: Any, output: Any) -> Scale:
    """What a call that is no site does to a lattice: strides and poolings shrink it, crops do not."""
    if func is Tensor.__getitem__:
        return _steps(args)
    look = SHRINKING.get(func)
    if look is None or not isinstance(output, Tensor):
        return UNCHANGED
    with torch._C.DisableTorchFunction():
        source = args[0] if args else kwargs.get("input")
        if not isinstance(source, Tensor) or source.ndim != 4 or output.ndim != 4:
            return UNCHANGED
        return look(args, kwargs, source, output)


def _steps(args: Any) -> Scale:
    """Of an index `[..., a:b:step, c:d:step]` into an image."""
    image, index = args[0], args[1] if isinstance(args[1], tuple) else (args[1],)
    if not isinstance(image, Tensor) or image.ndim != 4 or not any(isinstance(i, slice) and i.step for i in index):
        return UNCHANGED
    if any(not isinstance(i, slice) and i is not Ellipsis for i in index):
        return UNCHANGED
    if Ellipsis in index:
        place = index.index(Ellipsis)
        missing = image.ndim - len(index) + 1
        index = (*index[:place], *[slice(None)] * missing, *index[place + 1 :])
    index = (*index, *[slice(None)] * (image.ndim - len(index)))
    return Fraction(1, index[2].step or 1), Fraction(1, index[3].step or 1)


def _by_stride(place: int, name: str = "stride", instead: tuple[int, str] | None = None) -> Callable[..., Scale]:
    """Of an argument, by position or name; `instead` is the one that it defaults to."""

    def look(args: Any, kwargs: Any, source: Tensor, output: Tensor) -> Scale:
        stride = kwargs.get(name, args[place] if len(args) > place else None)
        if instead and not stride:
            stride = kwargs.get(instead[1], args[instead[0]] if len(args) > instead[0] else None)
        pair = (stride, stride) if isinstance(stride, int) else tuple(stride or (1, 1))
        return Fraction(1, pair[0]), Fraction(1, pair[-1])

    return look


def _by_ratio(args: Any, kwargs: Any, source: Tensor, output: Tensor) -> Scale:
    return _whole_ratio(source, output)


def _whole_ratio(source: Tensor, output: Tensor) -> Scale:
    """How much larger the output is, where that is a whole number or one over it; but for padding."""
    scales = []
    for before, after in zip(source.shape[-2:], output.shape[-2:], strict=True):
        ratio = Fraction(after, max(1, before))
        near = Fraction(round(ratio)) if ratio >= 1 else Fraction(1, round(1 / max(ratio, Fraction(1, before))))
        scales.append(near if abs(ratio / near - 1) <= 0.05 else ratio.limit_denominator(FINEST))
    return scales[0], scales[1]


SHRINKING: dict[Any, Callable[..., Scale]] = {
    F.conv2d: _by_stride(3),
    F.avg_pool2d: _by_stride(2, instead=(1, "kernel_size")),
    F.max_pool2d: _by_stride(2, instead=(1, "kernel_size")),
    torch.max_pool2d: _by_stride(2, instead=(1, "kernel_size")),
    F.max_pool2d_with_indices: _by_stride(2, instead=(1, "kernel_size")),
    F.lp_pool2d: _by_stride(3, instead=(2, "kernel_size")),
    F.pixel_unshuffle: _by_stride(1, "downscale_factor"),
    F.interpolate: _by_ratio,
    F.adaptive_avg_pool2d: _by_ratio,
    F.adaptive_max_pool2d: _by_ratio,
}
"""function -> what it does to the spacing of a lattice"""
BOUNDING = {
    *(torch.sigmoid, Tensor.sigmoid, F.sigmoid, torch.tanh, Tensor.tanh, F.tanh),
    *(torch.softmax, Tensor.softmax, F.softmax),
}
"""functions of single values that make logits into something to look at"""
POINTWISE = BOUNDING | {
    *(F.log_softmax, torch.relu, Tensor.relu, F.relu, F.leaky_relu, F.hardtanh, F.silu, F.gelu),
    *(torch.clamp, Tensor.clamp, Tensor.clamp_, torch.clip, Tensor.clip, torch.exp, Tensor.exp, torch.abs, Tensor.abs),
    *(torch.add, Tensor.add, Tensor.__add__, Tensor.__radd__, torch.sub, Tensor.sub, Tensor.__sub__, Tensor.__rsub__),
    *(torch.mul, Tensor.mul, Tensor.__mul__, Tensor.__rmul__, torch.div, Tensor.div, Tensor.__truediv__),
    *(Tensor.__getitem__, Tensor.contiguous, Tensor.float, Tensor.to, Tensor.half, Tensor.type, Tensor.clone),
    *(Tensor.add_, Tensor.mul_, Tensor.__iadd__, Tensor.__imul__, F.pad),
}
"""functions of single values, which no later layer undoes"""
