"""Which sites each tensor of a forward pass came through, and what has happened to it since.

A site's lattice keeps its spacing through convolutions, crops, paddings and tiles, and changes it only where the result
passes another resize. So its period in the output follows from the wiring, and not from a ratio of sizes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from artifactlab.attribution.sites.upsampling import Growth
from artifactlab.models.outputs import first_image

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

    def met(self, other: Path | None) -> Path:
        """Both, where paths meet."""
        if other is None or other == self:
            return self
        scales = self.scales | other.scales
        if len(scales) > MOST_PATHS:
            scales = frozenset(sorted(scales)[-MOST_PATHS:])
        return Path(scales, self.pointwise and other.pointwise, self.bounded and other.bounded)

    def before(self, step: _Step) -> Path:
        """The path that begins one step earlier."""
        scales = self.scales
        if step.by != UNCHANGED:
            scales = frozenset((v * step.by[0], h * step.by[1]) for v, h in scales)
        return Path(scales, self.pointwise and step.pointwise, self.bounded or step.bounding)


AT_THE_END = Path(frozenset([UNCHANGED]), pointwise=True)


class _Step(NamedTuple):
    """What a call does to the lattices in its arguments."""

    by: Scale = UNCHANGED
    pointwise: bool = True
    bounding: bool = False


class _Origin(NamedTuple):
    """Where a tensor came from. Many tensors share one: most calls change no lattice.

    A pass is kept as the graph of these, and read once, from its output: what is kept per tensor does not grow with the
    number of sites, of which a sampler has thousands.
    """

    number: int
    """later ones are made of earlier ones"""
    sites: int
    """bit k is set where it came through site k of the pass"""
    made_of: tuple[_Origin, ...]
    step: _Step
    """from what it is made of"""
    lattice: Scale | None
    """of the site that made it"""
    fresh: bool
    """whether for some site nothing but functions of single values followed"""


class Wiring:
    """Follows tensors through the forward pass in progress."""

    def __init__(self) -> None:
        self._origins = WeakTensorKeyDictionary()
        self._keys: list[tuple[str, str, int]] = []
        self._made = 0

    def start(self) -> None:
        """Forget the pass before."""
        self._origins.clear()
        self._keys.clear()
        self._made = 0

    def sites(self, value: Any) -> int:
        """The sites that a value came through, as bits: of two values, the one with the latest site has more."""
        bits = 0
        for origin in self._of(value):
            bits |= origin.sites
        return bits

    def latest(self, value: Any) -> str:
        """The site that a value came through last, as its module and call; empty where it came through none."""
        bits = self.sites(value)
        name, op, _ = self._keys[bits.bit_length() - 1] if bits else ("", "", 0)
        return "/".join(filter(None, (name, op)))

    def ways(self, output: Tensor) -> dict[tuple[str, str, int], Path]:
        """The ways from each site, by its key, to an output."""
        ahead = {origin.number: (origin, AT_THE_END) for origin in self._of(output)}
        found: dict[tuple[str, str, int], Path] = {}
        while ahead:
            origin, path = ahead.pop(max(ahead))
            if origin.lattice is not None:
                own = _Step(origin.lattice)
                found[self._keys[origin.sites.bit_length() - 1]] = path.before(own)
            earlier = path.before(origin.step)
            for source in origin.made_of:
                _, other = ahead.get(source.number, (source, None))
                ahead[source.number] = (source, earlier.met(other))
        return found

    def called(
        self, func: Any, args: Any, kwargs: Any, output: Any, growth: Growth | None, key: tuple[str, str, int] | None
    ) -> None:
        """A call made `output` of its arguments, or wrote into the first of them; a `key` makes it a site."""
        target = args[0] if func is Tensor.__setitem__ else output
        origins = self._of((args, kwargs)) if self._keys else ()
        step = _Step()
        if origins:
            kept = func in POINTWISE and sum(map(_varies, (*args, *kwargs.values()))) < 2
            by = _scale_of(growth) if growth else _shrunk(func, args, kwargs, output)
            step = _Step(by, kept, func in BOUNDING)
        if key and growth:
            self._keys.append(key)
            self._add(target, self._made_of(origins, step, _own_lattice(growth)))
        elif origins:
            made = self._made_of(origins, step)
            self._add(target, made)
            if isinstance(target, Tensor) and args and target is args[0] and target._base is not None:
                self._add(target._base, made)  # a tensor that is filled through views of it, part by part

    def left(
        self, args: Any, kwargs: Any, output: Any, growth: Growth | None, key: tuple[str, str, int] | None
    ) -> None:
        """A module returned `output`: if no call was seen to make it, it came the way of the module's arguments."""
        if key and growth:
            self.called(None, args, kwargs, output, growth, key)
        elif self._keys and isinstance(output, Tensor) and not self._of(output):
            source, image = first_image((args, kwargs)), first_image(output)
            by = UNCHANGED if source is None or image is None else _whole_ratio(source, image)
            if origins := self._of((args, kwargs)):
                self._add(output, self._made_of(origins, _Step(by, pointwise=False)))

    def _of(self, value: Any) -> tuple[_Origin, ...]:
        """Where a tensor, or all tensors in nested arguments, came from."""
        if isinstance(value, Tensor):
            origin = self._origins.get(value)
            return () if origin is None else (origin,)
        items = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
        return tuple({origin.number: origin for item in items for origin in self._of(item)}.values())

    def _made_of(self, origins: Sequence[_Origin], step: _Step, lattice: Scale | None = None) -> _Origin:
        """What comes of a step: where that changes nothing, the same origin."""
        fresh = any(origin.fresh for origin in origins)
        changes = step.by != UNCHANGED or (fresh and (step.bounding or not step.pointwise))
        if lattice is None and len(origins) == 1 and not changes:
            return origins[0]
        self._made += 1
        bits = 0 if lattice is None else 1 << len(self._keys) - 1
        for origin in origins:
            bits |= origin.sites
        still = lattice is not None or (fresh and step.pointwise)
        return _Origin(self._made, bits, tuple(origins), step, lattice, still)

    def _add(self, value: Any, origin: _Origin) -> None:
        if isinstance(value, Tensor):
            known = self._origins.get(value)
            if known is not None and known.number != origin.number:
                origin = self._made_of((known, origin), _Step())
            self._origins[value] = origin
        elif isinstance(value, (list, tuple)):
            for item in value:
                self._add(item, origin)


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
