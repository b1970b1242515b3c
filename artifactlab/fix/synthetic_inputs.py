"""Inputs that a fix is fitted on where none are given for that: synthetic images like those that it is judged on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from artifactlab.errors import CaptureError, ModelError
from artifactlab.inputs.dead_leaves import dead_leaves
from artifactlab.models.calls import Call, with_tensors
from artifactlab.models.image_needs import needs_of
from artifactlab.models.outputs import is_image, tensors
from artifactlab.models.runner import Runner
from artifactlab.models.wrappers import unwrap

COUNT = 7
"""As many as `STEPS` look at: five to train on, and two that are held out."""
STEPS = 60
"""Passes: of thirteen planted nets they reached a fix's usual distance to within a tenth, in two to eight seconds."""
SECONDS = 60.0
"""Time for that at most, as nobody asked for a training; a net that takes 512 pixels and nothing else needed 75."""
SIDE = 256
"""Pixels a side at most, as a larger image would be cut to crops anyway."""


def synthetic_inputs(model: nn.Module, calls: Sequence[Call], seed: int, output: str | int | None = None) -> list[Call]:
    """Calls as the first one, with images of dead leaves for its own; none where it brings no image.

    An image is a tensor (N, 1, H, W) or (N, 3, H, W), the only one of a call. They have the range of values that the
    images of all calls have, and up to 256 pixels a side where the model takes that; beside other tensors, which may
    have to fit, they have the shape of the call's own.

    >>> from artifactlab.models.calls import as_calls
    >>> made = synthetic_inputs(nn.Identity(), as_calls([torch.rand(1, 3, 512, 40)]), 0)
    >>> len(made), made[0].args[0].shape
    (7, torch.Size([1, 3, 256, 40]))
    """
    images = _images(calls)
    if not images or images[0].shape[1] not in (1, 3):
        return []
    low, high = min(float(image.min()) for image in images), max(float(image.max()) for image in images)
    count, channels, *size = images[0].shape
    rows, columns = (min(side, SIDE) for side in size)
    generator = torch.Generator().manual_seed(seed)
    made = [low + (high - low) * dead_leaves(rows, columns, channels, generator) for _ in range(COUNT)]
    smaller = [_with_image(calls[0], leaves) for leaves in made]
    needs, is_alone = needs_of(model), len(list(_tensors(calls[0]))) == 1
    takes_crops = needs is None or needs.crops
    if is_alone and (size == [rows, columns] or (takes_crops and _runs(model, smaller[0], seed, output))):
        return smaller
    return [_with_image(calls[0], _mirrored(leaves, size).expand(count, -1, -1, -1)) for leaves in made]


def _with_image(call: Call, image: Tensor) -> Call:
    return with_tensors(call, lambda given: image.to(given) if is_image(given) else given)


def _mirrored(image: Tensor, size: Sequence[int]) -> Tensor:
    """An image continued to a larger size, as if mirrors stood along its border."""
    for axis, side in enumerate(size, 2):
        image = torch.cat([image, image.flip(axis)], axis)
        image = image.index_select(axis, torch.arange(side) % image.shape[axis])
    return image


def _runs(model: nn.Module, call: Call, seed: int, output: str | int | None) -> bool:
    """Whether the model takes a call."""
    with Runner(unwrap(model), output, seed) as runner:
        try:
            runner.run(call)
        except (ModelError, CaptureError):
            return False
    return True


def _tensors(call: Call) -> Iterator[Tensor]:
    return (tensor for _, tensor in tensors((call.args, dict(call.kwargs))))


def _images(calls: Sequence[Call]) -> list[Tensor]:
    """The image of each call; nothing where one has several, or none."""
    found = [[tensor for tensor in _tensors(call) if is_image(tensor)] for call in calls]
    return [image for (image,) in found] if all(len(each) == 1 for each in found) else []
