"""Cures that keep the architecture: other weights for the very layer that draws the lattice.

Nothing is replaced, so that files of the model's own format hold the cure exactly, and a pass takes as long as before.
`weights` is what comes nearest to the closed form of `interpolate_conv`, `blur` to the layer followed by an
anti-imaging filter, and `icnr` to equal sub-kernels (Aitken et al. 2017). All answer flat features alike in every
phase, and the first two keep slopes straight as far as the kernel can.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from artifactlab.errors import InputError
from artifactlab.fix.flat_answers import WANTED
from artifactlab.fix.mimic import relative_difference
from artifactlab.fix.nearest_weights import nearest_weights, only_convolution, store
from artifactlab.fix.operator import SiteOperator, own_copy
from artifactlab.fix.replacement import Replacement
from artifactlab.fix.response import impulse_response
from artifactlab.fix.swap import Swap, count_weights, described


def refit(model: nn.Module, found: SiteOperator, mode: str, options: Mapping[str, Any]) -> Swap:
    """Set the weights of a site's own convolution, in place.

    Args:
        model: the user's own module, without wrappers.
        found: the operator at the site.
        mode: one of `REFITS`.
        options: there are none.

    Raises:
        InputError: if there are options.
        FixError: if the layer has no convolution, or several, or one whose weight is computed in a way that cannot be
            turned round.

    >>> from artifactlab.fix.operator import find_operator
    >>> model = nn.Sequential(nn.Conv2d(3, 12, 3, padding=1), nn.PixelShuffle(2))
    >>> swap = refit(model, find_operator(model, "1"), "weights", {})
    >>> swap.replacement.is_refit, type(model[0]).__name__
    (True, 'Conv2d')
    """
    if options:
        raise InputError(f"mode {mode!r} changes weights alone and takes no options, got {', '.join(options)}")
    old = [model.get_submodule(path) for path in found.paths]
    conv = only_convolution(old, " and ".join(found.paths))
    # equal sub-kernels are replication, whose slopes are stairs
    store(conv, nearest_weights(old, WANTED[mode](found.response), straight=mode != "icnr"))
    made = impulse_response(own_copy(old), found.in_channels, found.response.axes)
    # what is trained is the first path, and a resize has no weights
    paths = sorted(found.paths, key=lambda path: conv not in set(model.get_submodule(path).modules()))
    replacement = Replacement(
        site=found.site,
        paths=tuple(paths),
        mode=mode,
        in_channels=found.in_channels,
        out_channels=found.out_channels,
        scale=found.response.scale,
        more=found.response.more,
    )
    layers = tuple(described(path, module) for path, module in zip(found.paths, old, strict=True))
    return Swap(replacement, layers, (count_weights(old),) * 2, relative_difference(made, found.response))
