"""Seams: periods in the output that no upsampling site has, as tiles and windows leave."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from artifactlab.attribution.records import Finding
from artifactlab.metrics.seams import find_seams
from artifactlab.models.outputs import is_image
from artifactlab.scoring.data_range import spread
from artifactlab.scoring.periods import lattice_period

WHERE = "output"


def foreign_periods(
    outputs: Sequence[Tensor],
    inputs: Sequence[Tensor | None] = (),
    site_periods: Sequence[tuple[float, float]] = (),
    data_range: float | None = None,
) -> tuple[Finding, ...]:
    """What repeats in the outputs along straight lines, at a period that none of the model's sites explains.

    A site explains its own period and its divisors; a multiple of it is foreign only if its lines stand out among the
    site's.

    Args:
        outputs: `(N, C, H, W)` outputs of one model.
        inputs: the image each was made from, or None; any size, and any range.
        site_periods: (vertical, horizontal) period of each site in output pixels.
        data_range: distance between the outputs' black and white; default is their own spread.

    Raises:
        InputError: if an output is no image, or holds NaN or Inf.

    >>> import torch
    >>> blobs = torch.rand(2, 1, 24, 24, generator=torch.Generator().manual_seed(0))
    >>> images = torch.nn.functional.interpolate(blobs, scale_factor=8, mode="bicubic")
    >>> tiles = torch.arange(16.0).sin().view(1, 1, 4, 4).repeat_interleave(48, 2).repeat_interleave(48, 3)
    >>> foreign_periods([images + 0.02 * tiles], [images])[0].value
    (48.0, 48.0)
    """
    size = data_range or max(map(spread, outputs), default=0.0) or 1.0
    usable = [x if x is not None and is_image(x) else None for x in inputs]
    combs = find_seams(outputs, usable, data_range=size, explained=[lattice_period(period) for period in site_periods])
    if not any(combs):
        return ()
    vertical, horizontal = (float(comb.period) if comb else 0.0 for comb in combs)
    sides = [f"{comb.period} {way}" for comb, way in zip(combs, ("rows", "columns"), strict=True) if comb]
    text = (
        f"the output has straight seams every {' and '.join(sides)}, a period of no upsampling site: it is put "
        "together from tiles, or computed in windows. Let tiles overlap and blend, give each the context it has in "
        "the whole image, and normalise over the image, not tile by tile; shift windows from layer to layer."
    )
    return (Finding("seam", WHERE, (vertical, horizontal), (0.0, 0.0), text),)
