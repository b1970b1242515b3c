"""Swap the upsamplers of several sites of a model, one after the other, whatever becomes of the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from artifactlab.attribution.sites.records import Site
from artifactlab.errors import FixError
from artifactlab.fix.replace import replace_upsampler
from artifactlab.fix.swap import Swap


@dataclass(frozen=True)
class Replaced:
    """What became of several sites."""

    swaps: tuple[Swap, ...]
    """What was swapped, in the order it was done."""
    sites: tuple[Site, ...]
    """The sites that these were, in the order they were given."""
    refused: tuple[str, ...]
    """Of each site that is no module which can be swapped, what to change in the model's code."""


def replace_sites(model: nn.Module, sites: Sequence[Site], mode: str, options: dict[str, Any]) -> Replaced:
    """Swap every site that can be, in place; several at one module are one swap.

    Raises:
        FixError: if none can be swapped; the message says of each which line to change, and how.
        InputError: if there is no such mode or option.
    """
    swaps: list[Swap] = []
    done: list[Site] = []
    refused: list[str] = []
    # calls in a graph are told apart by their number, which those before the swapped one keep
    for site in sorted(sites, key=lambda site: -site.call):
        if not _is_swapped(site, swaps):
            try:
                swaps.append(replace_upsampler(model, site, mode, **options))
            except FixError as error:
                refused.append(str(error))
                continue
        done.append(site)
    if not swaps:
        raise FixError(". ".join(refused))
    return Replaced(tuple(swaps), tuple(site for site in sites if site in done), tuple(refused))


def _is_swapped(site: Site, swaps: Sequence[Swap]) -> bool:
    """Whether the module that enlarges at a site was swapped, with what is around it or with what is in it."""
    paths = [f"{swap.replacement.paths[0]}." for swap in swaps]
    return any(
        f"{site.name}.".startswith(path) or (site.op == "module" and path.startswith(f"{site.name}.")) for path in paths
    )
