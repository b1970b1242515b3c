"""Image files and probes as model inputs: read, cropped, and mapped to the range the model was trained on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from torch import Tensor

from artifactlab.errors import InputError
from artifactlab.inputs.image_files import find_images
from artifactlab.inputs.images import MIN_SIDE, read_image
from artifactlab.inputs.probes import make_probe

PROBE_SIZE = 256
"""Pixels per side of a probe where no crop is given: in it a lattice of 16 is measured in four crops."""
RANGES: dict[str, tuple[float, float]] = {"0,1": (0.0, 1.0), "-1,1": (-1.0, 1.0), "0,255": (0.0, 255.0)}
"""What black and white may be to a model, by the text that the command line takes."""


def load_inputs(
    paths: Sequence[str | Path] = (),
    probes: Sequence[str] = (),
    *,
    value_range: tuple[float, float] = (0.0, 1.0),
    gray: bool = False,
    crop: int | None = None,
    every_crop: bool = False,
) -> list[Tensor]:
    """One (1, C, H, W) tensor per image file and per probe.

    Args:
        paths: image files, folders and glob patterns.
        probes: names of `artifactlab.inputs.probes`.
        value_range: what black and white are mapped to.
        gray: one channel instead of three.
        crop: side of the centred square crop, and of probes; None for images as they are.
        every_crop: after all centred crops also those beside them, which do not overlap, as far as images are larger.

    Raises:
        InputError: if there is nothing to load, an image cannot be read, or it is smaller than the crop or 16 pixels.

    >>> [tuple(image.shape) for image in load_inputs(probes=["ramp", "constant"], crop=64)]
    [(1, 3, 64, 64), (1, 3, 64, 64)]
    """
    images = [(str(path), read_image(path, gray=gray)[None]) for path in (find_images(paths) if paths else [])]
    images += [(name, make_probe(name, crop or PROBE_SIZE, channels=1 if gray else 3)) for name in probes]
    if not images:
        raise InputError("nothing to run the model on: give --input PATH (files, folders, globs) or --probe NAME")
    low, high = value_range
    chosen = [_cropped(image, crop, name) for name, image in images]
    if every_crop and crop:
        for _, image in images:
            chosen += _around(image, crop)
    return [low + (high - low) * image for image in chosen]


def _cropped(image: Tensor, crop: int | None, name: str) -> Tensor:
    height, width = image.shape[-2:]
    if min(height, width) < MIN_SIDE:
        raise InputError(f"{name} is {height}x{width} pixels; a diagnosis needs at least {MIN_SIDE}x{MIN_SIDE}")
    if crop is None:
        return image
    if crop > min(height, width):
        raise InputError(f"{name} is {height}x{width} pixels, smaller than the crop of {crop}; use a smaller --crop")
    top, left = (height - crop) // 2, (width - crop) // 2
    return image[..., top : top + crop, left : left + crop]


def _around(image: Tensor, crop: int) -> Iterator[Tensor]:
    """The square crops around the centred one, from the top left on."""
    height, width = image.shape[-2:]
    centre = (height - crop) // 2, (width - crop) // 2
    for top in range(centre[0] % crop, height - crop + 1, crop):
        for left in range(centre[1] % crop, width - crop + 1, crop):
            if (top, left) != centre:
                yield image[..., top : top + crop, left : left + crop]
