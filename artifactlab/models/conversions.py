"""What to write so that an image of another library, or of another order of axes, is what a model takes."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

import numpy as np
import torch
from torch import Tensor

from artifactlab.inputs.image_files import SUFFIXES

CHANNELS = (1, 3, 4)
"""Entries of a last axis that is taken for one of channels: gray, colour, colour with alpha."""


def conversion(value: Any) -> str:
    """Python that makes a value `x` a batch of images, and what the value is; empty where nothing is known of it."""
    if isinstance(value, (str, PurePath)):
        if PurePath(value).suffix.lower() in ("", *SUFFIXES):
            return "a path; give artifactlab.read_image(path)[None]"
        return "a path; give artifactlab.inputs.load_inputs([path]), the inputs in the file"
    if type(value).__module__.partition(".")[0] == "PIL":
        array = "torch.from_numpy(numpy.array(x.convert('RGB')))"
        return f"a PIL image; give {array}.permute(2, 0, 1)[None].float() / 255"
    if isinstance(value, np.ndarray):
        steps = _steps(value.shape, value.dtype == np.uint8) + (".float()" if value.dtype == np.float64 else "")
        return f"a numpy array {value.shape} {value.dtype}; give torch.from_numpy(x){steps}"
    return ""


def advice_for(tensor: Tensor, axes: int | None = 4) -> str:
    """Python that makes a tensor a batch as a model takes them; empty where it looks like one.

    Args:
        tensor: what the model was given.
        axes: of the batches that it takes, 3 of signals; None where that is not known.
    """
    if axes == tensor.ndim != 4:
        whole = not tensor.is_floating_point() and not tensor.is_complex()
        return f"a batch of floats is expected, not {tensor.dtype}; give x.float()" if whole else ""
    steps = _steps(tuple(tensor.shape), tensor.dtype == torch.uint8)
    return f"a batch (N, C, H, W) of floats is expected; give x{steps}" if steps else ""


def _steps(shape: tuple[int, ...], is_bytes: bool) -> str:
    """Calls that move channels to the front, add a batch axis, and make floats of bytes."""
    last = len(shape) >= 3 and shape[-1] in CHANNELS and shape[-3] not in CHANNELS
    order = {3: ".permute(2, 0, 1)", 4: ".permute(0, 3, 1, 2)"}.get(len(shape), "") if last else ""
    batch = "[None]" if len(shape) == 3 and (last or shape[0] in CHANNELS) else ""
    batch = "[None, None]" if len(shape) == 2 and is_bytes else batch
    return order + batch + (".float() / 255" if is_bytes else "")
