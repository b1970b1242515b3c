"""Which sites of artifactlab are which true enlargements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from architectures_truth import Grown

from artifactlab.attribution.sites.records import Site


@dataclass(frozen=True)
class Match:
    """What was found of what there is."""

    found: int
    """sites that are true enlargements which count"""
    harmless: tuple[str, ...]
    """sites that are enlargements, but of nothing that the output shows: a resized position embedding"""
    missed: tuple[str, ...]
    """enlargements that are no site"""
    spurious: tuple[str, ...]
    """sites that are no enlargement"""


def match(sites: Sequence[Site], grown: Sequence[Grown]) -> Match:
    """Pair them off: by module and sizes, then by module, then by what encloses it; what counts before what may be."""
    left, truths = list(sites), sorted(grown, key=lambda one: not one.counts)
    pairs: list[tuple[Site, Grown]] = []
    for alike in (_same, _same_module, _related):
        for truth in list(truths):
            site = next((one for one in left if alike(one, truth)), None)
            if site is not None:
                pairs.append((site, truth))
                left.remove(site)
                truths.remove(truth)
    return Match(
        sum(truth.counts for _, truth in pairs),
        tuple(shown(site) for site, truth in pairs if not truth.counts),
        tuple(f"{one.module}/{one.op} {one.before}->{one.after}" for one in truths if one.counts),
        tuple(map(shown, left)),
    )


def shown(site: Site) -> str:
    """A site in one line."""
    return f"{site.key} x{site.scale} {site.in_shape}->{site.out_shape}"


def _same(site: Site, truth: Grown) -> bool:
    return site.name == truth.module and _sizes(site.out_shape[2:]) == _sizes(truth.after)


def _same_module(site: Site, truth: Grown) -> bool:
    return site.name == truth.module


def _related(site: Site, truth: Grown) -> bool:
    """A module around it, or the one inside that does the work; the same growth of the same number of pixels."""
    inside = f"{truth.module}.".startswith(f"{site.name}.") or f"{site.name}.".startswith(f"{truth.module}.")
    return (inside or not site.name or not truth.module) and _sizes(site.out_shape[2:]) == _sizes(truth.after)


def _sizes(shape: Sequence[int]) -> tuple[int, ...]:
    """Sizes of the directions of more than one element."""
    return tuple(size for size in shape if size > 1)
