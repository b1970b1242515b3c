"""Swap the operator of a site for another one of the same shapes: all of it or nothing, and say what changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from artifactlab.attribution.sites.records import Site
from artifactlab.fix.graph_calls import call_as_module
from artifactlab.fix.mimic import mimic
from artifactlab.fix.operator import SiteOperator, find_operator
from artifactlab.fix.replacement import Replacement, Trimmed, times
from artifactlab.models.wrappers import unwrap


@dataclass(frozen=True)
class Swap:
    """The result of `replace_upsampler`."""

    replacement: Replacement
    """What stands in the old modules' place now."""
    removed: tuple[str, ...]
    """What was removed, module by module, e.g. `dec.up2: ConvTranspose2d(40, 24, ...)`."""
    parameters: tuple[int, int]
    """How many weights the site had and has."""
    difference: float
    """How far the new one is from the old one on smooth inputs, relative to its rms; the lattice is part of it."""

    def __str__(self) -> str:
        new = self.replacement
        before, after = self.parameters
        shapes = f"{new.in_channels} to {new.out_channels} channels, x{times(new.scale)}"
        return (
            f"Replaced {' and '.join(self.removed)} by {new.mode} ({shapes}) at {new.paths[0]}; weights {before} ->"
            f" {after}; untrained, its output is {self.difference:.1%} off the old one's, of which the old lattice is a"
            " part."
        )


def replace_upsampler(model: nn.Module, site: Site | str, mode: str = "interpolate_conv", **options: Any) -> Swap:
    """Swap a site's upsampler, with the convolution that belongs to it, for another of the same shapes, in place.

    The new one starts as the old one's least squares copy without a lattice, see `artifactlab.fix.mimic`; its channels,
    scale, output size, device, precision and train flag are the old one's. Nothing else in the model changes, and
    nothing at all where an error is raised.

    Args:
        model: any `nn.Module`; DataParallel and `torch.compile` wrappers are looked through.
        site: from `capture` or `diagnose`, or its key or module name, e.g. `dec.up2`.
        mode: one of `REPLACEABLE`; `artifactlab.fix.upsample` says what each is.
        options: further keyword arguments of that mode's class.

    Returns:
        What was swapped, to print, and to save with the weights.

    Raises:
        InputError: if the model has no such module, or there is no such mode or option.
        FixError: if the site is no module that can be swapped; the message says which line to change, and how.
        ModelError: if the model is no `nn.Module`, or a ScriptModule.

    >>> import torch
    >>> model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ConvTranspose2d(8, 3, 3, 2, 1, output_padding=1))
    >>> swap = replace_upsampler(model, "1/conv_transpose2d#0")
    >>> type(model[1]).__name__, tuple(model(torch.rand(1, 3, 20, 30)).shape)
    ('ResizeConvUpsample', (1, 3, 40, 60))
    """
    model = unwrap(model)
    with call_as_module(model, site) as site:
        return _replace(model, site, mode, options)


def _replace(model: nn.Module, site: Site | str, mode: str, options: dict[str, Any]) -> Swap:
    found = find_operator(model, site)
    replacement = _replacement(found, mode, options)
    with torch.inference_mode(False):
        new = replacement.build()
        difference = mimic(new.up if isinstance(new, Trimmed) else new, found.response)
    old = [model.get_submodule(path) for path in found.paths]
    removed = tuple(f"{path}: {_one_line(module)}" for path, module in zip(found.paths, old, strict=True))
    _like(new, old, model)
    replacement.install(model, new)
    return Swap(replacement, removed, (sum(map(_weights, old)), _weights(new)), difference)


def _one_line(module: nn.Module) -> str:
    """A module as it prints without what is inside it, such as weight normalisation."""
    return f"{type(module).__name__.removeprefix('Parametrized')}({module.extra_repr()})"


def _replacement(found: SiteOperator, mode: str, options: dict[str, Any]) -> Replacement:
    response = found.response
    if mode == "deconv":  # so that every phase has three weights an axis, which a copy of a smooth layer takes
        sizes = [3 * factor for factor in response.scale]
        options = {"kernel_size": sizes[0] if len(set(sizes)) == 1 else sizes} | options
    return Replacement(
        site=found.site,
        paths=found.paths,
        mode=mode,
        in_channels=found.in_channels,
        out_channels=found.out_channels,
        scale=response.scale,
        more=response.more,
        options=options,
    )


def _like(new: nn.Module, old: list[nn.Module], model: nn.Module) -> None:
    """Device, precision and train flag of what is replaced, or of the model where that has no weights."""
    weights = [p for module in old for p in module.parameters() if p.is_floating_point()]
    weights += [p for p in model.parameters() if p.is_floating_point()]
    if weights:
        new.to(weights[0].device, weights[0].dtype)
    new.train(old[0].training)
    trainable = [p.requires_grad for module in old for p in module.parameters()]
    new.requires_grad_(any(trainable) or not trainable)


def _weights(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())
