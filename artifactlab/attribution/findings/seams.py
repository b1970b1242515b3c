"""Seams: periods in the output that no upsampling site has, as tiles and windows leave."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from artifactlab.attribution.records import Finding
from artifactlab.attribution.sites.records import Site
from artifactlab.metrics.seams import find_seams
from artifactlab.models.outputs import is_spatial
from artifactlab.scoring.data_range import spread

WHERE = "output"
RESIZES = ("interpolate", "grid_sample", "module")
"""Operations that may keep corners (`align_corners=True`); the others have no corners to keep."""
LINES = {"t": "frames", "z": "slices", "y": "rows", "x": "columns"}
"""What is counted along a direction."""


def foreign_periods(
    outputs: Sequence[Tensor],
    inputs: Sequence[Tensor | None] = (),
    site_periods: Sequence[Sequence[float]] = (),
    data_range: float | None = None,
    names: Sequence[str] = ("z", "y", "x"),
) -> tuple[Finding, ...]:
    """What repeats in the outputs along straight lines, at a period that none of the model's sites explains.

    A site explains its own period and its divisors; a multiple of it is foreign only if its lines stand out among the
    site's. A period that is no whole number explains its multiples as well.

    Args:
        outputs: `(N, C, H, W)` or `(N, C, D, H, W)` outputs of one model; in signals `(N, C, L)` nothing is found.
        inputs: what each was made from, or None; any size, and any range.
        site_periods: spacings in output pixels, one per direction, see `spacings_of`.
        data_range: distance between the outputs' black and white; default is their own spread.
        names: names of the directions, the last ones where there are fewer, see `Layout`.

    Raises:
        InputError: if an output is no image and no volume, or holds NaN or Inf.

    >>> import torch
    >>> blobs = torch.rand(2, 1, 24, 24, generator=torch.Generator().manual_seed(0))
    >>> images = torch.nn.functional.interpolate(blobs, scale_factor=8, mode="bicubic")
    >>> tiles = torch.arange(16.0).sin().view(1, 1, 4, 4).repeat_interleave(48, 2).repeat_interleave(48, 3)
    >>> foreign_periods([images + 0.02 * tiles], [images])[0].value
    (48.0, 48.0)
    """
    size = data_range or max(map(spread, outputs), default=0.0) or 1.0
    axes = outputs[0].ndim - 2 if outputs else 2
    usable = [x if x is not None and is_spatial(x) and x.ndim == axes + 2 else None for x in inputs]
    explained = [last_directions(period, axes) for period in site_periods]
    combs = find_seams(outputs, usable, data_range=size, explained=explained)
    if not any(combs):
        return ()
    sides = [f"{comb.period} {LINES[name]}" for comb, name in zip(combs, names[-axes:], strict=True) if comb]
    # a scene's own lines may be as far apart, as they are in one of 40 images that nets without tiles make
    condition = "if a second image shows them, too, " if sum(map(len, outputs)) == 1 else ""
    text = (
        f"the output has straight seams every {' and '.join(sides)}, a period of no upsampling site: {condition}it is"
        " put together from tiles, or computed in windows. Let tiles overlap and blend, give each the context it has in"
        " the whole image, and normalise over the image, not tile by tile; shift windows from layer to layer."
    )
    periods = tuple(float(comb.period) if comb else 0.0 for comb in combs)
    return (Finding("seam", WHERE, periods, (0.0,) * axes, text),)


def spacings_of(site: Site, size: Sequence[int]) -> list[tuple[float, ...]]:
    """How far apart the lines are that a site may draw in an output of this size, one spacing per direction.

    They are its period, and of a resize also the spacing of its knots where corners are kept: (H - 1) / (h - 1), by
    itself, or by all that follows it.
    """
    axes = len(size)
    period = last_directions(site.period, axes)
    if site.op not in RESIZES:
        return [period]
    before, after = (last_directions(shape[2:], axes) for shape in (site.in_shape, site.out_shape))
    alone, through = [], []
    for own, small, large, whole in zip(period, before, after, size, strict=True):
        has_knots = own > 1 and small > 1
        alone.append(max(1.0, (large - 1) / (small - 1) * whole / large) if has_knots else 1.0)
        through.append(max(1.0, (whole - 1) / (small - 1)) if has_knots else 1.0)
    return [period, tuple(alone), tuple(through)]


def last_directions(values: Sequence[float], axes: int) -> tuple[float, ...]:
    """One value for each of so many directions, the last ones; 1 for a first one of which nothing is known.

    What runs on frames one by one knows rows and columns only.
    """
    return (*(1.0,) * (axes - len(values)), *(max(1.0, value) for value in values[-axes:]))
