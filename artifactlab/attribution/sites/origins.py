"""Where a tensor of a forward pass came from: the graph of a pass, and how it is read from its output."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from artifactlab.attribution.sites.lattice_paths import UNCHANGED, LatticePath, LatticeStep, Scale
from artifactlab.attribution.sites.sizes import PLACING, Extent, joined, loses_place, placement


class Origin(NamedTuple):
    """Where a tensor came from. Many tensors share one: most calls change no lattice.

    A pass is kept as the graph of these, and read once, from its output: what is kept per tensor does not grow with the
    number of sites, of which a sampler has thousands.
    """

    number: int
    """Place in the order of making: later ones are made of earlier ones."""
    sites: int
    """Bit k is set where it came through site k of the pass."""
    made_of: tuple[Origin, ...]
    """The origins that it was made of."""
    step: LatticeStep
    """What was done to them."""
    lattice: Scale | None
    """The scale of the site that made it, if one did."""
    fresh: bool
    """Whether for some site nothing but functions of single values followed."""
    extent: Extent | None = None
    """The size that it should have as an image; None where that cannot be told."""


def paths_from(origins: Iterable[Origin], end: LatticePath) -> dict[int, LatticePath]:
    """The paths from each site, by its number in the pass, to what came from these origins.

    Args:
        origins: of a tensor.
        end: what has been done since.
    """
    ahead = {origin.number: (origin, end) for origin in origins}
    found: dict[int, LatticePath] = {}
    while ahead:
        origin, path = ahead.pop(max(ahead))
        if origin.lattice is not None:
            found[origin.sites.bit_length() - 1] = path.preceded_by(LatticeStep(origin.lattice))
        earlier = path.preceded_by(origin.step)
        for source in origin.made_of:
            _, other = ahead.get(source.number, (source, None))
            ahead[source.number] = (source, earlier.joined(other))
    return found


def extent_after(origins: Sequence[Origin], func: Any, args: Any, target: Any, step: LatticeStep) -> Extent | None:
    """The size that a call's result should have."""
    extent = origins[0].extent if len(origins) == 1 else joined(origin.extent for origin in origins)
    if extent is None or loses_place(func, target):
        return None
    if func not in PLACING and step.scale is UNCHANGED:
        return extent
    vertical, horizontal = placement(func, args, target) if func in PLACING else map(float, step.scale[1::-1])
    return extent if vertical == 1 == horizontal else extent.scaled(vertical, horizontal)
