"""Which sites each tensor of a forward pass came through, and what has happened to their lattices since.

So a site's period in the output follows from the wiring, and not from a ratio of sizes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from artifactlab.attribution.sites.axes import Axes, AxesOf, role_of
from artifactlab.attribution.sites.lattice_paths import (
    END_OF_PATH,
    UNCHANGED,
    LatticePath,
    LatticeStep,
    Scale,
    period_of,
    product,
)
from artifactlab.attribution.sites.lattice_steps import exact, no_axes, own_lattice, step_of, unseen_step
from artifactlab.attribution.sites.origins import Origin, extent_after, paths_from
from artifactlab.attribution.sites.records import SiteKey
from artifactlab.attribution.sites.sizes import (
    LOOKED_UP,
    PRODUCTS,
    Extent,
    UnseenGrowth,
    extent_of,
    joined,
    unseen_between,
)
from artifactlab.attribution.sites.upsampling import Growth
from artifactlab.models.outputs import DEEPEST, is_image, tensors
from artifactlab.models.tensor_table import TensorTable, given_tensors
from artifactlab.models.torch_internals import view_base, without_function_modes

MOST_OUTPUTS = 16
"""Tensors of an output whose way is read, each of which takes a walk through the pass; of more, what they came through
counts."""


class Wiring:
    """Follows tensors through the forward pass in progress."""

    def __init__(self, axes_of: AxesOf = no_axes) -> None:
        self._axes_of = axes_of
        self._origins: TensorTable[Origin] = TensorTable()
        self._keys: list[SiteKey] = []
        self._made = 0
        self._lost = False
        """Whether something came from nowhere, as what compiled code returns: what led to it is not known then."""
        self._latest: Extent | None = None
        self._unseen: dict[SiteKey, UnseenGrowth] = {}

    def start(self, inputs: Any = ()) -> None:
        """Forget the pass before, and begin one with these arguments of the model."""
        self._origins.clear()
        self._keys.clear()
        self._made = 0
        self._lost = False
        self._latest = None
        self._unseen.clear()
        with without_function_modes():
            for _, tensor in tensors(inputs):
                self._made += 1
                extent = extent_of(tensor) if is_image(tensor) else None
                self._origins[tensor] = Origin(self._made, 0, (), LatticeStep(), None, False, extent)
                self._latest = joined([extent, self._latest])

    def sites(self, value: Any) -> int:
        """The sites that a value came through, as bits: of two values, the one with the latest site has more."""
        bits = 0
        for origin in self._of(value):
            bits |= origin.sites
        return bits

    def reached(self, value: Any) -> frozenset[SiteKey] | None:
        """The sites whose lattice is left in a value; None where nothing is known of where it came from."""
        found = [tensor for _, tensor in tensors(value) if not tensor.is_nested and self._of(tensor)]
        if not found or self._lost:
            return None
        paths = [path for tensor in found[:MOST_OUTPUTS] for path in self.paths(tensor).items()]
        beyond = self.sites(found[MOST_OUTPUTS:])
        left = {key for key, path in paths if max(period_of(path)) > 1}
        return frozenset(left | {key for number, key in enumerate(self._keys) if beyond >> number & 1})

    def axes(self, tensor: Tensor) -> Axes | None:
        """What each axis of a tensor runs over, where that is known."""
        return self._axes_of(tensor)

    def latest(self, value: Any) -> str:
        """The site that a value came through last, as its module and operation; empty where it came through none."""
        bits = self.sites(value)
        return self._keys[bits.bit_length() - 1].operation if bits else ""

    def paths(self, output: Tensor) -> dict[SiteKey, LatticePath]:
        """The paths from each site, by its key, to an output."""
        end = END_OF_PATH
        if unseen := self._unseen_at(output):
            end = end.preceded_by(LatticeStep(_plane(unseen.scale)))
        found = paths_from(self._of(output), end)
        return {self._keys[number]: path for number, path in found.items()}

    def unseen(self, output: Tensor) -> list[UnseenGrowth]:
        """What has enlarged the images on the way to an output without being seen, the last part first."""
        paths = self.paths(output)
        last = self._unseen_at(output)
        found = [] if last is None else [replace(last, period=last.scale)]
        for key, unseen in reversed(self._unseen.items()):
            if key in paths:
                spacing = paths[key].preceded_by(LatticeStep(_plane(unseen.scale)))
                found.append(replace(unseen, period=period_of(spacing)[1::-1]))
        extent = self._extent_of(output)
        return [replace(unseen, grown=extent.grown) for unseen in found] if extent else found

    def _unseen_at(self, output: Tensor) -> UnseenGrowth | None:
        """Between what was known of last, and the output; the way there may not have been seen at all."""
        return unseen_between(self._extent_of(output), output.shape, "the output") if output.ndim == 4 else None

    def _extent_of(self, output: Tensor) -> Extent | None:
        origins = self._of(output)
        return joined(origin.extent for origin in origins) if origins else self._latest

    def called(
        self,
        func: Any,
        args: Any,
        kwargs: Any,
        given: Sequence[Tensor],
        output: Any,
        growth: Growth | None,
        key: SiteKey | None,
        followed_by: Scale = UNCHANGED,
    ) -> None:
        """A call made `output` of its arguments, which hold the tensors `given`, or wrote into the first of them.

        A `key` makes it a site. What is `followed_by` more growth before `output` is there has its lattice enlarged by
        that.
        """
        target = args[0] if func is Tensor.__setitem__ else output
        origins = self._made_by(given) if self._made else ()
        self._lost |= target is not output and isinstance(args[2], Tensor) and not self._made_by([args[2]])
        step = step_of(func, args, kwargs, output, growth, self._axes_of) if origins else LatticeStep()
        if key and growth:
            self._keys.append(key)
            self._lost |= not origins
            reached, unseen = self._grown(origins, growth, key)
            if unseen:
                self._unseen[key] = unseen
                step = step._replace(scale=product(step.scale, _plane(unseen.scale)))
            self._latest = reached
            step = step._replace(scale=product(step.scale, followed_by))
            # a grid of where to look has the output's size already
            beside = self._of(args[1:]) if func in LOOKED_UP else ()
            grown = self._of(args[0]) if beside else origins
            self._add(target, self._made_of(grown, step, reached, product(own_lattice(growth), followed_by)))
            if beside:
                self._add(target, self._made_of(beside, LatticeStep(pointwise=False), reached))
        elif origins and self._has_no_place(output):
            self._made += 1  # a mean over all places, or the features of none, has no lattice
            self._add(target, Origin(self._made, 0, (), LatticeStep(), None, False))
        elif origins:
            mixes = func in PRODUCTS and sum(bool(self._of(factor)) for factor in args) > 1
            extent = None if mixes else extent_after(origins, func, args, target, step)
            if growth and extent:  # images side by side
                horizontal, vertical, _ = growth.enlargement
                extent = extent.scaled(vertical, horizontal)
            made = self._made_of(origins, step, extent)
            self._add(target, made)
            if isinstance(target, Tensor) and args and target is args[0]:
                base = view_base(target)
                if base is not None:  # a tensor that is filled through views of it, part by part
                    self._add(base, self._placed(made, target, base))

    def _has_no_place(self, output: Any) -> bool:
        """Whether a tensor is known to run over no places: over the batch and features at most."""
        axes = self._axes_of(output)
        roles = [role_of(axis) for axis in axes or () if axis]
        return axes is not None and len(roles) <= 2 and not {"places", "unknown"} & set(roles)

    def _grown(
        self, origins: Sequence[Origin], growth: Growth, key: SiteKey
    ) -> tuple[Extent | None, UnseenGrowth | None]:
        """The extent of a site's output, and what has enlarged its input unseen; of images only."""
        if len(growth.scale) != 2:
            return None, None
        expected = joined(origin.extent for origin in origins) if origins else self._latest
        unseen = unseen_between(expected, growth.in_shape, key.operation)
        grown = expected.grown if expected else (1.0, 1.0)
        grown = (grown[0] * growth.scale[0], grown[1] * growth.scale[1])
        (n, _, h, w) = growth.out_shape
        return Extent(n, h, w, grown, key.operation), unseen

    def _placed(self, made: Origin, part: Tensor, whole: Tensor) -> Origin:
        """The origin of a whole of which a part was written, if that is a tile of it and not every other pixel."""
        if made.extent is None or part.ndim != 4 or whole.ndim != 4 or part.stride()[-2:] != whole.stride()[-2:]:
            return made
        factors = (after / max(1, before) for before, after in zip(part.shape[-2:], whole.shape[-2:], strict=True))
        return self._made_of([made], LatticeStep(), made.extent.scaled(*factors))

    def returned(
        self,
        args: Any,
        kwargs: Any,
        output: Any,
        growth: Growth | None,
        key: SiteKey | None,
        images: tuple[Tensor | None, Tensor | None],
    ) -> None:
        """A module returned `output`: if no call was seen to make it, it came the way of the module's arguments.

        `images` are what it takes and returns, as (N, C, *space), where that is known.
        """
        if key and growth:
            within = [inner for inner in self._unseen if f"{inner.name}.".startswith(f"{key.name}.")]
            seen = self._grown_after(within, output)
            for inner in within:  # it is this module's now
                del self._unseen[inner]
            # what was seen in a module came before the rest, unless sizes say otherwise
            if isinstance(output, Tensor) and not within and self._of(output):
                args, kwargs = (output,), {}
            self.called(None, args, kwargs, given_tensors(args, kwargs), output, growth, key, seen)
            return
        unseen = self._made and isinstance(output, Tensor) and not self._of(output)
        origins = self._of((args, kwargs)) if unseen else ()
        if origins:
            step = unseen_step(*images)
            extent = joined([self._latest, *(origin.extent for origin in origins)])
            self._add(output, self._made_of(origins, step, extent))

    def _grown_after(self, unseen: Sequence[SiteKey], output: Any) -> Scale:
        """The growth that was seen on the way from the first of what was not seen to the output of its module."""
        path = self.paths(output).get(unseen[0]) if unseen and isinstance(output, Tensor) else None
        return UNCHANGED if path is None else exact(period_of(path))

    def _of(self, value: Any) -> tuple[Origin, ...]:
        """Where a tensor, or all tensors in nested arguments, came from."""
        return self._made_by(given_tensors((value,), {}))

    def _made_by(self, given: Sequence[Tensor]) -> tuple[Origin, ...]:
        """Where tensors came from, each place once; weights come from nowhere."""
        found: dict[int, Origin] = {}
        for tensor in given:
            origin = self._origins.get(tensor)
            if origin is not None and type(tensor) is not nn.Parameter:
                found[origin.number] = origin
        return tuple(found.values())

    def _made_of(
        self, origins: Sequence[Origin], step: LatticeStep, extent: Extent | None, lattice: Scale | None = None
    ) -> Origin:
        """What comes of a step: where that changes nothing, the same origin."""
        fresh = any(origin.fresh for origin in origins)
        changes = step.scale != UNCHANGED or (fresh and (step.bounding or not step.pointwise))
        if lattice is None and len(origins) == 1 and not changes and extent == origins[0].extent:
            return origins[0]
        self._made += 1
        bits = 0 if lattice is None else 1 << len(self._keys) - 1
        for origin in origins:
            bits |= origin.sites
        still_fresh = lattice is not None or (fresh and step.pointwise)
        return Origin(self._made, bits, tuple(origins), step, lattice, still_fresh, extent)

    def _add(self, value: Any, origin: Origin, depth: int = 0) -> None:
        if isinstance(value, Tensor):
            known = self._origins.get(value)
            if known is not None and known.number != origin.number:
                origin = self._made_of((known, origin), LatticeStep(), joined((known.extent, origin.extent)))
            self._origins[value] = origin
        elif isinstance(value, (list, tuple)) and depth < DEEPEST:  # one may hold itself
            for item in value:
                self._add(item, origin, depth + 1)


def _plane(scale: Sequence[float]) -> Scale:
    """A (vertical, horizontal) scale for every direction."""
    return exact((scale[1], scale[0], 1))
