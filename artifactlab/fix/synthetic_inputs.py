"""Inputs that a fix is fitted on where none are given for that: synthetic images like those that it is judged on."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from artifactlab.fix.crops import input_size
from artifactlab.inputs.dead_leaves import dead_leaves
from artifactlab.models.calls import Call, with_tensors
from artifactlab.models.image_needs import needs_of
from artifactlab.models.outputs import tensors

COUNT = 7
"""As many as `STEPS` look at: five to train on, and two that are held out."""
STEPS = 60
"""Passes: of thirteen planted nets they reached a fix's usual distance to within a tenth, in two to eight seconds."""
SIDE = 256
"""Pixels a side at most, as a larger image would be cut to crops anyway."""


def synthetic_inputs(model: nn.Module, calls: Sequence[Call], seed: int) -> list[Call]:
    """Calls as the first one, with images of dead leaves for its own; none where it brings no image.

    An image is a tensor (N, 1, H, W) or (N, 3, H, W), the only one of a call. They have its size, up to 256 pixels
    where the model takes crops, and the range of values that the images of all calls have.

    >>> from artifactlab.models.calls import as_calls
    >>> made = synthetic_inputs(nn.Identity(), as_calls([torch.rand(1, 3, 512, 40)]), 0)
    >>> len(made), made[0].args[0].shape
    (7, torch.Size([1, 3, 256, 40]))
    """
    size = input_size(calls[0])
    images = _images(calls)
    if len(size) != 2 or not images or images[0].shape[1] not in (1, 3):
        return []
    needs = needs_of(model)
    rows, columns = size if needs is not None and not needs.crops else tuple(min(side, SIDE) for side in size)
    low, high = min(float(image.min()) for image in images), max(float(image.max()) for image in images)
    generator = torch.Generator().manual_seed(seed)
    channels = images[0].shape[1]

    def another() -> Call:
        leaves = low + (high - low) * dead_leaves(rows, columns, channels, generator)
        return with_tensors(calls[0], lambda given: leaves.to(given) if _is_image(given) else given)

    return [another() for _ in range(COUNT)]


def _images(calls: Sequence[Call]) -> list[Tensor]:
    """The image of each call; nothing where one has several."""
    found = [[tensor for _, tensor in tensors((call.args, dict(call.kwargs))) if _is_image(tensor)] for call in calls]
    return [image for (image,) in found] if all(len(each) == 1 for each in found) else []


def _is_image(tensor: Tensor) -> bool:
    return tensor.ndim == 4 and tensor.is_floating_point()
