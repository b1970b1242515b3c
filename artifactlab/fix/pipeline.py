"""The whole fix: diagnose -> replace -> train -> diagnose again -> check."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn

from artifactlab.attribution.diagnose import diagnose
from artifactlab.attribution.diagnosis import Diagnosis
from artifactlab.attribution.sites.records import Site
from artifactlab.errors import FixError, InputError
from artifactlab.fix.distil import Distilled, distil
from artifactlab.fix.graph_calls import with_calls
from artifactlab.fix.options import JudgingOptions, TrainingOptions, refuse_unknown, with_fields
from artifactlab.fix.replace import Swap, replace_upsampler
from artifactlab.fix.training import Progress
from artifactlab.fix.verify import FixCheck, check_fix
from artifactlab.lint.model_copy import full_copy
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


@dataclass(frozen=True)
class Fix:
    """The result of `fix_site`."""

    model: nn.Module
    """A copy of the model, fixed."""
    swap: Swap
    """What was replaced by what."""
    distilled: Distilled | None
    """How the new layer was trained; None where it was not."""
    before: Diagnosis
    """The diagnosis of the old model."""
    after: Diagnosis
    """The diagnosis of the fixed model."""
    check: FixCheck
    """Whether the fix worked, and by how much."""
    warnings: tuple[str, ...]
    """What the first diagnosis says against this fix, in sentences."""


def _without_progress(name: str) -> None:
    """The stage of a fix whose progress nobody is told."""


def fix_site(
    model: nn.Module,
    inputs: Any,
    site: str | None = None,
    mode: str = "interpolate_conv",
    *,
    distil_on: Any = None,
    options: dict[str, Any] | None = None,
    training: TrainingOptions | None = None,
    judging: JudgingOptions | None = None,
    stage: Stage = _without_progress,
    **fields: Any,
) -> Fix:
    """Replace the upsampler at a site of a copy of `model`, train it if there is something to train on, and check it.

    Args:
        model: any `nn.Module`; it stays as it is.
        inputs: as for `diagnose`; what the fix is judged on, best not what it is trained on.
        site: key or module name; default is the first offender.
        mode: what to replace it by, see `replace_upsampler`.
        distil_on: inputs to train the new layer on, see `distil`; without them it stays as it starts.
        options: further keyword arguments of the mode's class.
        training: how to train it, see `TrainingOptions`.
        judging: which output to judge, see `JudgingOptions`.
        stage: for progress, see `Stage`.
        fields: fields of either record by name, such as `steps=100` or `data_range=2.0`; the records are preferred, as
            type checkers see into them.

    Raises:
        InputError: if the inputs cannot be used, or no site or mode has that name.
        FixError: if no site is named and none is guilty, or the site cannot be swapped.
        ModelError, CaptureError: as from `diagnose`.
        TypeError: if `fields` has a name that neither record has.

    >>> from artifactlab.demo.run import noisy_photo
    >>> from artifactlab.demo.unet import broken
    >>> fixed = fix_site(broken(), noisy_photo()[..., :128, :128], "dec.up2")
    >>> fixed.swap.replacement.paths, fixed.check.energy_drop > 0.9
    (('dec.up2',), True)
    """
    refuse_unknown(fields, TrainingOptions, JudgingOptions)
    training = with_fields(training or TrainingOptions(), fields)
    judging = with_fields(judging or JudgingOptions(), fields)
    before = _diagnosed(model, inputs, judging, stage("diagnosing"))
    chosen = choose_site(before, site)
    fixed = full_copy(unwrap(model))
    with random_states_kept(judging.seed):
        swap = replace_upsampler(fixed, chosen, mode, **(options or {}))
    model = with_calls(model, swap.replacement.paths)
    distilled = None
    if distil_on is not None:
        progress = stage("training")
        distilled = distil(fixed, model, swap, distil_on, training=training, judging=judging, progress=progress)
    after = _diagnosed(fixed, inputs, judging, stage("diagnosing again"))
    check = check_fix(model, fixed, chosen, inputs, judging=judging)
    return Fix(fixed, swap, distilled, before, after, check, _warnings(before, chosen))


def _diagnosed(model: nn.Module, inputs: Any, judging: JudgingOptions, progress: Progress | None) -> Diagnosis:
    return diagnose(
        model,
        inputs,
        output=judging.output,
        data_range=judging.data_range,
        seed=judging.seed,
        progress=progress,
    )


def choose_site(diagnosis: Diagnosis, wanted: str | None) -> Site:
    """The site of that key or module name; the first offender where none is wanted.

    Raises:
        FixError: if there is no offender, or the name fits several sites.
        InputError: if it fits none.
    """
    if wanted is None:
        if not diagnosis.offenders:
            raise FixError(f"{diagnosis.heading} Name a site to replace it all the same")
        first = diagnosis.joint[0].key if diagnosis.joint else diagnosis.offenders[0].site.key
        return next(site.site for site in diagnosis.sites if site.site.key == first)
    sites = [diagnosed.site for diagnosed in diagnosis.sites]
    found = [site for site in sites if site.key == wanted] or [site for site in sites if site.name == wanted]
    found = found or [site for site in sites if site.name.startswith(f"{wanted}.")]
    if not found:
        raise InputError(f"no site {wanted!r}; the model has {', '.join(site.key for site in sites)}")
    if len(found) > 1:
        raise FixError(f"{wanted} holds {len(found)} sites; name one: {', '.join(site.key for site in found)}")
    return found[0]


def _warnings(before: Diagnosis, chosen: Site) -> tuple[str, ...]:
    """What the first diagnosis says against replacing this site."""
    diagnosed = next(site for site in before.sites if site.site == chosen)
    others = [site.site.key for site in before.offenders if site.site != chosen]
    warnings = [WARNINGS[diagnosed.verdict].format(site=chosen.key)] if diagnosed.verdict in WARNINGS else []
    if others:
        warnings.append(f"Other offenders stay: {', '.join(others)}; fix them one after the other.")
    return tuple(warnings)
