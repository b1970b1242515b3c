"""Edge jaggedness: how far, in pixels, stair-steps displace edges."""

from __future__ import annotations

from torch import Tensor

from artifactlab.metrics.inputs import as_images, check_reduction, reduce
from artifactlab.metrics.spectral_images import spectral_images
from artifactlab.metrics.spectral_repair import local_warp


def edge_jaggedness(
    x: Tensor,
    period: int | tuple[int, int] | None = None,
    *,
    data_range: float = 1.0,
    reduction: str = "mean",
) -> Tensor:
    """Stair-steps: the rms distance, in pixels, by which edges are displaced in step with a sampling lattice.

    An edge replicated `s` times by nearest neighbour reads sqrt((s^2 - 1) / 12), whatever its direction and however
    sharp it is: .5 for x2, 1.1 for x4, 2.3 for x8. A filter behind it takes from the reading what it takes from the
    steps. Blur, sharpening, noise, texture and natural outlines keep step with no lattice and read 0; bilinear
    resizing is not free of steps and leaves about a tenth of what nearest does (.09 to .16 at x4), bicubic less.

    Args:
        x: `(N, C, H, W)` images or activations; channels are pooled.
        period: the lattice's spacing, see `spectral_images`; None looks for 2 to 16.
        data_range: distance between the darkest and the brightest possible value.
        reduction: "mean", "sum" or "none" over the batch.

    Returns:
        Pixels, at least 0; where steps are not confirmed, what the estimate has beyond chance. `spectral_images` says
        whether it can be told, and the error.

    Raises:
        InputError: if `x` is no finite `(N, C, H, W)` tensor or an argument is out of range.

    Source: the `warp` of `spectral_images`.

    >>> import torch
    >>> stairs = torch.ones(48, 48).tril(3).repeat_interleave(4, 0).repeat_interleave(4, 1)[None, None]
    >>> bool(edge_jaggedness(stairs) > 1)
    True
    """
    check_reduction(reduction)
    return reduce(spectral_images(as_images(x, data_range), period).warp, reduction)


def edge_jaggedness_map(x: Tensor, period: int | tuple[int, int] | None = None, *, data_range: float = 1.0) -> Tensor:
    """Where the stair-steps are: local displacement of edges in pixels, 0 where there is no edge or nothing is told.

    Each place is compared with the steps that the whole image agrees on, so texture beside them stays dark.

    Args:
        x: `(N, C, H, W)` images or activations.
        period: as for `edge_jaggedness`.
        data_range: distance between the darkest and the brightest possible value.

    Returns:
        `(N, 1, H, W)`, constant over blocks of 16 x 16 pixels or two periods.

    Raises:
        InputError: as `edge_jaggedness`.

    >>> import torch
    >>> edge_jaggedness_map(torch.zeros(1, 1, 40, 40)).max()
    tensor(0.)
    """
    return local_warp(as_images(x, data_range), period)
