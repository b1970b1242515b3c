"""Which layer causes it: capture -> evidence -> repair -> effect -> verdict."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatch
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from artifactlab.capture import Capture, Visit, unwrap, watch
from artifactlab.errors import CaptureError, InputError
from artifactlab.evidence import lattice_period, spread
from artifactlab.metrics import axis_excess, checkerboard_energy
from artifactlab.outputs import first_image
from artifactlab.records import (
    CapturedSite,
    Diagnosis,
    Effect,
    Example,
    Site,
    SiteDiagnosis,
)
from artifactlab.repair import repair
from artifactlab.runner import Call, Runner, as_calls
from artifactlab.severity import (
    VISIBLE_GRID,
    VISIBLE_STEPS,
    Severity,
    joint_period,
    measure_severity,
    pool,
    smallest_side,
)
from artifactlab.verdicts import VISIBLE, judge, sentence

EXAMPLES = 4
"""inputs kept for pictures"""
RESAMPLES = 2000
CONFIDENCE = 0.9

Inputs = Tensor | Sequence[Any] | Mapping[str, Any]
Progress = Callable[[int, int], None]


def diagnose(
    model: nn.Module,
    inputs: Inputs,
    *,
    output: str | int | None = None,
    data_range: float | None = None,
    sites: str = "*",
    seed: int = 0,
    progress: Progress | None = None,
) -> Diagnosis:
    """Find the upsampling sites of `model` that put grids or stair-steps into its output.

    Every site is repaired alone, in a real forward pass, and the drop in the output's severity is its effect.
    Evidence at the site itself is reported beside it, but accuses nobody. The model runs in eval mode without
    gradients and comes back exactly as it was: parameters, buffers, train flags, hooks, random state.

    Args:
        model: any `nn.Module` whose output holds an image-like (N, C, H, W) tensor.
        inputs: a tensor (one call); a list of tensors, whose sizes may differ (one call each); a tuple or a dict (the
            positional or keyword arguments of one call); or a list of tuples or dicts.
        output: key, attribute or index of the output to judge; default is the largest image-like tensor.
        data_range: distance between the output's darkest and brightest value; default is its own spread.
        sites: glob over site keys such as `dec.*`; other sites are neither repaired nor reported.
        seed: of the random state every forward pass starts from, and of the intervals' resampling.
        progress: called with (forward passes done, forward passes in all).

    Returns:
        A `Diagnosis`, its sites ranked by effect.

    Raises:
        InputError: if inputs are empty, not finite, too small or of an unknown kind, or `sites` matches nothing.
        ModelError: if the model fails on an input, or its output is no image.
        CaptureError: if the model has no upsampling site, or an activation or output holds NaN or Inf.

    >>> _ = torch.manual_seed(0)
    >>> model = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3, padding=1), torch.nn.PixelShuffle(2))
    >>> diagnosis = diagnose(model, torch.full((1, 1, 128, 128), 0.5), data_range=1.0)
    >>> diagnosis.offenders[0].site.key
    '1/pixel_shuffle#0'
    """
    calls = as_calls(inputs)
    if data_range is not None and not (math.isfinite(data_range) and data_range > 0):
        raise InputError(f"data_range must be a positive number, got {data_range!r}")
    with Runner(unwrap(model), output, seed) as runner:
        captured, outputs = _capture(runner, calls)
        chosen = _select(captured, sites)
        scale = data_range or max(map(spread, outputs)) or 1.0
        period = _measurable_period(captured, outputs)
        before = pool([measure_severity(image, period, scale) for image in outputs])
        effects = _effects(runner, calls, [c.site for c in chosen], before, period, scale, seed, progress)
        ranked = sorted(range(len(chosen)), key=lambda i: -effects[i].value)
        examples = _examples(runner, calls, outputs, chosen[ranked[0]].site, scale)
    grid, steps = before.together()
    found = tuple(
        SiteDiagnosis(
            chosen[i].site,
            chosen[i].evidence,
            effects[i],
            judge(chosen[i].evidence, effects[i], grid + steps),
            rank,
        )
        for rank, i in enumerate(ranked, start=1)
    )
    measured = {
        "severity": grid + steps,
        "lattice_amplitude": max(0.0, grid) ** 0.5 * VISIBLE_GRID,
        "edge_jaggedness": steps**0.5 * VISIBLE_STEPS,
        "axis_excess": _mean(axis_excess, outputs, scale),
        "checkerboard_energy": _mean(partial(checkerboard_energy, period=period), outputs, scale),
    }
    return Diagnosis(
        sites=found,
        verdict=sentence(found, measured, period) + _note_on_inputs(calls, outputs, period),
        output=measured,
        config={
            "inputs": len(calls),
            "output": output,
            "data_range": scale,
            "sites": sites,
            "seed": seed,
            "period": list(period),
            "confidence": CONFIDENCE,
        },
        examples=examples,
    )


def _capture(runner: Runner, calls: list[Call]) -> tuple[list[CapturedSite], list[Tensor]]:
    """One plain pass per input: the sites with their evidence, and the outputs."""
    found = Capture()
    outputs = []
    for call in calls:
        with watch(runner.model, found.visit):
            image = runner.run(call)
        found.finish(image)
        outputs.append(image.cpu())
    return found.sites, outputs


def _select(captured: list[CapturedSite], pattern: str) -> list[CapturedSite]:
    chosen = [c for c in captured if fnmatch(c.site.key, pattern) or fnmatch(c.site.name, pattern)]
    if not chosen:
        keys = ", ".join(c.site.key for c in captured)
        raise InputError(f"no site matches {pattern!r}; the model has {keys}")
    return chosen


def _effects(
    runner: Runner,
    calls: list[Call],
    sites: list[Site],
    before: Severity,
    period: tuple[int, int],
    scale: float,
    seed: int,
    progress: Progress | None,
) -> list[Effect]:
    """Each site's effect on the output."""
    effects = []
    for done, site in enumerate(sites):
        after = []
        for index, call in enumerate(calls):
            after.append(measure_severity(repaired_output(runner, call, site), period, scale))
            if progress:
                progress(done * len(calls) + index + 1, len(sites) * len(calls))
        effects.append(_effect(before, pool(after), seed))
    return effects


def repaired_output(runner: Runner, call: Call, site: Site) -> Tensor:
    """The model's output on one input with one site repaired, all else as it is."""

    def visit(visited: Visit) -> Tensor | None:
        return repair(visited.growth) if visited.key == (site.name, site.op, site.call) else None

    with watch(runner.model, visit):
        return runner.run(call)


def _effect(before: Severity, after: Severity, seed: int) -> Effect:
    """The drop in severity, with a percentile bootstrap interval (Efron 1979) where there are crops to resample."""
    crops = before.grid.numel()
    everything = torch.ones(1, crops)
    if crops > 1:
        generator = torch.Generator().manual_seed(seed)
        picks = torch.randint(crops, (RESAMPLES, crops), generator=generator)
        resampled = torch.zeros(RESAMPLES, crops).scatter_add_(1, picks, torch.ones(picks.shape))
        everything = torch.cat([everything, resampled])
    (grid, steps), (grid_left, steps_left) = (severity.of(everything) for severity in (before, after))
    drop = (grid - grid_left) + (steps - steps_left)
    value, total = float(drop[0]), float(grid[0] + steps[0])
    low = high = None
    if crops > 1:
        tail = (1 - CONFIDENCE) / 2
        low, high = torch.quantile(drop[1:], drop.new_tensor([tail, 1 - tail])).tolist()
    by_grid = abs(float(grid[0] - grid_left[0])) >= abs(float(steps[0] - steps_left[0]))
    return Effect(value, low, high, value / total if total > 0 else None, "checkerboard" if by_grid else "stair-step")


def _examples(
    runner: Runner, calls: list[Call], outputs: list[Tensor], site: Site, scale: float
) -> tuple[Example, ...]:
    """The first inputs with their outputs, and where repairing `site` changes them."""
    examples = []
    for call, image in zip(calls[:EXAMPLES], outputs, strict=False):
        change = (image - repaired_output(runner, call, site).cpu()).abs().mean(1) / scale
        source = first_image((call.args, call.kwargs))
        examples.append(Example(None if source is None else source[0].cpu(), image[0].cpu(), change[0].cpu()))
    return tuple(examples)


def _measurable_period(captured: list[CapturedSite], outputs: list[Tensor]) -> tuple[int, int]:
    """The lattice the outputs are measured at; an output too small for any of the sites' cannot be called clean."""
    size = [min(image.shape[axis] for image in outputs) for axis in (2, 3)]
    periods = [c.site.period for c in captured]
    joint = joint_period(periods, size)
    wanted = [max(period) for period in map(lattice_period, periods) if max(period) > 1]
    if wanted and joint == (1, 1):
        raise CaptureError(
            f"the output is {size[0]}x{size[1]} pixels, too small to measure a grid of period {min(wanted)};"
            f" give inputs that make it at least {smallest_side(min(wanted))} pixels a side"
        )
    return joint


def _note_on_inputs(calls: list[Call], outputs: list[Tensor], period: tuple[int, int]) -> str:
    """A warning where a model of the input's size was fed a grid, which no repair can tell from the model's own."""
    fed = [first_image((call.args, call.kwargs)) for call in calls]
    same = [i for i, o in zip(fed, outputs, strict=True) if i is not None and i.shape[2:] == o.shape[2:]]
    if not same:
        return ""
    grid = pool([measure_severity(image, period, spread(image) or 1.0) for image in same]).grid
    error = grid.std(correction=0) / grid.numel() ** 0.5
    if grid.numel() == 1 or grid.mean() < max(VISIBLE, 3 * float(error)):
        return ""
    return " But the inputs carry a grid of their own, and what passes it on is blamed for it."


def _mean(metric: Callable[..., Tensor], outputs: list[Tensor], scale: float) -> float:
    """A metric of the outputs, averaged over inputs."""
    return float(torch.stack([metric(image.float(), data_range=scale) for image in outputs]).mean())
