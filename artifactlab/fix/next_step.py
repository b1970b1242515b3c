"""What to try where a fix is none: one thing, as words of a command line and as an argument in Python."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from artifactlab.fix.distil import Distilled
from artifactlab.fix.may_stay import MIN_DROP
from artifactlab.fix.options import TrainingOptions
from artifactlab.fix.replacement import REFITS
from artifactlab.fix.training import TIME_RAN_OUT
from artifactlab.fix.verify import FixCheck
from artifactlab.metrics.visible import VISIBLE_STEPS


@dataclass(frozen=True)
class NextStep:
    """What to try next."""

    text: str
    """What to do and why, in a few words."""
    options: tuple[str, ...]
    """What to add to the command, or to give instead."""
    arguments: str
    """The same for `fix_site`."""

    def __str__(self) -> str:
        return f"{self.text}: {shlex.join(self.options)}, in Python {self.arguments}."


def next_step(
    check: FixCheck,
    distilled: Distilled | None,
    mode: str,
    training: TrainingOptions,
    others: Sequence[str] = (),
) -> NextStep | None:
    """What to try where a fix is none; None where it is one, or there was nothing to fix.

    Args:
        check: what came of it.
        distilled: how the new layers were trained, if they were.
        mode: what the new layers are.
        training: how they were to be trained.
        others: keys of offenders that stay and can be named.

    >>> from artifactlab.fix.next_step import NextStep
    >>> print(NextStep("Train more", ("--steps", "900"), "steps=900"))
    Train more: --steps 900, in Python steps=900.
    """
    if check.cured or not check.verdict.startswith("Not fixed"):
        return None
    if others and "went" in check.verdict:
        keys = [*check.sites, *others]
        words = tuple(word for key in keys for word in ("--site", key))
        return NextStep("Replace the other offenders, too", words, f"site={keys!r}")
    if distilled is None:
        layers = "layers" if mode in REFITS else "new layers"
        return NextStep(f"Train the {layers} on your images", ("--distil", "IMAGES/"), "distil_on=images")
    if distilled.ended == TIME_RAN_OUT:
        seconds = 2 * training.seconds
        return NextStep("Time ran out, give it more", ("--budget", f"{seconds:g}"), f"seconds={seconds:g}")
    has_steps = check.steps_drop is not None and check.steps_drop < MIN_DROP
    has_steps = has_steps and check.edge_jaggedness[1] >= VISIBLE_STEPS
    if has_steps and mode != "interpolate_conv":
        return NextStep("Try a layer that draws no steps", ("--with", "interpolate_conv"), "mode='interpolate_conv'")
    if mode != "subpixel" and not has_steps:
        return NextStep("Try a layer that can do more", ("--with", "subpixel"), "mode='subpixel'")
    if not training.neighbours:
        return NextStep("Train the layers before and after along", ("--neighbours",), "neighbours=True")
    if "changed" in check.verdict or "detail" in check.verdict:
        weight = training.lattice_weight / 2
        return NextStep("Change the image less", ("--lattice-weight", f"{weight:g}"), f"lattice_weight={weight:g}")
    weight = 2 * training.lattice_weight
    return NextStep("Count the lattice more", ("--lattice-weight", f"{weight:g}"), f"lattice_weight={weight:g}")
