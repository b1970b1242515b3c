"""Which sites each tensor of a forward pass came through, and what has happened to their lattices since.

So a site's period in the output follows from the wiring, and not from a ratio of sizes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from torch import Tensor

from artifactlab.attribution.sites.lattice_paths import END_OF_PATH, UNCHANGED, LatticePath, LatticeStep, Scale
from artifactlab.attribution.sites.lattice_steps import own_lattice, step_of, unseen_step
from artifactlab.attribution.sites.records import SiteKey
from artifactlab.attribution.sites.upsampling import Growth
from artifactlab.models.outputs import DEEPEST, tensors
from artifactlab.models.torch_internals import WeakTensorKeyDictionary, view_base


class _Origin(NamedTuple):
    """Where a tensor came from. Many tensors share one: most calls change no lattice.

    A pass is kept as the graph of these, and read once, from its output: what is kept per tensor does not grow with the
    number of sites, of which a sampler has thousands.
    """

    number: int
    """Place in the order of making: later ones are made of earlier ones."""
    sites: int
    """Bit k is set where it came through site k of the pass."""
    made_of: tuple[_Origin, ...]
    """The origins that it was made of."""
    step: LatticeStep
    """What was done to them."""
    lattice: Scale | None
    """The scale of the site that made it, if one did."""
    fresh: bool
    """Whether for some site nothing but functions of single values followed."""


class Wiring:
    """Follows tensors through the forward pass in progress."""

    def __init__(self) -> None:
        self._origins = WeakTensorKeyDictionary()
        self._keys: list[SiteKey] = []
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
        """The site that a value came through last, as its module and operation; empty where it came through none."""
        bits = self.sites(value)
        return self._keys[bits.bit_length() - 1].operation if bits else ""

    def paths(self, output: Tensor) -> dict[SiteKey, LatticePath]:
        """The paths from each site, by its key, to an output."""
        ahead = {origin.number: (origin, END_OF_PATH) for origin in self._of(output)}
        found: dict[SiteKey, LatticePath] = {}
        while ahead:
            origin, path = ahead.pop(max(ahead))
            if origin.lattice is not None:
                own = LatticeStep(origin.lattice)
                found[self._keys[origin.sites.bit_length() - 1]] = path.preceded_by(own)
            earlier = path.preceded_by(origin.step)
            for source in origin.made_of:
                _, other = ahead.get(source.number, (source, None))
                ahead[source.number] = (source, earlier.joined(other))
        return found

    def called(
        self, func: Any, args: Any, kwargs: Any, output: Any, growth: Growth | None, key: SiteKey | None
    ) -> None:
        """A call made `output` of its arguments, or wrote into the first of them; a `key` makes it a site."""
        target = args[0] if func is Tensor.__setitem__ else output
        origins = self._of((args, kwargs)) if self._keys else ()
        step = step_of(func, args, kwargs, output, growth) if origins else LatticeStep()
        if key and growth:
            self._keys.append(key)
            self._add(target, self._made_of(origins, step, own_lattice(growth)))
        elif origins:
            made = self._made_of(origins, step)
            self._add(target, made)
            if isinstance(target, Tensor) and args and target is args[0]:
                base = view_base(target)
                if base is not None:
                    self._add(base, made)  # a tensor that is filled through views of it, part by part

    def returned(self, args: Any, kwargs: Any, output: Any, growth: Growth | None, key: SiteKey | None) -> None:
        """A module returned `output`: if no call was seen to make it, it came the way of the module's arguments."""
        if key and growth:
            self.called(None, args, kwargs, output, growth, key)
            return
        unseen = self._keys and isinstance(output, Tensor) and not self._of(output)
        origins = self._of((args, kwargs)) if unseen else ()
        if origins:
            self._add(output, self._made_of(origins, unseen_step((args, kwargs), output)))

    def _of(self, value: Any, around: tuple[int, ...] = ()) -> tuple[_Origin, ...]:
        """Where a tensor, or all tensors in nested arguments, came from; what holds itself is not entered again."""
        if isinstance(value, Tensor):
            origin = self._origins.get(value)
            return () if origin is None else (origin,)
        items = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
        by_number: dict[int, _Origin] = {}
        for item in () if id(value) in around or len(around) > DEEPEST else items:
            for origin in self._of(item, (*around, id(value))):
                by_number[origin.number] = origin
        return tuple(by_number.values())

    def _made_of(self, origins: Sequence[_Origin], step: LatticeStep, lattice: Scale | None = None) -> _Origin:
        """What comes of a step: where that changes nothing, the same origin."""
        fresh = any(origin.fresh for origin in origins)
        changes = step.scale != UNCHANGED or (fresh and (step.bounding or not step.pointwise))
        if lattice is None and len(origins) == 1 and not changes:
            return origins[0]
        self._made += 1
        bits = 0 if lattice is None else 1 << len(self._keys) - 1
        for origin in origins:
            bits |= origin.sites
        still_fresh = lattice is not None or (fresh and step.pointwise)
        return _Origin(self._made, bits, tuple(origins), step, lattice, still_fresh)

    def _add(self, value: Any, origin: _Origin) -> None:
        if isinstance(value, Tensor):
            known = self._origins.get(value)
            if known is not None and known.number != origin.number:
                origin = self._made_of((known, origin), LatticeStep())
            self._origins[value] = origin
        elif isinstance(value, (list, tuple)):
            for _, tensor in tensors(value):
                self._add(tensor, origin)
