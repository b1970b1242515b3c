"""Find the tensor to judge in whatever a model takes or returns: a tensor, a tuple, a dict, a dataclass."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from difflib import get_close_matches
from typing import Any

import torch
from torch import Tensor

from artifactlab.errors import ModelError
from artifactlab.models.layout import Layout, layout_by_shape
from artifactlab.models.output_paths import ROOT, follow, steps_of
from artifactlab.models.values import Values, values_of

SHAPES = "(N, C, H, W), (N, C, D, H, W), (N, H, W), (N, C, L) or (N, L)"
"""What an output may be."""
DEEPEST = 100
"""Levels of containers that are looked into; Python itself gives up at a few hundred."""
MOST_LISTED = 12
"""Tensors that a message lists; detectors return dozens."""


def tensors(value: Any, _around: frozenset[int] = frozenset()) -> Iterator[tuple[str, Tensor]]:
    """Every tensor inside `value`, with the path that leads to it; what holds itself is not entered again."""
    if isinstance(value, Tensor):
        yield "", value
    elif id(value) not in _around and len(_around) < DEEPEST:
        for step, item in _items(value):
            yield from ((step + path, tensor) for path, tensor in tensors(item, _around | {id(value)}))


def _items(value: Any) -> Iterator[tuple[str, Any]]:
    """What a container holds, with the step that leads to it."""
    if isinstance(value, Mapping):
        yield from ((f"[{key!r}]", item) for key, item in value.items())
    elif isinstance(value, (list, tuple)):
        yield from ((f"[{index}]", item) for index, item in enumerate(value))
    elif is_dataclass(value) and not isinstance(value, type):
        yield from ((f".{attribute.name}", getattr(value, attribute.name)) for attribute in fields(value))


def holds_itself(value: Any, _around: frozenset[int] = frozenset()) -> bool:
    """Whether a container is somewhere inside itself, or holds more levels than anybody needs."""
    if isinstance(value, Tensor):
        return False
    return (
        id(value) in _around
        or len(_around) > DEEPEST
        or any(holds_itself(item, _around | {id(value)}) for _, item in _items(value))
    )


def is_image(tensor: Tensor) -> bool:
    """Whether a tensor looks like a batch of images: real (N, C, H, W) with more than one pixel, all of them there.

    Of an empty batch, of no channels, and of what has no values in memory (sparse, nested, meta) nothing can be seen.
    """
    if tensor.is_nested or tensor.layout != torch.strided or tensor.is_meta or not tensor.is_floating_point():
        return False
    return tensor.ndim == 4 and tensor.numel() > 0 and tensor.shape[2] * tensor.shape[3] > 1


def described(tensor: Tensor) -> str:
    """Shape and precision of a tensor, and what else keeps it from being an image."""
    if tensor.is_nested:
        return f"nested {tensor.dtype}"
    kinds = {
        "empty": 0 in tensor.shape,
        str(tensor.layout): tensor.layout != torch.strided,
        "without values, on the meta device": tensor.is_meta,
    }
    return ", ".join([f"{tuple(tensor.shape)} {tensor.dtype}", *(kind for kind, is_so in kinds.items() if is_so)])


def first_image(value: Any) -> Tensor | None:
    """The image-like tensor with the most pixels, the first of equals; None if there is none."""
    images = [tensor for _, tensor in tensors(value) if is_image(tensor)]
    return max(images, key=lambda image: image.shape[2] * image.shape[3], default=None)


def is_spatial(tensor: Tensor) -> bool:
    """Whether a tensor may hold images, volumes or signals: real, of two to five axes, with values, more than one."""
    return tensor.is_floating_point() and _may_be_spatial(tensor)


def is_judgeable(tensor: Tensor) -> bool:
    """Whether an output may be that: spatial, or a map of labels, a mask or a picture of integers."""
    return _may_be_spatial(tensor) and not tensor.is_complex() and not tensor.is_quantized


def _may_be_spatial(tensor: Tensor) -> bool:
    if tensor.is_nested or tensor.layout != torch.strided or tensor.is_meta:
        return False
    return 2 <= tensor.ndim <= 5 and tensor.numel() > 1


@dataclass(frozen=True)
class Judged:
    """Which tensor of what a model returns is judged, and as what: told by the first output, the same for all."""

    path: str
    """Where it stands, such as `output['logits']`; `output` where it is all that is returned."""
    shape: tuple[int, ...]
    """Its shape, in the first pass."""
    is_guess: bool
    """Whether nobody named it, and there were others."""
    layout: Layout
    """What its axes are."""
    layout_is_guess: bool
    """Whether nobody said so, and its shape told."""
    values: Values
    """What its values stand for."""

    @property
    def text(self) -> str:
        """What a reader of a verdict cannot know about it, as sentences; empty where there is nothing to say."""
        which = f" Judged: {self.path} {self.shape}; name another with output=/--output." if self.is_guess else ""
        axes = f" Its axes {self.shape} were taken for {self.layout.axes}; say otherwise with layout=/--layout."
        unusual = self.layout_is_guess and self.layout.axes != "NCHW"
        return which + (axes if unusual else "") + self.values.text

    def images(self, output: Any) -> Tensor:
        """That tensor of another output, as real `(N, C, *space)`.

        Raises:
            ModelError: if there is none of the kind.
        """
        return self.values.measurable(_arranged(self.tensor(output), self.layout))

    def tensor(self, output: Any) -> Tensor:
        """That tensor of another output, as it is; the errors are those of `images`."""
        return pick_named(output, self.path)[1]


def judged_in(output: Any, choice: str | int | None = None, layout: Layout | None = None) -> Judged:
    """Which tensor of an output is judged, and as what; the arguments and errors are those of `pick_output`."""
    path, tensor = pick_named(output, choice, layout)
    axes = layout or layout_by_shape(tensor.shape)
    is_guess = choice is None and len(_candidates(output, layout)) > 1
    return Judged(path, tuple(tensor.shape), is_guess, axes, layout is None, values_of(_arranged(tensor, axes)))


def pick_tensor(output: Any, choice: str | int | None = None) -> Tensor:
    """The tensor that a model's output is judged by, see `pick_named`."""
    return pick_named(output, choice)[1]


def pick_named(output: Any, choice: str | int | None = None, layout: Layout | None = None) -> tuple[str, Tensor]:
    """The tensor that a model's output is judged by, with its path: the one named, or the likeliest one.

    That is the largest of those with the most axes; real ones before integers, images before volumes.

    Args:
        output: all that the model returned.
        choice: a key, an attribute, an index, or any path that a message prints.
        layout: what its axes are; where it is known, only tensors of as many are looked at.

    Raises:
        ModelError: if `choice` names nothing, or if what it names, or the whole output, is no image.
    """
    if choice is not None:
        return _named(output, choice)
    found = _candidates(output, layout)
    if not found:
        kinds = SHAPES if layout is None else layout.axes
        raise ModelError(
            f"the model's output is no image: expected a real {kinds} tensor, got {_listed(output)}"
            f"{_advice([tensor for _, tensor in tensors(output)], layout)}"
        )
    path, tensor = max(found, key=lambda item: _likelihood(item[1]))
    return ROOT + path, tensor


def pick_output(output: Any, choice: str | int | None = None, layout: Layout | None = None) -> Tensor:
    """What a model returned as real `(N, C, *space)`: images, volumes or signals; of labels a channel per class.

    Args:
        output: all that it returned.
        choice: see `pick_named`.
        layout: what the axes of the tensor are; None where that is told by its shape.

    Raises:
        ModelError: as `pick_named`, and if the tensor is not of that layout.
    """
    return judged_in(output, choice, layout).images(output)


def _arranged(tensor: Tensor, layout: Layout) -> Tensor:
    """A tensor as `(N, C, *space)`."""
    if not layout.fits(tensor):
        raise ModelError(
            f"the output {described(tensor)} has {tensor.ndim} axes; {layout.axes} has {len(layout.axes)}: say what"
            " they are with layout=/--layout, a letter each"
        )
    return layout.images(tensor)


def _candidates(output: Any, layout: Layout | None) -> list[tuple[str, Tensor]]:
    """What may be judged; integers of two axes are rather tokens, or classes of whole images."""
    return [
        (path, tensor)
        for path, tensor in tensors(output)
        if is_judgeable(tensor) and (layout.fits(tensor) if layout else tensor.is_floating_point() or tensor.ndim > 2)
    ]


def _named(output: Any, choice: str | int) -> tuple[str, Tensor]:
    """The tensor that somebody named, with the path that leads to it."""
    paths = {ROOT + path: tensor for path, tensor in tensors(output)}
    picked = paths.get(str(choice))  # as a message prints it, with keys of any type
    picked = follow(output, choice) if picked is None else picked
    if picked is None:
        raise ModelError(f"the model's output has no {choice!r}; it has {_listed(output)}{_meant(str(choice), paths)}")
    if not isinstance(picked, Tensor) or not is_judgeable(picked):
        is_tensor = isinstance(picked, Tensor)
        got = described(picked) if is_tensor else f"a {type(picked).__name__}; there are {_listed(output)}"
        advice = _advice([picked] if is_tensor else [])
        raise ModelError(f"output {choice!r} is no image: expected a real {SHAPES} tensor, got {got}{advice}")
    return next((path for path, tensor in paths.items() if tensor is picked), str(choice)), picked


def _meant(choice: str, paths: Collection[str]) -> str:
    """The path that was mistyped, as the end of a sentence; empty where none is like it."""
    names = {".".join((steps_of(path) or [ROOT])[1:]): path for path in paths}
    like = get_close_matches(".".join(steps_of(choice) or [choice]).removeprefix(f"{ROOT}."), names, n=1)
    return f"; did you mean {names[like[0]]}?" if like else ""


def _listed(output: Any) -> str:
    """The tensors in an output, as messages list them: with paths that are accepted back."""
    found = [f"{ROOT}{path}: {described(tensor)}" for path, tensor in tensors(output)]
    more = f", and {len(found) - MOST_LISTED} more" if len(found) > MOST_LISTED else ""
    return ", ".join(found[:MOST_LISTED]) + more or f"{type(output).__name__} without tensors"


def _advice(found: Sequence[Tensor], layout: Layout | None = None) -> str:
    """What to do where nothing can be judged."""
    if any(tensor.is_complex() for tensor in found):
        return "; of complex numbers return a part: y.abs(), y.angle() or torch.view_as_real(y) in a wrapper module"
    return "; name the right one with output=/--output" + (", or its axes with layout=/--layout" if layout else "")


def _likelihood(tensor: Tensor) -> tuple[bool, int, int]:
    """Real numbers before integers; images first, then volumes, then what may be signals; the largest of each."""
    size = math.prod(tensor.shape[2:]) if tensor.ndim > 2 else tensor.shape[1]
    return tensor.is_floating_point(), (2, 3, 4, 6, 5)[tensor.ndim - 1], size
