"""Which layer causes it: capture -> evidence -> repair -> effect -> verdict."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from fnmatch import fnmatch
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from artifactlab.capture import Capture, Visit, unwrap, watch
from artifactlab.effects import CONFIDENCE, effect_of, half_samples
from artifactlab.errors import CaptureError, InputError, ModelError
from artifactlab.evidence import lattice_period, spread
from artifactlab.examples import EXAMPLES, Activations, kept_examples
from artifactlab.fast import first_order_effects
from artifactlab.findings import brought_along, coarse_causes
from artifactlab.metrics import axis_excess, checkerboard_energy
from artifactlab.metrics.visible import VISIBLE_GRID, VISIBLE_STEPS
from artifactlab.outputs import pick_output, tensors
from artifactlab.records import (
    CapturedSite,
    Diagnosis,
    Effect,
    Evidence,
    JointStep,
    Site,
    SiteDiagnosis,
)
from artifactlab.registration import Features
from artifactlab.runner import Call, Runner, as_calls
from artifactlab.severity import (
    Severity,
    joint_period,
    measure_severity,
    pool,
    smallest_side,
)
from artifactlab.trials import Trial, Trials, repair_together
from artifactlab.verdicts import adds_enough, judge, sentence
from artifactlab.wiring import Wiring

MOST_TURNED = 2
"""inputs on which the registration of merges is measured, at a forward pass each"""
HALF_SAMPLES = 200
"""that a diagnosis carries, so that it can be compared with another on the same inputs"""
Inputs = Tensor | Sequence[Any] | Mapping[str, Any]
Progress = Callable[[int, int], None]


def diagnose(
    model: nn.Module,
    inputs: Inputs,
    *,
    output: str | int | None = None,
    data_range: float | None = None,
    sites: str = "*",
    fast: bool = False,
    calls: bool = False,
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
        fast: estimate all effects from one backward pass, see `artifactlab.fast`, instead of a forward pass per site;
            coarser, above all for stair-steps, and without joint repair and artifact maps.
        calls: judge every call of a layer by itself. By default all calls of a module, or of a line of code, are
            repaired together: a sampler, an ensemble or tiles run the same layer many times.
        seed: of the random state every forward pass starts from, and of the intervals' half-samples.
        progress: called with (passes with a site repaired, such passes in all); one per input where `fast`.

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
    passes = as_calls(inputs)
    if data_range is not None and not (math.isfinite(data_range) and data_range > 0):
        raise InputError(f"data_range must be a positive number, got {data_range!r}")
    with Runner(unwrap(model), output, seed) as runner:
        captured, outputs, features, activations = _survey(runner, passes, calls)
        chosen = [c.site for c in _select(captured, sites)]
        scale = data_range or max(map(spread, outputs)) or 1.0
        period = _measurable_period(captured, outputs)
        parts = [measure_severity(image, period, scale) for image in outputs]
        before = pool(parts)
        origin = brought_along(runner, passes, outputs, parts, period, scale)
        acquitted = origin is not None and origin.explains
        alone: list[Trial] = []
        joint: tuple[JointStep, ...] = ()
        passed = _counter(progress, len(passes) * (1 if fast else len(chosen)))
        if fast:
            effects = first_order_effects(runner, passes, chosen, before, period, scale, seed, passed)
        else:
            trials = Trials(runner, passes, outputs, before, period, scale, passed)
            alone = [trials.repaired([site]) for site in chosen]
            effects = [effect_of(before, trial.severity, seed) for trial in alone]
            joint = () if acquitted else repair_together(trials, chosen, alone, effects, seed)
        merged = [] if fast else features
        findings = coarse_causes(runner, passes, outputs, captured, before, period, scale, merged)
        measured = _measured(before, outputs, period, scale)
    evidence = {c.site: c.evidence for c in captured}
    brought = origin.findings() if origin else ()
    steps = None if fast and not acquitted else joint
    found = _judged(chosen, evidence, effects, measured["severity"], steps)
    return Diagnosis(
        sites=found,
        verdict=sentence(
            *(found, steps, findings if acquitted else brought + findings, measured, period, before.content_wanted),
            brought=brought[0].text if acquitted else "",
        ),
        output=measured,
        config={
            "inputs": len(passes),
            "inputs_sha256": _digest(passes),
            "crops": before.crops,
            "output": output,
            "data_range": scale,
            "sites": sites,
            "fast": fast,
            "calls": calls,
            "seed": seed,
            "period": list(period),
            "confidence": CONFIDENCE,
        },
        joint=joint,
        findings=brought + findings,
        per_input=tuple(_shown(part) for part in parts),
        half_samples=_of_halves(before, seed),
        examples=kept_examples(passes, outputs, chosen, alone, activations),
    )


def _survey(
    runner: Runner, calls: list[Call], one_by_one: bool
) -> tuple[list[CapturedSite], list[Tensor], list[Features], list[Activations]]:
    """One plain pass per input: sites with their evidence and outputs; of the first, what meets and what is shown."""
    found = Capture()
    outputs = []
    features = [Features() for _ in calls[:MOST_TURNED]]
    activations = [Activations() for _ in calls[:EXAMPLES]]
    for number, call in enumerate(calls):
        visitors = [found.visit, *(shown.look for shown in activations[number : number + 1])]
        merged = features[number].look if number < len(features) else None
        with watch(runner.model, partial(_show_to, visitors), partial(_finish, found, runner.output), merged):
            image = runner.run(call)
        outputs.append(image.cpu())
    return found.sites if one_by_one else found.layers, outputs, features, activations


def _finish(found: Capture, output: str | int | None, result: Any, wiring: Wiring) -> None:
    """Note where the output that is judged came from; where there is none, the runner says so."""
    with suppress(ModelError):
        found.finish(pick_output(result, output), wiring)


def _show_to(visitors: Sequence[Callable[[Visit], None]], visited: Visit) -> None:
    for visitor in visitors:
        visitor(visited)


def _judged(
    sites: list[Site],
    evidence: dict[Site, Evidence],
    effects: list[Effect],
    severity: float,
    joint: tuple[JointStep, ...] | None,
) -> tuple[SiteDiagnosis, ...]:
    """The sites by rank; offenders are those repaired together, or, without joint repair, each that helps enough."""
    guilty = {step.key for step in joint or ()}
    if joint is None:
        pairs = zip(sites, effects, strict=True)
        guilty = {site.key for site, effect in pairs if adds_enough(effect, severity, severity)}
    guilty -= {site.key for site in sites if site.opaque}
    order = {site: number for number, site in enumerate(sites, start=1)}
    ranked = sorted(zip(sites, effects, strict=True), key=lambda pair: -pair[1].value)
    verdicts = {site: judge(site, evidence[site], effect, severity, site.key in guilty) for site, effect in ranked}
    return tuple(
        SiteDiagnosis(site, evidence[site], effect, verdicts[site], rank, order[site])
        for rank, (site, effect) in enumerate(ranked, start=1)
    )


def _measured(before: Severity, outputs: list[Tensor], period: tuple[int, int], data_range: float) -> dict[str, float]:
    """What the outputs show."""
    return {
        **_shown(before),
        "axis_excess": _mean(axis_excess, outputs, data_range),
        "checkerboard_energy": _mean(partial(checkerboard_energy, period=period), outputs, data_range),
    }


def _shown(severity: Severity) -> dict[str, float]:
    """Severity in the units of what it is made of."""
    grid, steps = (max(0.0, part) for part in severity.together())
    return {
        "severity": grid + steps,
        "lattice_amplitude": grid**0.5 * VISIBLE_GRID,
        "edge_jaggedness": steps**0.5 * VISIBLE_STEPS,
    }


def _of_halves(severity: Severity, seed: int) -> dict[str, tuple[float, ...]]:
    """What random halves of the crops show, short enough for the JSON."""
    shown = severity.of(half_samples(severity.crops, seed, HALF_SAMPLES)[1:])
    return {
        name: tuple(float(f"{value:.6g}") for value in part.tolist())
        for name, part in (("grid", shown.grid), ("steps", shown.steps))
    }


def _digest(calls: list[Call]) -> str:
    """SHA-256 of the bytes and shapes of all tensors in the inputs."""
    digest = hashlib.sha256()
    for call in calls:
        for place, tensor in tensors((call.args, call.kwargs)):
            digest.update(f"{place} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _select(captured: list[CapturedSite], pattern: str) -> list[CapturedSite]:
    chosen = [c for c in captured if fnmatch(c.site.key, pattern) or fnmatch(c.site.name, pattern)]
    if not chosen:
        keys = ", ".join(c.site.key for c in captured)
        raise InputError(f"no site matches {pattern!r}; the model has {keys}")
    return chosen


def _counter(progress: Progress | None, passes: int) -> Callable[[], None]:
    """Reports each forward pass done; those of the joint repair, whose number nobody knows before, are not counted."""
    done = 0

    def count() -> None:
        nonlocal done
        done += 1
        if progress and done <= passes:
            progress(done, passes)

    return count


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


def _mean(metric: Callable[..., Tensor], outputs: list[Tensor], scale: float) -> float:
    """A metric of the outputs, averaged over inputs."""
    return float(torch.stack([metric(image.float(), data_range=scale) for image in outputs]).mean())
