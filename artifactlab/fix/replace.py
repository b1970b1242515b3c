"""Swap the operator of a site for another one of the same shapes: all of it or nothing, and say what changed."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from artifactlab.attribution.sites.records import Site
from artifactlab.fix.graph_calls import call_as_module
from artifactlab.fix.mimic import mimic
from artifactlab.fix.operator import SiteOperator, find_operator
from artifactlab.fix.padded import fill, padded
from artifactlab.fix.refit import refit
from artifactlab.fix.replacement import PADDING, REFITS, Replacement, Trimmed
from artifactlab.fix.swap import Swap, count_weights, described
from artifactlab.models.wrappers import unwrap


def replace_upsampler(model: nn.Module, site: Site | str, mode: str = "interpolate_conv", **options: Any) -> Swap:
    """Swap a site's upsampler, with the convolution that belongs to it, for another of the same shapes, in place.

    The new one starts as the old one's least squares copy without a lattice, see `artifactlab.fix.mimic`; its channels,
    scale, output size, device, precision and train flag are the old one's. Modes of `REFITS` leave the layer where it
    is, with other weights, see `artifactlab.fix.refit`; "padding" makes a transposed convolution's kernel larger, see
    `artifactlab.fix.padded`. Nothing else in the model changes, and nothing at all where an error is raised.

    Args:
        model: any `nn.Module`; DataParallel and `torch.compile` wrappers are looked through.
        site: from `capture` or `diagnose`, or its key or module name, e.g. `dec.up2`.
        mode: one of `CURES`; `artifactlab.fix.upsample` says what each new layer is.
        options: further keyword arguments of that mode's class.

    Returns:
        What was swapped, to print, and to save with the weights; of other weights alone nothing more has to be saved.

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
    with torch.inference_mode(False):
        if mode in REFITS:
            return refit(model, found, mode, options)
        old = [model.get_submodule(path) for path in found.paths]
        replacement = padded(found, old, options) if mode == PADDING else _replacement(found, mode, options)
        new = replacement.build()
        difference = fill(new, found) if mode == PADDING else _mimicked(new, found)
    removed = tuple(described(path, module) for path, module in zip(found.paths, old, strict=True))
    _like(new, old, model)
    replacement.install(model, new)
    return Swap(replacement, removed, (count_weights(old), count_weights([new])), difference)


def _mimicked(new: nn.Module, found: SiteOperator) -> float:
    return mimic(new.up if isinstance(new, Trimmed) else new, found.response)


def _replacement(found: SiteOperator, mode: str, options: dict[str, Any]) -> Replacement:
    response = found.response
    if mode == "deconv":  # so that every phase has three weights an axis, which a copy of a smooth layer takes
        sizes = [3 * factor for factor in response.scale]
        options = {"kernel_size": sizes[0] if len(set(sizes)) == 1 else sizes} | options
    if mode == "bilinear":  # which holds the mean of the old kernels, as wide as they are
        options = {"kernel_size": 2 * response.reach + 1} | options
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
