"""A replaced layer as weights of the layer that it replaced, for whoever loads the model elsewhere.

What a convolution does is linear in its weights, be it transposed, before a pixel shuffle or after a resize: the
weights that come nearest to the new layer are a least squares solution, and exact where the old kernel holds the new.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from artifactlab.errors import FixError, InputError
from artifactlab.fix.mimic import relative_difference
from artifactlab.fix.nearest_weights import nearest_weights, only_convolution, store
from artifactlab.fix.operator import own_copy
from artifactlab.fix.replacement import Replacement
from artifactlab.fix.response import Response, impulse_response
from artifactlab.lint.model_copy import full_copy
from artifactlab.models.wrappers import unwrap

EXACT = 1e-4
"""Distance of two layers on smooth features, as a share of their rms, up to which they are the same but for rounding:
single precision's, a hundred times over, as their sums have thousands of terms."""


@dataclass(frozen=True)
class Folded:
    """The original architecture with a fixed model's weights."""

    model: nn.Module
    """A copy of the original that does what the fixed model does, as far as its layers can."""
    difference: float
    """How far the layers are from the new ones on smooth features, relative to their rms; the largest of several."""

    @property
    def is_exact(self) -> bool:
        """Whether it does the same but for the border, where the layers pad differently."""
        return self.difference <= EXACT


def fold(original: nn.Module, fixed: nn.Module, replacements: Sequence[Replacement]) -> Folded:
    """The original architecture with the weights of the fixed model.

    The weights of the replaced layers are the nearest to the new ones, weighted by how smooth feature maps are
    correlated, among those that answer flat features alike in every phase, as the new ones do: no grid comes back.

    Args:
        original: the model before all of the replacements.
        fixed: the same with layers replaced, and perhaps trained.
        replacements: what was replaced, first to last; of other weights alone there are none, and all are taken.

    Raises:
        FixError: if an old layer has no convolution that could hold the new one, or the new one is none; the message
            says which, in a clause.

    >>> import copy
    >>> from artifactlab.fix import replace_upsampler
    >>> model = nn.Sequential(nn.Conv2d(3, 12, 3, padding=1), nn.PixelShuffle(2))
    >>> fixed = copy.deepcopy(model)
    >>> swap = replace_upsampler(fixed, "1")
    >>> fold(model, fixed, [swap.replacement]).is_exact
    True
    """
    restored = full_copy(unwrap(original))
    chains = _chains([made for made in replacements if not made.is_refit])
    _take_others(restored, fixed, [path for made in chains for path in made.paths])
    return Folded(restored, max((_fold_one(restored, fixed, made) for made in chains), default=0.0))


def _chains(replacements: Sequence[Replacement]) -> list[Replacement]:
    """The last replacement at each place, with the modules that the first one there removed."""
    chains: dict[str, Replacement] = {}
    for made in replacements:
        first = chains.get(made.paths[0])
        paths = made.paths if first is None else tuple(dict.fromkeys([*first.paths, *made.paths]))
        chains[made.paths[0]] = Replacement(**{**vars(made), "paths": paths})
    listed = [path for made in chains.values() for path in made.paths]
    if len(listed) > len(set(listed)):
        raise FixError("a layer belongs to two fixes")
    return list(chains.values())


def _take_others(restored: nn.Module, fixed: nn.Module, replaced: Sequence[str]) -> None:
    """Load all the weights of the fixed model but those of what was replaced, whatever names it has."""
    gone = {id(module) for path in replaced for module in restored.get_submodule(path).modules()}
    named = restored.named_modules(remove_duplicate=False)
    inside = tuple(f"{name}." for name, module in named if id(module) in gone)
    weights = {name: value for name, value in fixed.state_dict().items() if not name.startswith(inside)}
    restored.load_state_dict(weights, strict=False)


def _fold_one(restored: nn.Module, fixed: nn.Module, made: Replacement) -> float:
    """Set the weights of one old layer; how far it is from the new one then."""
    old, new = [restored.get_submodule(path) for path in made.paths], fixed.get_submodule(made.paths[0])
    conv = only_convolution(old, " and ".join(made.paths))
    axes = len(made.more)
    try:
        wanted = impulse_response(own_copy([new]), made.in_channels, axes)
        store(conv, nearest_weights(old, wanted))
        return _distance(impulse_response(own_copy(old), made.in_channels, axes), wanted)
    except InputError as error:
        raise FixError(f"what {made.paths[0]} is now is no convolution, or was none: {error}") from error


def _distance(made: Response, wanted: Response) -> float:
    """Relative rms difference on smooth features, and of the constants that are added."""
    constant = float((made.bias - wanted.bias).square().mean().sqrt())
    size = float(wanted.kernel.flatten(1).square().sum(1).mean().sqrt())
    return max(relative_difference(made, wanted), constant / size if size else constant)
