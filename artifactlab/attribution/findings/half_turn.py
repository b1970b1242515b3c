"""A model's mirror image: everything it has learned turned upside down, everything it is wired like left as it is.

Kernels that a model learns displace its features at will, by half a pixel and more, and others take it back. What
displaces them for good is the wiring: strides, padding, crops. Turn the input by 180 degrees, and
every kernel with it, and learned displacements turn, too, while wired ones stay. Of a model whose wiring is symmetric,
the features come out exactly as before, but turned.
"""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from artifactlab.models.calls import Call, with_images


def half_turn(image: Tensor) -> Tensor:
    """The last two dimensions turned by 180 degrees."""
    return image.flip(-2, -1)


def turned_call(call: Call) -> Call:
    """The same arguments with every image among them turned."""
    return with_images(call, half_turn)


class TurnedKernels(TorchFunctionMode):
    """A context in which convolutions use their kernels turned by 180 degrees; no weight is written to.

    Pixel shuffles take, and give, their phases in the opposite order, as these are kernels of theirs, too.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func in (F.conv2d, F.conv_transpose2d):
            if len(args) > 1:
                args = (args[0], half_turn(args[1]), *args[2:])
            else:
                kwargs["weight"] = half_turn(kwargs["weight"])
        elif func is F.pixel_shuffle:
            image, factor = _shuffle_arguments(args, kwargs, "upscale_factor")
            return func(_turned_phases(image, factor), factor)
        elif func is F.pixel_unshuffle:
            image, factor = _shuffle_arguments(args, kwargs, "downscale_factor")
            return _turned_phases(func(image, factor), factor)
        return func(*args, **kwargs)


def _shuffle_arguments(args: Any, kwargs: Any, name: str) -> tuple[Tensor, int]:
    return args[0] if args else kwargs["input"], args[1] if len(args) > 1 else kwargs[name]


def _turned_phases(image: Tensor, factor: int) -> Tensor:
    """(N, C r r, H, W) with the r x r phases of each channel turned."""
    return image.unflatten(-3, (-1, factor, factor)).flip(-4, -3).flatten(-5, -3)
