"""The options of `artifactlab fix`: what is put in, and how it is trained."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click

from artifactlab.cli.declaring import declared
from artifactlab.cli.given import flag_of, is_given
from artifactlab.errors import InputError
from artifactlab.fix.options import TrainingOptions
from artifactlab.fix.pipeline import TRAIN_NEIGHBOURS


@dataclass(frozen=True)
class TrainingArguments:
    """What the new layers are trained on, what with them, and for how long; see `fix_site`."""

    distil_on: tuple[str, ...]
    """Image files, folders and glob patterns that the new layers are trained on; empty for synthetic images."""
    neighbours: bool | None
    """Whether the layers before and after the sites are trained as well; None where the mode says."""
    seconds: float
    """Seconds after which no training step begins."""
    steps: int
    """Maximum number of training steps."""
    lattice_weight: float
    """Weight of the loss term that counts what is left of the lattice."""

    def options(self, unfinished: Path) -> TrainingOptions:
        """The same for `fix_site`, with the file that a killed training goes on from."""
        return TrainingOptions(
            neighbours=self.neighbours,
            steps=self.steps,
            seconds=self.seconds,
            lattice_weight=self.lattice_weight,
            checkpoint=unfinished,
        )


training_options = declared(
    [
        click.option(
            "--distil",
            "distil_on",
            multiple=True,
            metavar="PATH",
            help="What to train on, no labels; else 60 steps on synthetic images.",
        ),
        click.option(
            "--neighbours/--no-neighbours",
            default=None,
            help=f"Train the layers before and after it, too; the default with {' and '.join(TRAIN_NEIGHBOURS)}.",
        ),
        click.option(
            "--budget",
            "seconds",
            type=click.FloatRange(min=1),
            metavar="SECONDS",
            default=600.0,
            show_default=True,
            help="Most time to train; the best weights so far are kept.",
        ),
        click.option(
            "--steps", type=click.IntRange(min=0), default=600, show_default=True, help="Most steps to train; 0: none."
        ),
        click.option(
            "--lattice-weight",
            type=click.FloatRange(min=0),
            default=2.0,
            show_default=True,
            help="Raise it where training leaves a grid, lower it where the image changes.",
        ),
    ]
)
"""How a fix is trained: see `TrainingArguments`."""
NOT_WITH_POST = {"mode", "options", "neighbours", "seconds", "steps", "lattice_weight"}
"""What says how a layer is changed or trained, by the parameters of the options."""


def refuse_beside_post(ctx: click.Context) -> None:
    """Raise an InputError for options that say how a layer is changed, as --post changes none."""
    given = [flag_of(one) for one in ctx.command.params if one.name in NOT_WITH_POST and is_given(ctx, one)]
    if given:
        raise InputError(f"--post filters the output and changes no layer; leave out {', '.join(given)}")
