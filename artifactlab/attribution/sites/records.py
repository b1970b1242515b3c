"""The frozen records of capture: where the spatial size grows, and what the activation there shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    pass

Follows = Literal["layers", "pointwise", "bounding"]


@dataclass(frozen=True)
class Site:
    """One place where the spatial size grows while the model runs."""

    name: str
    """qualified name of the module whose `forward` made the call; empty for the model itself"""
    op: str
    """the call that grew it: `conv_transpose2d`, `interpolate`, `pixel_shuffle`, `reshape`, ..., or `module` for a
    hand-made one that only shows in its module's input and output"""
    call: int
    """how many times this op had run in this module before, in one forward pass; of a layer, its first call"""
    scale: tuple[float, float]
    """how much it grows its input, (vertical, horizontal)"""
    period: tuple[float, float]
    """its lattice spacing in output pixels: its scale times the scales of what its result passes on its way out"""
    in_shape: tuple[int, ...]
    """shape of its input as an (N, C, H, W) tensor, in the last forward pass"""
    out_shape: tuple[int, ...]
    """shape of its output as an (N, C, H, W) tensor, in the last forward pass"""
    calls: tuple[int, ...] = ()
    """all calls of the layer in one forward pass, which are repaired together"""
    followed_by: Follows = "layers"
    """what its result passes on its way out: `layers`, which may undo what it draws; or nothing but functions of single
    values, `pointwise`, or `bounding` where a sigmoid, a softmax or a tanh is one of them"""

    @property
    def opaque(self) -> bool:
        """Whether it is the model as a whole: nothing inside could be seen to enlarge anything."""
        return not self.name and self.op == "module"

    @property
    def keys(self) -> frozenset[tuple[str, str, int]]:
        """(name, op, call) of each of its calls."""
        return frozenset((self.name, self.op, call) for call in self.calls or (self.call,))

    @property
    def key(self) -> str:
        """What the site is called everywhere, e.g. `dec.up2/interpolate#0`."""
        return f"{self.name}/{self.op}#{self.call}" if self.name else f"{self.op}#{self.call}"

    @property
    def label(self) -> str:
        """Its key, and how many calls that stands for where it is more than one."""
        return f"{self.key} ({len(self.calls)} calls)" if len(self.calls) > 1 else self.key


@dataclass(frozen=True)
class Evidence:
    """What is measured at the site's own activation, averaged over forward passes. It shows, it does not accuse."""

    edge_jaggedness: float
    """pixels of the activation"""
    axis_excess: float
    """share of the gradient energy on oblique edges that points along a pixel axis, 0 to 1"""
    checkerboard_energy: float
    """share of the activation's fine structure that is locked to the site's own lattice, 0 to 1"""


@dataclass(frozen=True)
class CapturedSite:
    """A site and its evidence: what `capture` lists."""

    site: Site
    """where"""
    evidence: Evidence
    """what its activation shows"""
