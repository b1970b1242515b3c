"""The whole fix: diagnose -> replace -> train -> diagnose again -> check."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from torch import nn

from artifactlab.attribution.diagnose import diagnose
from artifactlab.attribution.diagnosis import Diagnosis
from artifactlab.attribution.sites.records import Site
from artifactlab.errors import FixError, InputError
from artifactlab.fix.distil import Distilled, distil
from artifactlab.fix.flat_phases import flat_phases_kept
from artifactlab.fix.graph_calls import with_calls
from artifactlab.fix.hold_out import are_same, hold_out
from artifactlab.fix.next_step import NextStep, next_step
from artifactlab.fix.options import JudgingOptions, TrainingOptions, refuse_unknown, with_fields
from artifactlab.fix.post_filter import PostFilter, post_filter
from artifactlab.fix.replace_sites import replace_sites
from artifactlab.fix.replacement import Replacement
from artifactlab.fix.start_kept import with_start_kept
from artifactlab.fix.swap import Swap
from artifactlab.fix.synthetic_inputs import SECONDS as SYNTHETIC_SECONDS
from artifactlab.fix.synthetic_inputs import STEPS as SYNTHETIC_STEPS
from artifactlab.fix.synthetic_inputs import synthetic_inputs
from artifactlab.fix.training import Progress, Report, copied
from artifactlab.fix.verify import FixCheck, check_fix
from artifactlab.fix.whitening import NoGradients
from artifactlab.lint.model_copy import full_copy
from artifactlab.models.calls import Call, as_calls
from artifactlab.models.random_state import random_states_kept
from artifactlab.models.wrappers import unwrap

Stage = Callable[[str], Callable[[int, int], None] | None]
"""Told the name of a stage as it begins; returns what is to be called with (done, total) while it runs, or None."""
WARNINGS = {
    "compensated": "{site} is compensated: later layers cancel what it draws, and replacing it undoes that.",
    "harmless": "{site} is harmless: what it draws does not reach the output.",
    "clean": "{site} is clean: it draws nothing.",
}
"""What a site's verdict says against replacing it."""
NOTHING_LIKE_IT = (
    "Left as it starts: --distil says what to train on, as nothing synthetic is like an input that is no single image"
    " of one or three channels."
)
"""Why nothing was trained where nobody said what on."""
START_IS_BETTER = "Left as it starts, which cures: trained on synthetic images it did not."
"""What is said where a training was undone."""
TRAIN_NEIGHBOURS = ("weights", "icnr")
"""Modes with which the neighbours are trained as well unless told otherwise: a layer that keeps its kernel can do less
than a new one, so that those around it have to take over what it no longer does."""


@dataclass(frozen=True)
class Fix:
    """The result of `fix_site`."""

    model: nn.Module
    """A copy of the model, fixed."""
    swaps: tuple[Swap, ...]
    """What was replaced by what, in the order it was done; nothing where the output is filtered instead."""
    distilled: Distilled | None
    """How the new layers were trained, and what on; None where they were not."""
    before: Diagnosis
    """The diagnosis of the old model."""
    after: Diagnosis
    """The diagnosis of the fixed model."""
    check: FixCheck
    """Whether the fix worked, and by how much."""
    warnings: tuple[str, ...]
    """What the first diagnosis says against this fix, and what could not be swapped or trained, in sentences."""
    judged_on: tuple[Call, ...] = field(default=(), repr=False)
    """What it was judged on: the inputs, or those of them that were kept from the training."""
    note: str = ""
    """In a sentence, what was kept from the training, where the inputs are what it was to be trained on."""
    next_step: NextStep | None = None
    """What to try next; None where it worked, there was nothing to fix or train, or the output is filtered."""
    post: PostFilter | None = None
    """The filter behind the output; None where there is none."""

    @property
    def replacements(self) -> list[Replacement]:
        """What was replaced, as `save_fixed` takes it; a layer that has other weights alone needs no entry."""
        return [swap.replacement for swap in self.swaps if not swap.replacement.is_refit]

    @property
    def changes(self) -> list[Replacement | PostFilter]:
        """All that `save_fixed` has to know of: what was replaced, or the filter."""
        return [*self.replacements, *([self.post] if self.post else [])]


def without_progress(name: str) -> None:
    """The stage of a fix whose progress nobody is told."""


def fix_site(
    model: nn.Module,
    inputs: Any,
    site: str | Sequence[str] | None = None,
    mode: str = "interpolate_conv",
    *,
    post: bool = False,
    distil_on: Any = None,
    options: dict[str, Any] | None = None,
    training: TrainingOptions | None = None,
    judging: JudgingOptions | None = None,
    stage: Stage = without_progress,
    report: Report | None = None,
    **fields: Any,
) -> Fix:
    """Replace the upsamplers of a copy of `model` that draw artifacts, train them together, and check what came of it.

    Without names it is the fewest sites that cure: those that `Diagnosis.joint` repairs on top of each other until
    nothing shows. One that is no module which can be swapped stops none of the others.

    Args:
        model: any `nn.Module`; it stays as it is.
        inputs: as for `diagnose`; what the fix is judged on, best not what it is trained on.
        site: key or module name, or several; without it, all offenders that it takes.
        mode: what to replace it by, or how to change its weights, see `replace_upsampler`.
        post: whether no layer is changed and the output goes through a small filter instead, see `post_filter`: the
            last resort, with which mode and options play no part. It is made of what layers are trained on.
        distil_on: inputs to train the new layers on, see `distil`; if these are the very `inputs`, some of them are
            kept to judge on, see `judged_on`. Without any it is synthetic images, and 60 steps or seconds at most,
            where the model takes images; `steps=0` leaves the layers as they start.
        options: further keyword arguments of the mode's class.
        training: how to train it, see `TrainingOptions`.
        judging: which output to judge, see `JudgingOptions`.
        stage: for progress, see `Stage`.
        report: told where the training stands after each round, see `Evaluation`.
        fields: fields of either record by name, such as `steps=100` or `data_range=2.0`; the records are preferred, as
            type checkers see into them.

    Raises:
        InputError: if the inputs cannot be used, or no site or mode has that name.
        FixError: if no site is named and none is guilty, or none of the sites can be swapped.
        ModelError, CaptureError: as from `diagnose`.
        TypeError: if `fields` has a name that neither record has.

    >>> from artifactlab.demo.run import noisy_photo
    >>> from artifactlab.demo.unet import broken
    >>> fixed = fix_site(broken(), noisy_photo()[..., :128, :128], "dec.up2")
    >>> fixed.swaps[0].replacement.paths, fixed.check.energy_drop > 0.9
    (('dec.up2',), True)
    """
    refuse_unknown(fields, TrainingOptions, JudgingOptions)
    training = with_fields(training or TrainingOptions(), fields)
    judging = with_fields(judging or JudgingOptions(), fields)
    calls, note = as_calls(inputs), ""
    seen = calls
    taught = None if distil_on is None else calls if distil_on is inputs else as_calls(distil_on)
    if taught is not None and are_same(calls, taught):
        apart = hold_out(model, taught, judging)
        calls, taught, seen, note = apart.judged, apart.taught, apart.diagnosed, apart.note
    before = diagnosed(model, seen, judging, stage("diagnosing"))
    judging = replace(judging, data_range=before.config.data_range)  # one range, and one severity, from here on
    chosen = choose_sites(before, site)
    if taught is None:
        seconds = min(training.seconds, SYNTHETIC_SECONDS)
        training = replace(training, steps=min(training.steps, SYNTHETIC_STEPS), seconds=seconds)
        taught = synthetic_inputs(model, calls, judging.seed, judging.output) if post or training.steps else []
    fixed = full_copy(unwrap(model))
    if post:
        filtered, fixed = post_filter(fixed, chosen, taught or calls, judging)
        after = diagnosed(fixed, seen, judging, stage("diagnosing again"))
        check = check_fix(model, fixed, chosen, calls, judging=judging)
        warnings = tuple(_warnings(before, chosen, _staying(before, chosen) if site is not None else []))
        return Fix(fixed, (), None, before, after, check, warnings, tuple(calls), note, post=filtered)
    with random_states_kept(judging.seed):
        replaced = replace_sites(fixed, chosen, mode, options or {})
    swaps = replaced.swaps
    model = with_calls(model, [path for swap in swaps for path in swap.replacement.paths])
    training = by_mode(training, mode)
    distilled, untrained, can_be = None, [], True
    start = copied(dict(fixed.named_parameters()))
    if taught and training.steps:
        try:
            distilled = fit(fixed, model, swaps, taught, training, judging, stage("training"), report)
        except NoGradients as error:
            if distil_on is not None:
                raise
            untrained, can_be = [f"Left as it starts: {error}."], False
    elif training.steps:
        untrained = [NOTHING_LIKE_IT]

    def check_now() -> FixCheck:
        return check_fix(model, fixed, replaced.sites, calls, judging=judging)

    if distilled is None or distil_on is not None:
        check = check_now()
    else:
        check, is_start = with_start_kept(fixed, start, check_now)
        if is_start:
            distilled, untrained = None, [START_IS_BETTER]
    after = diagnosed(fixed, seen, judging, stage("diagnosing again"))
    staying = _staying(before, chosen) if site is not None else []
    return Fix(
        model=fixed,
        swaps=swaps,
        distilled=distilled,
        before=before,
        after=after,
        check=check,
        warnings=(
            *_warnings(before, replaced.sites, staying),
            *(f"Not swapped: {why}." for why in replaced.refused),
            *untrained,
        ),
        judged_on=tuple(calls),
        note=note,
        next_step=next_step(check, distilled if distil_on is not None else None, mode, training, staying)
        if can_be
        else None,
    )


def fit(
    fixed: nn.Module,
    model: nn.Module,
    swaps: Sequence[Swap],
    taught: Sequence[Call],
    training: TrainingOptions,
    judging: JudgingOptions,
    progress: Progress | None = None,
    report: Report | None = None,
) -> Distilled:
    """Train the replaced layers as `distil` does; those that keep their kernel stay without a grid on flat features."""
    with flat_phases_kept(fixed, swaps):
        return distil(
            fixed, model, swaps, list(taught), training=training, judging=judging, progress=progress, report=report
        )


def by_mode(training: TrainingOptions, mode: str) -> TrainingOptions:
    """With neighbours trained where nobody said whether they are and the mode needs it."""
    if training.neighbours is not None or mode not in TRAIN_NEIGHBOURS:
        return training
    return with_fields(training, {"neighbours": True})


def diagnosed(model: nn.Module, inputs: Any, judging: JudgingOptions, progress: Progress | None) -> Diagnosis:
    """The diagnosis of the output that is judged."""
    return diagnose(
        model,
        inputs,
        output=judging.output,
        data_range=judging.data_range,
        seed=judging.seed,
        progress=progress,
    )


def choose_sites(diagnosis: Diagnosis, wanted: str | Sequence[str] | None) -> list[Site]:
    """The sites of these keys or module names; where none is wanted, the fewest that cure.

    Raises:
        FixError: if there is no offender, or a name fits several sites.
        InputError: if it fits none.
    """
    if wanted is not None:
        names = [wanted] if isinstance(wanted, str) else wanted
        return list(dict.fromkeys(_site_named(diagnosis, name) for name in names))
    if not diagnosis.offenders:
        raise FixError(f"{diagnosis.heading} Name a site to replace it all the same")
    known = {found.site.key: found.site for found in diagnosis.sites}
    return [known[step.key] for step in diagnosis.joint] or [diagnosis.offenders[0].site]


def _site_named(diagnosis: Diagnosis, wanted: str) -> Site:
    """The site of a key, that of any of its calls included, or of a module's name."""
    sites = [diagnosed.site for diagnosed in diagnosis.sites]
    found = [site for site in sites if wanted in map(str, site.keys)] or [site for site in sites if site.name == wanted]
    found = found or [site for site in sites if site.name.startswith(f"{wanted}.")]
    if not found:
        raise InputError(f"no site {wanted!r}; the model has {', '.join(site.key for site in sites)}")
    if len(found) > 1:
        raise FixError(f"{wanted} holds {len(found)} sites; name one: {', '.join(site.key for site in found)}")
    return found[0]


def _staying(before: Diagnosis, chosen: Sequence[Site]) -> list[str]:
    """Keys of offenders that were not chosen."""
    return [found.site.key for found in before.offenders if found.site not in chosen]


def _warnings(before: Diagnosis, swapped: Sequence[Site], staying: Sequence[str]) -> list[str]:
    """What the first diagnosis says against replacing these sites, and only these."""
    found = [one for one in before.sites if one.site in swapped and one.verdict in WARNINGS]
    warnings = [WARNINGS[one.verdict].format(site=one.site.key) for one in found]
    if staying:
        warnings.append(f"Other offenders stay: {', '.join(staying)}; name them, too, or no site at all.")
    return warnings
