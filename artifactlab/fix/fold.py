"""A replaced layer written as weights of the layer that it replaced, for whoever loads the model elsewhere."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from artifactlab.errors import FixError
from artifactlab.fix.mimic import copy_phases
from artifactlab.fix.replacement import Replacement
from artifactlab.fix.response import impulse_response
from artifactlab.models.wrappers import unwrap


def folded(original: nn.Module, fixed: nn.Module, made: Replacement) -> dict[str, Tensor] | None:
    """The fixed model's weights by the names of the original, whose convolution and pixel shuffle were replaced.

    Every phase of a resize with its convolution is a small convolution, and the original has one for each phase. The
    two are the same but for the border, where they pad differently.

    Args:
        original: the model before.
        fixed: the same with one layer replaced.
        made: what was replaced, and by what.

    Returns:
        The weights, on the CPU; None where the new layer is none that a convolution before a shuffle can be.

    >>> from artifactlab.fix import replace_upsampler
    >>> model = nn.Sequential(nn.Conv2d(3, 12, 3, padding=1), nn.PixelShuffle(2))
    >>> fixed = copy.deepcopy(model)
    >>> weights = folded(model, fixed, replace_upsampler(fixed, "1").replacement)
    >>> sorted(weights) == sorted(model.state_dict())
    True
    """
    original = unwrap(original)
    conv = _shuffled_convolution(original, made)
    if conv is None or any(made.more):
        return None
    new, conv = fixed.get_submodule(made.paths[0]), copy.deepcopy(conv).cpu().float()
    try:
        with torch.no_grad():
            copy_phases(conv, impulse_response(copy.deepcopy(new).cpu().float().eval(), made.in_channels))
    except FixError:  # it bends what it enlarges, reads further than the convolution, or the convolution has no bias
        return None
    kept, inside = fixed.state_dict(), f"{made.paths[0]}."
    weights = {name: value for name, value in kept.items() if not name.startswith(inside)}
    weights |= {inside + name: value.to(next(new.parameters()).dtype) for name, value in conv.state_dict().items()}
    same = weights.keys() == original.state_dict().keys()
    return {name: value.detach().cpu().contiguous().clone() for name, value in weights.items()} if same else None


def _shuffled_convolution(original: nn.Module, made: Replacement) -> nn.Conv2d | None:
    """The convolution before the pixel shuffle that were replaced; None where it was something else."""
    old = [original.get_submodule(path) for path in made.paths]
    if [type(module) for module in old] != [nn.Conv2d, nn.PixelShuffle]:
        return None
    conv = old[0]
    assert isinstance(conv, nn.Conv2d)
    plain = (conv.groups, conv.stride, conv.dilation) == (1, (1, 1), (1, 1))
    return conv if plain and conv.kernel_size[0] == conv.kernel_size[1] else None
