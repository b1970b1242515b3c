"""What indices, sums over axes, and writing part by part do to axes, see `axes`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from artifactlab.attribution.sites.axes import Axes, AxesOf, Axis, aligned, axis_of, resized, source_of


def written(part: Axes, index: Any, shape: Sequence[int]) -> Axes | None:
    """Axes of a whole of `shape` that is filled part by part: each index takes one of what is stacked along its axis.

    None for indices of other kinds than numbers and slices.
    """
    places = list(index if isinstance(index, tuple) else (index,))
    if not all(place is Ellipsis or isinstance(place, (int, slice)) for place in places):
        return None
    at = places.index(Ellipsis) if Ellipsis in places else len(places)
    places[at : at + 1] = [slice(None)] * (len(shape) - len([place for place in places if place is not Ellipsis]))
    ahead = list(part)
    if len(places) != len(shape) or len(ahead) != sum(isinstance(place, slice) for place in places):
        return None
    numbered = zip(places, shape, strict=True)
    return resized([axis_of(n, "stacked") if isinstance(k, int) else ahead.pop(0) for k, n in numbered], shape)


def indexed(args: Any, kwargs: Any, output: Tensor, of: AxesOf) -> Axes | None:
    """Axes that an index takes one entry of go, those that it cuts stay what they are, and None makes new ones."""
    known = of(args[0])
    if known is None:
        return None
    index = args[1] if isinstance(args[1], tuple) else (args[1],)
    whole = len(known) - sum(1 for part in index if part is not None and part is not Ellipsis)
    ahead, kept = list(known), list[Axis]()
    for part in (*index, Ellipsis) if Ellipsis not in [p for p in index if not isinstance(p, Tensor)] else index:
        if part is None:
            kept.append(())
        elif part is Ellipsis:
            kept, ahead = kept + ahead[:whole], ahead[whole:]
        elif isinstance(part, int):
            ahead.pop(0)
        elif isinstance(part, (slice, list)) or (isinstance(part, Tensor) and part.ndim == 1):
            kept.append(ahead.pop(0))
        else:
            return None
    return resized(tuple(kept), output.shape) if len(kept) == output.ndim else None


def picked(args: Any, kwargs: Any, output: Tensor, of: AxesOf) -> Axes | None:
    """`select` and `unbind`: one axis less, the first one by default."""
    return _without(of(source_of(args, kwargs)), kwargs.get("dim", args[1] if len(args) > 1 else 0), output)


def reduced(args: Any, kwargs: Any, output: Tensor, of: AxesOf) -> Axes | None:
    """Sums, means and the like: the axes that they run over go, or have one entry."""
    dim = kwargs.get("dim", args[1] if len(args) > 1 else None)
    if isinstance(dim, Tensor):  # the larger of two
        return aligned([axes for axes in (of(args[0]), of(dim)) if axes], output.shape)
    return _without(of(source_of(args, kwargs)), dim, output)


def normed(args: Any, kwargs: Any, output: Tensor, of: AxesOf) -> Axes | None:
    """Norms, whose order comes before the axes that they run over."""
    return _without(of(source_of(args, kwargs)), kwargs.get("dim", args[2] if len(args) > 2 else None), output)


def _without(known: Axes | None, dim: Any, output: Tensor) -> Axes | None:
    """Axes without those of an argument `dim`, or with one entry there, whichever the output has."""
    dims = dim if isinstance(dim, (tuple, list)) else (dim,)
    if not known or not all(isinstance(k, int) for k in dims):  # axes may have names
        return None
    gone = {k % len(known) for k in dims}
    if output.ndim == len(known):
        return tuple(() if k in gone else axis for k, axis in enumerate(known))
    left = tuple(axis for k, axis in enumerate(known) if k not in gone)
    return left if len(left) == output.ndim else None


REDUCTIONS = (
    *(torch.sum, Tensor.sum, torch.mean, Tensor.mean, torch.amax, Tensor.amax, torch.amin, Tensor.amin),
    *(torch.max, Tensor.max, torch.min, Tensor.min, torch.argmax, Tensor.argmax, torch.argmin, Tensor.argmin),
    *(torch.logsumexp, Tensor.logsumexp, torch.median, Tensor.median, torch.prod, Tensor.prod),
    *(torch.var, Tensor.var, torch.std, Tensor.std),
)
"""Functions that leave axes out, or one entry of them."""
NORMS = (torch.norm, Tensor.norm, torch.linalg.vector_norm)
"""The same, with an argument before the axes."""
