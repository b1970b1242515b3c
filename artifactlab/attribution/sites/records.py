"""The frozen records of capture: where the spatial size grows, and what the activation there shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

Follows = Literal["layers", "pointwise", "bounding"]


class SiteKey(NamedTuple):
    """Which call of which operation in which module: what a site, or a merge, is known by. It equals the bare tuple.

    >>> str(SiteKey("dec.up2", "interpolate", 0)), SiteKey("dec.up2", "interpolate", 0).operation
    ('dec.up2/interpolate#0', 'dec.up2/interpolate')
    """

    name: str
    """Qualified name of the module whose `forward` makes the call; empty for the model itself."""
    op: str
    """Name of the operation."""
    call: int
    """How many times this operation had run in this module before, in one forward pass."""

    @property
    def operation(self) -> str:
        """Module and operation, without the number of the call."""
        return f"{self.name}/{self.op}" if self.name else self.op

    def __str__(self) -> str:
        return f"{self.operation}#{self.call}"


@dataclass(frozen=True)
class Site:
    """One place where the spatial size grows while the model runs."""

    name: str
    """Qualified name of the module whose `forward` made the call; empty for the model itself."""
    op: str
    """Name of the call that enlarges: `conv_transpose2d`, `interpolate`, `pixel_shuffle`, `reshape`, ..., or `module`
    for a hand-made one that only shows in its module's input and output."""
    call: int
    """How many times this op had run in this module before, in one forward pass; of a layer, its first call."""
    scale: tuple[float, ...]
    """Growth factor of the size along each direction of its own: (vertical, horizontal) of images, (depth or time,
    vertical, horizontal) of volumes, one of signals."""
    period: tuple[float, ...]
    """Spacing of its lattice along each direction of the output, in pixels: its scale times the scales of all that its
    result passes on the way, 1 where it has none."""
    in_shape: tuple[int, ...]
    """Shape of its input as an (N, C, *space) tensor, in the last forward pass."""
    out_shape: tuple[int, ...]
    """Shape of its output as an (N, C, *space) tensor, in the last forward pass."""
    calls: tuple[int, ...] = ()
    """Numbers of all calls of the layer in one forward pass, which are repaired together."""
    followed_by: Follows = "layers"
    """What its result passes on its way out: `layers`, which may undo what it draws; or nothing but functions of single
    values, `pointwise`, or `bounding` where a sigmoid, a softmax or a tanh is one of them."""

    @property
    def opaque(self) -> bool:
        """Whether it is the model as a whole: nothing inside could be seen to enlarge anything."""
        return not self.name and self.op == "module"

    def encloses(self, other: Site) -> bool:
        """Whether it is a module in which the other one is, so that its repair repairs what the other draws, too."""
        return self.op == "module" and other != self and f"{other.name}.".startswith(f"{self.name}.")

    @property
    def first_key(self) -> SiteKey:
        """The key of its first call."""
        return SiteKey(self.name, self.op, self.call)

    @property
    def keys(self) -> frozenset[SiteKey]:
        """The key of each of its calls."""
        return frozenset(SiteKey(self.name, self.op, call) for call in self.calls or (self.call,))

    @property
    def key(self) -> str:
        """What the site is called everywhere, e.g. `dec.up2/interpolate#0`."""
        return str(self.first_key)

    @property
    def label(self) -> str:
        """Its key, and how many calls that stands for where it is more than one."""
        return f"{self.key} ({len(self.calls)} calls)" if len(self.calls) > 1 else self.key


@dataclass(frozen=True)
class Evidence:
    """What is measured at the site's own activation, averaged over forward passes. It shows, it does not accuse."""

    edge_jaggedness: float
    """Amplitude of the stair-steps on edges, in pixels of the activation."""
    axis_excess: float
    """Share of the gradient energy on oblique edges that points along a pixel axis, 0 to 1."""
    checkerboard_energy: float
    """Share of the activation's fine structure that is locked to the site's own lattice, 0 to 1."""


@dataclass(frozen=True)
class CapturedSite:
    """A site and its evidence: what `capture` lists."""

    site: Site
    """Where it is."""
    evidence: Evidence
    """What its activation shows."""
