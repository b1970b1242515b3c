"""One run of one site, as whoever watches a model is given it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from artifactlab.attribution.sites.records import SiteKey
from artifactlab.attribution.sites.upsampling import Growth


@dataclass(frozen=True)
class Visit:
    """One run of one site, as the visitor sees it."""

    key: SiteKey
    """Which call it is."""
    growth: Growth
    """What grew, by how much; it holds the (N, C, *space) input and output."""
    line: str | None = None
    """File and line of the user's code that made the call; None where a module of torch made it."""

    @property
    def layer(self) -> tuple[Any, ...]:
        """What the calls of a layer have in common; stages that share a line or a module are of different size."""
        return (self.key.name, self.key.op, self.line, self.growth.out_shape)
