"""Fuse resizes with their convolutions, one pair or all of a model's, for inference; `fused` says how and why."""

from __future__ import annotations

import copy

from torch import nn

from artifactlab.errors import FixError, InputError, first_line
from artifactlab.fix.fused import FusedUpsample
from artifactlab.fix.operator import with_convolution
from artifactlab.fix.pairs import BORDERS, has_standard_forward, pair_of_block, pair_of_sequence
from artifactlab.fix.replacement import put
from artifactlab.fix.upsample.resize import ResizeConvUpsample
from artifactlab.models.torch_internals import own_children
from artifactlab.models.wrappers import unwrap


def fuse(module: nn.Module) -> FusedUpsample:
    """A resize and the convolution that reads it, as one module at the input's size, for inference.

    It gives what the pair gives to within rounding, borders included, for inputs of every size. The argument is left as
    it is, and shares nothing with the result.

    Args:
        module: `ResizeConvUpsample`, or `nn.Sequential` of an `nn.Upsample`, at most one padding module and an
            `nn.Conv2d`. Nearest or bilinear (align_corners=False) by 2, 3 or 4; kernel odd, stride and dilation 1;
            padded by zeros, replicate or reflect, at most by half the kernel.

    Raises:
        InputError: if it is none of these modules.
        FixError: if it is, with other options; or has hooks, which would be lost; or if something follows.

    >>> import torch
    >>> pair = nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(8, 4, 3, padding=1))
    >>> fused, x = fuse(pair), torch.rand(1, 8, 5, 6)
    >>> bool((fused(x) - pair(x)).abs().max() < 1e-5), tuple(fused.kernels[0].shape)
    (True, (4, 8, 2, 2))
    """
    if not isinstance(module, nn.Module):
        raise InputError(f"expected a torch.nn.Module, got {type(module).__name__}; pass the module object itself")
    if isinstance(module, ResizeConvUpsample):
        return FusedUpsample(pair_of_block(module))
    if isinstance(module, nn.Sequential):
        return FusedUpsample(pair_of_sequence(list(module), module))
    raise InputError(
        f"{type(module).__name__} cannot be fused; expected ResizeConvUpsample, or nn.Sequential(nn.Upsample,"
        " nn.Conv2d). fuse_model finds them in a model"
    )


def fuse_model(model: nn.Module) -> nn.Module:
    """A copy of the model in which every resize with its convolution that `fuse` takes is fused; for inference.

    They are found as `ResizeConvUpsample`, and as `nn.Upsample` right before `nn.Conv2d` in an `nn.Sequential`, with
    padding between or not; `nn.Identity` stands where the convolution stood, so that no other module's name changes.
    `count_fused` says how many there are.

    Args:
        model: any `nn.Module`; DataParallel and `torch.compile` wrappers are looked through.

    Raises:
        ModelError: if it is no module that can be read.
        FixError: if there is nothing to fuse, with the reason for what was near; or if the model cannot be copied.

    >>> model = nn.Sequential(nn.Conv2d(3, 8, 1), nn.Upsample(scale_factor=2), nn.Conv2d(8, 3, 3, padding=1), nn.ReLU())
    >>> fused = fuse_model(model)
    >>> count_fused(fused), [type(layer).__name__ for layer in fused]
    (1, ['Conv2d', 'FusedUpsample', 'Identity', 'ReLU'])
    """
    model = unwrap(model)
    try:
        fused = copy.deepcopy(model)
    except Exception as error:
        raise FixError(f"the model cannot be copied: {type(error).__name__}: {first_line(error)}") from error
    refused: dict[str, str] = {}
    made: dict[int, FusedUpsample] = {}
    for path, module in list(fused.named_modules(remove_duplicate=False)):
        try:
            if isinstance(module, ResizeConvUpsample):
                if id(module) not in made:
                    made[id(module)] = FusedUpsample(pair_of_block(module))
                    made[id(module)].train(module.training)
                if not path:
                    return made[id(module)]
                put(fused, path, made[id(module)])
            elif isinstance(module, nn.Sequential) and has_standard_forward(module, nn.Sequential):
                refused |= _fuse_inside(model, module, path)
        except FixError as error:
            refused[path] = str(error)
    if not count_fused(fused):
        why = "; ".join(f"{path or 'the model'}: {reason}" for path, reason in list(refused.items())[:5])
        raise FixError(
            "the model has nothing to fuse: no ResizeConvUpsample, and no nn.Upsample right before nn.Conv2d in an"
            f" nn.Sequential, that fuse takes{f' ({why})' if why else ''}"
        )
    return fused


def count_fused(model: nn.Module) -> int:
    """How many `FusedUpsample` the model has.

    >>> count_fused(fuse(ResizeConvUpsample(4, 4))), count_fused(ResizeConvUpsample(4, 4))
    (1, 0)
    """
    return sum(isinstance(module, FusedUpsample) for module in model.modules())


def _fuse_inside(model: nn.Module, sequence: nn.Sequential, path: str) -> dict[str, str]:
    """Fuse the resizes of a copied sequence, in place; path of the resize -> why not, for the others."""
    refused = {}
    children = own_children(sequence)
    names = list(children)
    for start, name in enumerate(names):
        if not isinstance(children[name], nn.Upsample):
            continue
        end = start + 1
        while end < len(names) and isinstance(children[names[end]], (nn.Identity, *BORDERS)):
            end += 1
        if end == len(names) or not isinstance(children[names[end]], nn.Conv2d):
            continue
        parts = [sequence.get_submodule(inside) for inside in names[start : end + 1]]
        full = tuple(f"{path}.{inside}" if path else inside for inside in names[start : end + 1])
        try:
            new = FusedUpsample(pair_of_sequence(parts))
            if with_convolution(model, full[0], feeds=False) != full:  # a forward may use a sequence's parts one by one
                raise FixError("the convolution was not seen to read it, and nothing else")
        except FixError as error:
            refused[f"{path}.{name}" if path else name] = str(error)
            continue
        for inside in names[start : end + 1]:
            put(sequence, inside, (new if inside == name else nn.Identity()).train(parts[-1].training))
    return refused
