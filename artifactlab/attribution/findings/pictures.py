"""The pictures among the arguments of a pass: images for a model of images, volumes for one of volumes, and so on.

Other tensors (tokens, times, latents of other dimensions) have no directions that are the output's: they are no
pictures, and nothing is shifted, blurred or made constant in them.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from artifactlab.models.calls import Call, constant_call, with_tensors
from artifactlab.models.layout import Layout, layout_by_shape
from artifactlab.models.outputs import is_spatial, tensors
from artifactlab.models.runner import Runner

SPACE = 2
"""The first axis of (N, C, *space) that is a direction."""
STANDARD = {1: Layout("NCL"), 2: Layout("NCHW"), 3: Layout("NCDHW")}
"""What people give models by number of directions, where shapes do not tell."""


def output_layout(runner: Runner, output: Tensor) -> Layout:
    """The layout of a model's outputs, of which `output` is one as (N, C, *space)."""
    known = runner.layout
    return known if known and len(known.names) == output.ndim - SPACE else STANDARD[output.ndim - SPACE]


def picture_layout(tensor: Tensor, output: Layout) -> Layout | None:
    """What the axes of an argument are where it is a picture of as many directions as the output; None otherwise.

    Without an axis of channels it is one only if the output has none either: tokens have three axes, too.
    """
    if not is_spatial(tensor):
        return None
    by_shape = layout_by_shape(tensor.shape)
    guesses = [by_shape] if by_shape and "C" in by_shape.axes else []
    choices = (*guesses, output, STANDARD[len(output.names)])
    fitting = (layout for layout in choices if layout.fits(tensor) and len(layout.names) == len(output.names))
    # a latent (1, 512, 1, 1) has one place, in whatever order
    return next((layout for layout in fitting if min(layout.images(tensor).shape[SPACE:][-2:]) > 1), None)


def pictures(call: Call, output: Layout) -> list[Tensor]:
    """All pictures among the arguments, as (N, C, *space)."""
    found = ((tensor, picture_layout(tensor, output)) for _, tensor in tensors((call.args, dict(call.kwargs))))
    return [layout.images(tensor) for tensor, layout in found if layout]


def with_pictures(call: Call, output: Layout, change: Callable[[Tensor], Tensor]) -> Call:
    """The same arguments with every picture among them, as (N, C, *space), changed."""

    def changed(tensor: Tensor) -> Tensor:
        layout = picture_layout(tensor, output)
        return layout.restore(change(layout.images(tensor))).contiguous() if layout else tensor

    return with_tensors(call, changed)


def constant_input(call: Call, output: Layout, level: float) -> Call:
    """The call with its pictures at their mean, channel by channel, times a level; see `constant_call` without any."""
    if not pictures(call, output):
        return constant_call(call, level)
    return with_pictures(call, output, lambda picture: (level * _mean(picture)).expand_as(picture))


def _mean(picture: Tensor) -> Tensor:
    return picture.mean((0, *range(SPACE, picture.ndim)), keepdim=True)
