"""Which layer causes it: capture -> evidence -> repair -> effect -> verdict."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from fnmatch import fnmatch
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from artifactlab.capture import unwrap
from artifactlab.effects import CONFIDENCE, half_samples
from artifactlab.errors import CaptureError, InputError
from artifactlab.evidence import lattice_period, spread
from artifactlab.examples import kept_examples
from artifactlab.findings import brought_along, coarse_causes
from artifactlab.metrics import axis_excess, checkerboard_energy
from artifactlab.metrics.visible import VISIBLE_STEPS
from artifactlab.outputs import tensors
from artifactlab.records import (
    CapturedSite,
    Diagnosis,
    Evidence,
    Site,
    SiteDiagnosis,
)
from artifactlab.runner import Call, Runner, as_calls
from artifactlab.screening import Examination, Examined, passes_wanted
from artifactlab.severity import (
    Severity,
    joint_period,
    smallest_side,
)
from artifactlab.survey import Survey
from artifactlab.trials import Trials
from artifactlab.until_sure import Deadline, extend, first_and_more, is_sure, kept_to
from artifactlab.verdicts import adds_enough, judge, sentence

HALF_SAMPLES = 200
"""that a diagnosis carries, so that it can be compared with another on the same inputs"""
Inputs = Tensor | Sequence[Any] | Mapping[str, Any] | Iterator[Any]
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
    verify_all: bool = False,
    until_sure: float | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Diagnosis:
    """Find the upsampling sites of `model` that put grids or stair-steps into its output.

    Sites are repaired alone, in real forward passes, and the drop in the output's severity is a site's effect. Of more
    than 8, one backward pass tells which could matter, and the others' effects are estimates, see `SiteDiagnosis`.
    Evidence at the site itself is reported beside it, but accuses nobody. The model runs in eval mode without
    gradients and comes back exactly as it was: parameters, buffers, train flags, hooks, random state.

    Args:
        model: any `nn.Module` whose output holds an image-like (N, C, H, W) tensor.
        inputs: a tensor (one call); a list of tensors, whose sizes may differ (one call each); a tuple or a dict (the
            positional or keyword arguments of one call); or a list of tuples or dicts. With `until_sure` also an
            iterator, as of random latents, that may have no end.
        output: key, attribute or index of the output to judge; default is the largest image-like tensor.
        data_range: distance between the output's darkest and brightest value; default is its own spread.
        sites: glob over site keys such as `dec.*`; other sites are neither repaired nor reported.
        fast: estimate all effects from one backward pass, see `artifactlab.fast`, instead of a forward pass per site;
            coarser, above all for stair-steps, and without joint repair and artifact maps.
        calls: judge every call of a layer by itself. By default all calls of a module, or of a line of code, are
            repaired together: a sampler, an ensemble or tiles run the same layer many times.
        verify_all: repair every site, however many there are.
        until_sure: seconds in which more of the inputs are drawn, until somebody is surely guilty, or surely nobody.
            The first input is diagnosed in any case, and misregistered features and seams are looked for in it alone;
            after it no forward pass begins when the time is over. Independent inputs tell most.
        seed: of the random state every forward pass starts from, and of the intervals' half-samples.
        progress: called with (passes done to find effects, such passes in all, as far as is known).

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
    deadline = None if until_sure is None else Deadline(until_sure)
    first, more = (inputs, iter(())) if deadline is None else first_and_more(inputs)
    passes = as_calls(first)
    if data_range is not None and not (math.isfinite(data_range) and data_range > 0):
        raise InputError(f"data_range must be a positive number, got {data_range!r}")
    with Runner(unwrap(model), output, seed) as runner:
        survey = Survey(runner, calls)
        outputs = [survey.add(call) for call in passes]
        captured = survey.sites
        chosen = [c.site for c in _select(captured, sites)]
        scale = data_range or max(map(spread, outputs)) or 1.0
        period = _measurable_period(captured, outputs)
        trials = Trials(
            runner, period, scale, _counter(progress, len(passes) * passes_wanted(chosen, fast, verify_all))
        )
        for call, image in zip(passes, outputs, strict=True):
            trials.add(call, image)
        origin = brought_along(runner, passes, outputs, trials.parts, period, scale)
        acquitted = origin is not None and origin.explains
        evidence = {c.site: c.evidence for c in captured}
        examination = Examination(trials, chosen, evidence, seed, verify_all, accuse=not acquitted)
        examine = examination.estimated if fast else examination.verified
        judged = _Judged(trials, survey, chosen, examine(), fast and not acquitted)
        merged = [] if fast else survey.features
        findings = coarse_causes(runner, passes, outputs, captured, trials.before, period, scale, merged)
        drawn = ""
        if deadline:

            def add(batch: list[Any]) -> None:
                nonlocal judged
                for call in as_calls(batch):
                    trials.add(call, survey.add(call))
                judged = _Judged(trials, survey, chosen, examine(), fast and not acquitted)

            with kept_to(deadline, runner):
                drawn = extend(deadline, more, len(passes), lambda: acquitted or judged.sure, add)
    passes, outputs, examined = judged.calls, judged.outputs, judged.examined
    brought = origin.findings() if origin else ()
    steps = None if fast and not acquitted else examined.joint
    told = findings if acquitted else brought + findings
    return Diagnosis(
        sites=judged.sites,
        verdict=sentence(
            *(judged.sites, steps, told, judged.measured, period, judged.before.content_wanted),
            brought=brought[0].text if acquitted else "",
        )
        + examined.note
        + drawn,
        output=judged.measured,
        config={
            "inputs": len(passes),
            "inputs_sha256": _digest(passes),
            "crops": judged.before.crops,
            "output": output,
            "data_range": scale,
            "sites": sites,
            "fast": fast,
            "calls": calls,
            "verify_all": verify_all,
            "until_sure": until_sure,
            "seed": seed,
            "period": list(period),
            "confidence": CONFIDENCE,
        },
        joint=examined.joint,
        findings=brought + findings,
        per_input=tuple(_shown(part) for part in judged.parts),
        half_samples=_of_halves(judged.before, seed),
        examples=kept_examples(passes, outputs, chosen, examined.alone, survey.activations),
    )


class _Judged:
    """What is known after so many inputs; more may be added to the trials, and it stays what it is."""

    def __init__(self, trials: Trials, survey: Survey, sites: list[Site], examined: Examined, fast: bool) -> None:
        self.calls, self.outputs, self.parts = list(trials.calls), list(trials.outputs), list(trials.parts)
        self.before = trials.before
        self.examined = examined
        self.measured = _measured(self.before, self.outputs, trials.period, trials.data_range)
        evidence = {c.site.key: c.evidence for c in survey.sites}
        self.sites = _judged(sites, evidence, examined, self.measured["severity"], fast)

    @property
    def sure(self) -> bool:
        """Whether more inputs would not change the verdict."""
        return is_sure(self.sites, self.measured["severity"], self.before.content_wanted)


def _judged(
    sites: list[Site], evidence: dict[str, Evidence], examined: Examined, severity: float, fast: bool
) -> tuple[SiteDiagnosis, ...]:
    """The sites by rank; offenders are those repaired together, or, without joint repair, each that helps enough."""
    effects = examined.effects
    guilty = {step.key for step in examined.joint}
    if fast:
        guilty = {site.key for site in sites if adds_enough(effects[site], severity, severity)}
    guilty -= {site.key for site in sites if site.opaque}
    found = []
    for rank, site in enumerate(sorted(sites, key=lambda site: -effects[site].value), start=1):
        shown, repaired = evidence[site.key], site in examined.alone
        verdict = judge(site, shown, effects[site], severity, site.key in guilty, not (repaired or fast))
        found.append(SiteDiagnosis(site, shown, effects[site], verdict, rank, sites.index(site) + 1, repaired))
    return tuple(found)


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
        "lattice_amplitude": severity.amplitude,
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
