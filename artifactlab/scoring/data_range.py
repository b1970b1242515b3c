"""The range of values that are no image's: activations, and outputs whose data range nobody gave."""

from __future__ import annotations

from torch import Tensor


def spread(values: Tensor, most: int = 100_000) -> float:
    """Range of values between the 0.5% and 99.5% quantiles and zero: what a checkerboard is measured against.

    Zero counts as a value, so that a flat activation with a faint grid is a flat activation with a faint grid. At most
    about so many values are looked at.
    """
    flat = values.detach().float().reshape(-1)
    sample = flat[:: max(1, flat.numel() // most) | 1]  # an odd stride visits every phase of a x2 lattice
    beyond = round(0.005 * (sample.numel() - 1)) + 1
    low, high = (float(sample.topk(beyond, largest=top).values[-1]) for top in (False, True))
    return max(high, 0.0) - min(low, 0.0)
