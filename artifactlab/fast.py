"""The fast way to an effect: first order, one backward pass for all sites.

A repair changes a site's output by d. To first order the output's severity S falls by <dS, d>, and the gradients dS of
all sites come from one backward pass. S is quadratic in what the artifact draws: where a repair takes the share a of it
away, S falls by S (2a - a^2), and the first order is 2aS. So a is read off the first order, and the effect follows.

Where it matters, let the full diagnosis repair the sites.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from artifactlab.capture import Visit, watch
from artifactlab.effects import effect_of_first_order
from artifactlab.errors import ModelError, first_line
from artifactlab.metrics.spectral_reading import Forms, Reading
from artifactlab.outputs import pick_output
from artifactlab.records import Effect, Site
from artifactlab.repair import repair
from artifactlab.runner import Call, Runner
from artifactlab.severity import VISIBLE, Severity, crop_counts, differentiable_severity

Key = tuple[str, str, int]


def first_order_effects(
    runner: Runner,
    calls: Sequence[Call],
    sites: Sequence[Site],
    before: Severity,
    period: tuple[int, int],
    data_range: float,
    seed: int,
    passed: Callable[[], None],
) -> list[Effect]:
    """The effect of repairing each site alone, from one forward and one backward pass per input.

    Raises:
        ModelError: if the model fails, or no gradient comes through it.
    """
    if any(parameter.is_inference() for parameter in runner.model.parameters()):
        raise ModelError("the model was made in inference mode, which gives no gradient; leave fast out")
    layers = {key: site for site in sites for key in site.keys}
    drops: dict[Site, list[Tensor]] = {site: [] for site in sites}
    found, severity = before.found, sum(before.together())
    for call in calls:
        by_call = _drops(runner, call, layers.keys(), found, severity, period, data_range)
        for site, of_site in drops.items():
            of_site.append(torch.stack([by_call[key] for key in site.keys]).sum(0))
        passed()
    return [effect_of_first_order(before, torch.cat(found), seed) for found in drops.values()]


def _drops(
    runner: Runner,
    call: Call,
    keys: Collection[Key],
    found: Mapping[int, Reading],
    severity: float,
    period: tuple[int, int],
    data_range: float,
) -> dict[Key, Tensor]:
    """First-order drop of every crop's severity (crops,), by site."""
    gradients: dict[Key, tuple[Tensor, Tensor]] = {}
    leaf = torch.zeros((), requires_grad=True)
    results: list[Any] = []

    def visit(visited: Visit) -> Tensor | None:
        if visited.key not in keys:
            return None
        output = visited.growth.output
        change = output.detach() - repair(visited.growth)
        watched = output + leaf.to(output)  # a graph that starts here, though no parameter asks for one
        if not watched.requires_grad:
            return None
        watched.register_hook(lambda gradient: gradients.__setitem__(visited.key, (gradient, change)))
        return watched

    with ExitStack() as stack:
        for parameter in runner.model.parameters():
            if parameter.requires_grad:
                stack.callback(parameter.requires_grad_)
                parameter.requires_grad_(False)
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        stack.enter_context(watch(runner.model, visit, lambda result, wiring: results.append(result)))
        try:
            runner.run(call)
        except ModelError as error:
            raise ModelError(f"{error}; if it runs without gradients, leave fast out") from error
        image = pick_output(results[-1], runner.output).float() / data_range
        try:
            torch.autograd.grad(_severity_of_all(image, found, period), leaf)
        except RuntimeError as error:
            raise ModelError(f"the model gives no gradient ({first_line(error)}); leave fast out") from error
    shape = (image.shape[0], *crop_counts(image.shape[-2:], period))
    drops = {
        key: _by_crop(*gradients[key], shape) if key in gradients else torch.zeros(shape).flatten() for key in keys
    }
    if severity >= VISIBLE and not any(map(torch.any, drops.values())):
        raise ModelError("no gradient comes through the model (is its output rounded, or clipped?); leave fast out")
    return drops


def _severity_of_all(image: Tensor, found: Mapping[int, Reading], period: tuple[int, int]) -> Tensor:
    """Severity of all crops together, times their number, so that each crop's part of its drop is a crop's severity."""
    # clones, as what was made in inference mode has no place in a graph
    confirmed = {p: Forms(*(form.clone() for form in reading.found)) for p, reading in found.items()}
    together = differentiable_severity(image, period, torch.ones(1, len(image)), confirmed).sum()
    return len(image) * math.prod(crop_counts(image.shape[-2:], period)) * together


def _by_crop(gradient: Tensor, change: Tensor, crops: tuple[int, int, int]) -> Tensor:
    """Products of gradient and change, added up over the part of the activation under each crop; in the crops' order.

    Where the activation is of another batch than the output, nobody knows which: all crops get the same.
    """
    product = (gradient.float() * change.float()).sum(1)
    images, rows, columns = crops
    if product.shape[0] != images:
        return (product.sum() / math.prod(crops)).expand(math.prod(crops)).cpu()
    per_crop = F.adaptive_avg_pool2d(product, (rows, columns)) * (product[0].numel() / (rows * columns))
    return per_crop.permute(1, 2, 0).flatten().cpu()
