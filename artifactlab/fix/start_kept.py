"""Layers that cured as they started, and did no more once they were trained on synthetic images: they go back.

Synthetic images are textured all over. Of a smooth image, on which each stair shows, they say too little: an uneven
shuffle before anything else was cured in closed form, and showed 7 times what just shows after 52 steps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor, nn

from artifactlab.fix.training import copied, put_back
from artifactlab.fix.verify import FixCheck


def with_start_kept(
    model: nn.Module, start: Mapping[str, Tensor], check: Callable[[], FixCheck]
) -> tuple[FixCheck, bool]:
    """Put weights back to those of the start where these cure and the trained ones do not.

    Args:
        model: the trained one.
        start: all its parameters, from before.
        check: whether the model, as it is when this is called, is a cure.

    Returns:
        The check of the weights that the model is left with, and whether they are those of the start.
    """
    trained = check()
    if trained.cured:
        return trained, False
    weights = dict(model.named_parameters())
    fitted = copied(weights)
    put_back(weights, start)
    if (untrained := check()).cured:
        return untrained, True
    put_back(weights, fitted)
    return trained, False
