"""The fast way to an effect: first order, one backward pass for all sites.

A repair changes a site's output by d. To first order the output's severity S falls by <dS, d>, and the gradients dS of
all sites come from one backward pass. S is quadratic in what the artifact draws: where a repair takes the share a of it
away, S falls by S (2a - a^2), and the first order is 2aS. So a is read off the first order, and the effect follows.

Steps have no gradient (edges are found, not weighed), so energy above a Gaussian stands for them. That is coarse:
where it matters, let the full diagnosis repair the sites.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from artifactlab.capture import Visit, watch
from artifactlab.effects import effect_of_first_order
from artifactlab.errors import ModelError, first_line
from artifactlab.metrics.gradients import gaussian, separable
from artifactlab.metrics.lattice import lattice_statistics
from artifactlab.outputs import pick_output
from artifactlab.records import Effect, Site
from artifactlab.repair import repair
from artifactlab.runner import Call, Runner
from artifactlab.severity import VISIBLE, VISIBLE_GRID, Severity, crop_counts, split_crops

BLUR = 1.5
"""standard deviation, in pixels, of the Gaussian that stands for the smooth path of edges"""
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
    drops: dict[Key, list[Tensor]] = {(site.name, site.op, site.call): [] for site in sites}
    severity = before.together()
    for call in calls:
        for key, drop in _drops(runner, call, drops.keys(), severity, period, data_range).items():
            drops[key].append(drop)
        passed()
    return [effect_of_first_order(before, torch.cat(found), seed) for found in drops.values()]


def _drops(
    runner: Runner,
    call: Call,
    keys: Collection[Key],
    severity: tuple[float, float],
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
        stack.enter_context(watch(runner.model, visit, results.append))
        try:
            runner.run(call)
        except ModelError as error:
            raise ModelError(f"{error}; if it runs without gradients, leave fast out") from error
        image = pick_output(results[-1], runner.output).float() / data_range
        try:
            torch.autograd.grad(_differentiable_severity(image, severity[1], period), leaf)
        except RuntimeError as error:
            raise ModelError(f"the model gives no gradient ({first_line(error)}); leave fast out") from error
    shape = (image.shape[0], *crop_counts(image.shape[-2:], period))
    drops = {
        key: _by_crop(*gradients[key], shape) if key in gradients else torch.zeros(shape).flatten() for key in keys
    }
    if sum(severity) >= VISIBLE and not any(map(torch.any, drops.values())):
        raise ModelError("no gradient comes through the model (is its output rounded, or clipped?); leave fast out")
    return drops


def _differentiable_severity(image: Tensor, steps: float, period: tuple[int, int]) -> Tensor:
    """Grid severity, added up over crops, and what stands for `steps`: only its gradient means anything."""
    grid = lattice_statistics(split_crops(image, period), period).locked.sum() / VISIBLE_GRID**2
    kernel = gaussian(BLUR, image)
    energy = (image - separable(image, kernel, kernel)).square().sum()
    crops = image.shape[0] * math.prod(crop_counts(image.shape[-2:], period))
    return grid + crops * steps * energy.clamp_min(1e-12).log()


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
