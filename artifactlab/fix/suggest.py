"""What else cures: every cure that takes seconds, tried on a copy and measured, the recommended one first."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any

from torch import nn

from artifactlab.attribution.sites.records import Site
from artifactlab.errors import FixError, InputError, ModelError
from artifactlab.fix.fold import fold
from artifactlab.fix.graph_calls import with_calls
from artifactlab.fix.may_stay import Change
from artifactlab.fix.options import JudgingOptions, TrainingOptions, refuse_unknown, with_fields
from artifactlab.fix.pipeline import Stage, by_mode, choose_sites, diagnosed, fit, without_progress
from artifactlab.fix.post_filter import post_filter
from artifactlab.fix.replace_sites import replace_sites
from artifactlab.fix.replacement import PADDING, REFITS, Replacement
from artifactlab.fix.start_kept import with_start_kept
from artifactlab.fix.synthetic_inputs import SECONDS, STEPS, synthetic_inputs
from artifactlab.fix.timing import pass_times
from artifactlab.fix.training import copied
from artifactlab.fix.verify import FixCheck, check_fix
from artifactlab.fix.whitening import NoGradients
from artifactlab.lint.model_copy import full_copy
from artifactlab.models.calls import Call, as_calls
from artifactlab.models.random_state import random_states_kept
from artifactlab.models.wrappers import unwrap
from artifactlab.serialize import json_data
from artifactlab.views import VIEWS

POST = "post"
"""What the filter behind the output is called among the modes."""
TRIED = (*REFITS, PADDING, "bilinear", "interpolate_conv", "subpixel", POST)
"""Of new layers the floor, the default and the one that can do most; the others lie between them, and take as long."""


@dataclass(frozen=True)
class Suggestion:
    """One cure, as `fix_site` makes it without `distil_on`; pairs are (before, after)."""

    mode: str
    """The mode of the fix, or `post`."""
    sites: tuple[str, ...]
    """The keys of the sites that it changes; all of them, unless `refused` says why not."""
    severity: Change
    """The severity of what the sites draw; 1 just shows."""
    energy_drop: float | None
    """The share of the grid's energy that is gone; None where there was none."""
    steps_drop: float | None
    """The share of the stair-steps' energy that is gone; None where there were none."""
    psnr: float
    """The PSNR in dB between the two outputs, lattice and border aside: the price in likeness."""
    milliseconds: Change
    """A forward pass on the first input, the median of five, on the device that the model is on: the price in time."""
    new_layer: bool
    """Whether a module is in the model that was not there: not where only weights change."""
    keeps_format: bool
    """Whether files of the model's own architecture hold it, exactly but for the border."""
    cured: bool
    """Whether `check_fix` calls it a cure."""
    verdict: str
    """What `check_fix` says of it."""
    refused: tuple[str, ...] = ()
    """Of sites that it cannot change, why."""

    @property
    def options(self) -> tuple[str, ...]:
        """What to add to the command line of `artifactlab fix`."""
        return ("--post",) if self.mode == POST else ("--with", self.mode)

    @property
    def arguments(self) -> str:
        """The same for `fix_site`."""
        return "post=True" if self.mode == POST else f"mode={self.mode!r}"

    def __str__(self) -> str:
        before, after = self.severity
        start, end = self.milliseconds
        likeness = "the same output" if self.psnr == float("inf") else f"{self.psnr:.1f} dB"
        return (
            f"{self.mode}: {'cures' if self.cured else 'no cure'}, severity {before:.2f} -> {after:.2f}, {likeness},"
            f" {start:.1f} -> {end:.1f} ms"
        )


@dataclass(frozen=True)
class Suggestions:
    """What `suggest` found."""

    sites: tuple[str, ...]
    """The keys of the offenders that were changed."""
    cures: tuple[Suggestion, ...]
    """What was tried: cures first, of them the nearest to the old output, and the filter behind the output last."""
    refused: tuple[str, ...]
    """Why others could not be tried, in sentences."""

    @property
    def recommended(self) -> Suggestion | None:
        """The first one, if it cures."""
        return self.cures[0] if self.cures and self.cures[0].cured else None

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        cures = [asdict(one) | {"options": one.options, "arguments": one.arguments} for one in self.cures]
        data: dict[str, Any] = json_data({"sites": self.sites, "cures": cures, "refused": self.refused})
        return data

    def __str__(self) -> str:
        return "\n".join([f"For {', '.join(self.sites)}, as trained in seconds:", *map(str, self.cures), *self.refused])

    def _repr_html_(self) -> str:
        """What a notebook shows: a row for each cure."""
        card: str = VIEWS["suggestions_card"](self)
        return card


def suggest(
    model: nn.Module,
    inputs: Any,
    site: str | Sequence[str] | None = None,
    *,
    modes: Sequence[str] = TRIED,
    judging: JudgingOptions | None = None,
    stage: Stage = without_progress,
    **fields: Any,
) -> Suggestions:
    """Try every cure that takes seconds on copies of a model, and measure what is left and what it costs.

    Layers are trained as `fix_site` trains them without images: on synthetic ones, where the model takes images. What
    more training would add is not guessed: only what was measured is listed.

    Args:
        model: any `nn.Module`; it stays as it is.
        inputs: as for `diagnose`.
        site: key or module name, or several; without it, the offenders that a cure takes, see `fix_site`.
        modes: which cures are tried, modes of `fix_site` or "post".
        judging: which output to judge, see `JudgingOptions`.
        stage: for progress, see `Stage`.
        fields: fields of that record by name, such as `data_range=2.0`.

    Raises:
        InputError: if the inputs cannot be used, or no site has that name.
        FixError: if no site is named and none is guilty.
        ModelError, CaptureError: as from `diagnose`.
        TypeError: if `fields` has a name that the record does not have.

    >>> from artifactlab.demo.run import noisy_photo
    >>> from artifactlab.demo.unet import broken
    >>> menu = suggest(broken(), noisy_photo()[..., :128, :128], "dec.up2", modes=["weights", "blur"])
    >>> sorted(one.mode for one in menu.cures), menu.cures[0].new_layer
    (['blur', 'weights'], False)
    """
    refuse_unknown(fields, JudgingOptions)
    judging = with_fields(judging or JudgingOptions(), fields)
    calls = as_calls(inputs)
    before = diagnosed(model, calls, judging, stage("diagnosing"))
    judging = replace(judging, data_range=before.config.data_range)
    chosen = choose_sites(before, site)
    taught = synthetic_inputs(model, calls, judging.seed, judging.output)
    cures, refused = [], []
    progress = stage("trying cures")
    for number, mode in enumerate(modes, 1):
        try:
            cures.append(try_cure(model, chosen, mode, calls, judging, taught))
        except (FixError, InputError, ModelError) as error:
            refused.append(f"Not {mode}: {str(error).rstrip('.')}.")
        if progress:
            progress(number, len(modes))
    ranked = sorted(cures, key=lambda one: (not one.cured, one.mode == POST, -one.psnr))
    return Suggestions(tuple(one.key for one in chosen), tuple(ranked), tuple(refused))


def try_cure(
    model: nn.Module,
    sites: Sequence[Site],
    mode: str,
    calls: Sequence[Call],
    judging: JudgingOptions,
    taught: Sequence[Call] = (),
) -> Suggestion:
    """One cure on a copy of a model.

    Args:
        model: any `nn.Module`; it stays as it is.
        sites: what is changed, as `diagnose` listed it.
        mode: one of `CURES`, or "post".
        calls: what it is measured on.
        judging: which output is judged.
        taught: what it is trained on, see `synthetic_inputs`; without any it stays as it starts, as it does in a model
            that runs without gradients.

    Raises:
        FixError: if none of the sites can be changed so.
        InputError: if there is no such mode.
    """
    made = full_copy(unwrap(model))
    changed, refused = list(sites), tuple[str, ...]()
    new_layer, keeps_format = True, False

    def check_now() -> FixCheck:
        return check_fix(model, made, changed, list(calls), judging=judging)

    if mode == POST:
        made = post_filter(made, sites, taught or calls, judging)[1]
        check = check_now()
    else:
        with random_states_kept(judging.seed):
            replaced = replace_sites(made, sites, mode, {})
        changed, refused = list(replaced.sites), replaced.refused
        start = copied(dict(made.named_parameters()))
        if taught:
            training = by_mode(TrainingOptions(steps=STEPS, seconds=SECONDS), mode)
            old = with_calls(model, [path for swap in replaced.swaps for path in swap.replacement.paths])
            with suppress(NoGradients):
                fit(made, old, replaced.swaps, taught, training, judging)
        new_layer = mode not in REFITS
        check = with_start_kept(made, start, check_now)[0]
        keeps_format = not new_layer or _holds(model, made, [swap.replacement for swap in replaced.swaps])
    return Suggestion(
        mode=mode,
        sites=check.sites,
        severity=check.severity,
        energy_drop=check.energy_drop,
        steps_drop=check.steps_drop,
        psnr=check.psnr,
        milliseconds=pass_times(model, made, calls[0], judging),
        new_layer=new_layer,
        keeps_format=keeps_format,
        cured=check.cured,
        verdict=check.verdict,
        refused=refused,
    )


def _holds(model: nn.Module, made: nn.Module, replacements: Sequence[Replacement]) -> bool:
    """Whether the old layers with other weights do what the new ones do."""
    try:
        original = with_calls(model, [path for one in replacements for path in one.paths])
        return fold(original, made, replacements).is_exact
    except FixError:
        return False
