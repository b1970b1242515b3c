"""Which layer causes it: capture -> evidence -> repair -> effect -> verdict."""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from artifactlab.attribution.artifact_words import IMAGE
from artifactlab.attribution.diagnosis import Diagnosis
from artifactlab.attribution.examples import kept_examples
from artifactlab.attribution.findings.causes import artifact_origin, coarse_causes
from artifactlab.attribution.input_range import input_doubt
from artifactlab.attribution.investigation import Investigation
from artifactlab.attribution.measures import severity_measures, severity_of_halves
from artifactlab.attribution.records import DiagnoseSettings
from artifactlab.attribution.repair.effects import CONFIDENCE
from artifactlab.attribution.repair.trials import Trials
from artifactlab.attribution.screening import Examination, passes_wanted
from artifactlab.attribution.sites.records import Site
from artifactlab.attribution.survey import Survey, measurable_period
from artifactlab.attribution.until_sure import Deadline, enforced, extend, first_and_more
from artifactlab.attribution.untrained import untrained_note
from artifactlab.attribution.verdict_text import verdict_text
from artifactlab.errors import InputError, ModelError
from artifactlab.models.arguments import check_arguments
from artifactlab.models.calls import Call, as_calls
from artifactlab.models.layout import Layout
from artifactlab.models.outputs import SHAPES, Judged, tensors
from artifactlab.models.runner import Runner
from artifactlab.models.wrappers import unwrap
from artifactlab.scoring.data_range import DataRange, data_range_of

Inputs = Tensor | Sequence[Any] | Mapping[str, Any] | Iterator[Any]
Progress = Callable[[int, int], None]


def diagnose(
    model: nn.Module,
    inputs: Inputs,
    *,
    output: str | int | None = None,
    data_range: float | None = None,
    layout: str | None = None,
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
        model: any `nn.Module` whose output holds images (N, C, H, W), maps (N, H, W), volumes or video
            (N, C, D, H, W), or signals (N, C, L): real ones, or integers that are labels, masks or 8-bit pixels.
        inputs: a tensor (one call); a list of tensors, whose sizes may differ (one call each); a tuple or a dict (the
            positional or keyword arguments of one call); or a list of tuples or dicts. A DataLoader has one input in
            each batch: of `[x, y]` the first, of a dict all, by name. With `until_sure` also an iterator, as of random
            latents, that may have no end.
        output: key, attribute, index or path (`aux[0]["mask"]`) of the output to judge; default is the largest
            image-like tensor. Labels are judged as the masks of their most frequent classes.
        data_range: distance between the output's darkest and brightest value. By default that of pixels, where values
            run as those of pictures do, from 0 to 1, -1 to 1 or 0 to 255; else the output's own spread.
        layout: what the axes of the output are, a letter each, such as `NTCHW` for video (see
            `artifactlab.models.layout.Layout`); told by how it is made, or by its shape, by default.
        sites: glob over site keys such as `dec.*`; other sites are neither repaired nor reported.
        fast: estimate all effects from one backward pass, see `artifactlab.attribution.repair.first_order`, instead of
            a forward pass per site; coarser, above all for stair-steps, and without joint repair and artifact maps.
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
        InputError: if inputs are empty, not finite, too small or of an unknown kind, `sites` matches nothing, or there
            is no such `layout`.
        ModelError: if the model fails on an input, or its output is nothing that can be judged.
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
    check_arguments(model, passes)
    _check_data_range(data_range)
    with Runner(unwrap(model), output, seed, Layout(layout) if layout else None) as runner:
        survey = Survey(runner, calls)
        outputs = [survey.add(call) for call in passes]
        chosen = survey.select(sites)
        count = _counter(progress, len(passes) * passes_wanted(chosen, fast, verify_all))
        judged = runner.judged
        _refuse_vector(judged, chosen, layout)
        values = data_range_of(outputs, data_range, judged.values.data_range)
        trials = _trials(runner, survey, passes, outputs, values, count)
        origin = artifact_origin(trials)
        acquitted = origin is not None and origin.explains
        by_estimates = fast and not acquitted
        examination = Examination(trials, chosen, survey.evidence, seed, verify_all, accuse=not acquitted)
        examine = examination.estimated if fast else examination.verified
        investigation = Investigation(survey, trials, chosen, examine, by_estimates)
        causes = coarse_causes(trials, survey.sites, [] if fast else survey.features, survey.unseen)
        ending = ""
        if deadline:
            with enforced(deadline, runner):
                ending = extend(
                    *(deadline, more, len(passes)),
                    is_sure=lambda: acquitted or investigation.judgement.is_sure,
                    add=investigation.add,
                )
    judgement = investigation.judgement
    examined = judgement.examined
    names = runner.layout.names if runner.layout else IMAGE
    brought = origin.findings(names) if origin else ()
    text = verdict_text(
        judgement.sites,
        None if by_estimates else examined.joint,
        causes if acquitted else brought + causes,
        judgement.measures,
        trials.period,
        judgement.severity.content_wanted,
        brought=brought[0].text if acquitted else "",
        unseen=survey.unseen,
        names=names,
    )
    remarks = examined.note + untrained_note(runner.model) + ending + judged.text + values.text
    return Diagnosis(
        sites=judgement.sites,
        verdict=f"{values.doubt or input_doubt(passes, outputs)}{text}{remarks}",
        finding=text.finding,
        output=judgement.measures,
        config=DiagnoseSettings(
            inputs=len(judgement.calls),
            inputs_sha256=_digest(judgement.calls),
            crops=judgement.severity.crops,
            output=output,
            data_range=trials.data_range,
            sites=sites,
            fast=fast,
            calls=calls,
            verify_all=verify_all,
            until_sure=until_sure,
            seed=seed,
            period=trials.period,
            confidence=CONFIDENCE,
            layout=judged.layout.axes,
            judged=judged.path,
            range_from=values.source,
        ),
        joint=examined.joint,
        findings=brought + causes,
        per_input=tuple(severity_measures(severity) for severity in judgement.severities),
        half_samples=severity_of_halves(judgement.severity, seed),
        examples=kept_examples(
            judgement.calls, judgement.outputs, chosen, examined.alone, survey.activations, runner.layout
        ),
    )


def _check_data_range(data_range: float | None) -> None:
    if data_range is not None and not (math.isfinite(data_range) and data_range > 0):
        raise InputError(f"data_range must be a positive number, got {data_range!r}")


def _refuse_vector(judged: Judged, sites: Sequence[Site], layout: str | None) -> None:
    """Two axes may be a batch of signals; behind layers that enlarge images they are scores, or flattened."""
    if judged.layout.axes == "NL" and layout is None and all(len(site.scale) > 1 for site in sites):
        raise ModelError(
            f"the model's output is no image: {judged.path} is {judged.shape}, a vector, and {sites[0].key} enlarges"
            f" images; expected a real {SHAPES} tensor; name the right one with output=/--output"
        )


def _trials(
    runner: Runner,
    survey: Survey,
    calls: Sequence[Call],
    outputs: Sequence[Tensor],
    values: DataRange,
    on_pass: Callable[[], None],
) -> Trials:
    """The passes with sites repaired, measured at a lattice and a data range that hold for all outputs."""
    period = measurable_period(survey.sites, outputs, survey.unseen)
    trials = Trials(runner, period, values.size, on_pass)
    for call, image in zip(calls, outputs, strict=True):
        trials.add(call, image)
    return trials


def _counter(progress: Progress | None, passes: int) -> Callable[[], None]:
    """Reports each forward pass done; those of the joint repair, whose number nobody knows before, are not counted."""
    numbers = itertools.count(1)

    def count() -> None:
        done = next(numbers)
        if progress and done <= passes:
            progress(done, passes)

    return count


def _digest(calls: Sequence[Call]) -> str:
    """SHA-256 of the bytes and shapes of all tensors in the inputs."""
    digest = hashlib.sha256()
    for call in calls:
        for place, tensor in tensors((call.args, call.kwargs)):
            digest.update(f"{place} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
