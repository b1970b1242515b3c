"""`artifactlab fix`: swap the layer that causes it, keep the model."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from safetensors.torch import save
from torch import nn

from artifactlab.cli.input_options import InputOptions
from artifactlab.cli.options import JsonObject, Seed, form_option, model_options
from artifactlab.cli.progress import progress_stages
from artifactlab.cli.records import ModelOptions, gathered
from artifactlab.cli.verbosity import describe_inputs, describe_sites, note, prints_to_stderr
from artifactlab.errors import InputError
from artifactlab.files import followed, refuse_unwritable
from artifactlab.fix.fold import folded
from artifactlab.fix.options import LEARNING_RATE, JudgingOptions, TrainingOptions
from artifactlab.fix.pipeline import Fix, fix_site
from artifactlab.fix.replacement import REPLACEABLE, Replacement
from artifactlab.fix.weights import read_replacements, refuse_unwritable_file, write_for_fix
from artifactlab.inputs.probes import PROBES, STANDARD_PROBES
from artifactlab.models.calls import Call
from artifactlab.report.fix_report import fix_json, fix_table, write_fix
from artifactlab.report.terminal import print_out

ELSEWHERE = ".elsewhere.safetensors"
"""How the name of the weights for other programs ends."""


@dataclass(frozen=True)
class TrainingArguments:
    """What the new layer is trained on, what with it, and for how long; see `fix_site`."""

    distil_on: tuple[str, ...]
    """Image files, folders and glob patterns that the new layer is trained on; empty for no training."""
    neighbours: bool
    """Whether the layers before and after the site are trained as well."""
    seconds: float
    """Seconds after which no training step begins."""
    steps: int
    """Maximum number of training steps."""
    learning_rate: float
    """Learning rate at the start of the training."""
    lattice_weight: float
    """Weight of the loss term that counts what is left of the lattice."""

    def options(self, unfinished: Path) -> TrainingOptions:
        """The same for `fix_site`, with the file that a killed training goes on from."""
        return TrainingOptions(
            neighbours=self.neighbours,
            steps=self.steps,
            seconds=self.seconds,
            learning_rate=self.learning_rate,
            lattice_weight=self.lattice_weight,
            checkpoint=unfinished,
        )


@click.command()
@click.argument("target")
@click.option("--site", "site", metavar="NAME", help="Key or module; default is the first offender.")
@click.option(
    "--with",
    "mode",
    type=click.Choice(REPLACEABLE),
    metavar="MODE",
    default="interpolate_conv",
    show_default=True,
    help=f"The new one: {', '.join(REPLACEABLE)}.",
)
@click.option("--options", metavar="JSON", default="{}", type=JsonObject(), help="Arguments of the new one.")
@click.option("-o", "out", type=click.Path(path_type=Path), required=True, help="The fixed weights, .safetensors.")
@click.option("--input", "inputs", multiple=True, metavar="PATH", help="What to check on: files, folders, globs.")
@click.option("--probe", "probes", multiple=True, type=click.Choice(list(PROBES)), help="Synthetic input; no files.")
@click.option("--distil", "distil_on", multiple=True, metavar="PATH", help="What to train the new layer on; no labels.")
@click.option("--neighbours", is_flag=True, help="Train the layers before and after it, too.")
@click.option("--seconds", type=click.FloatRange(min=1), default=600.0, show_default=True, help="Most time to train.")
@click.option("--steps", type=click.IntRange(min=1), default=600, show_default=True, help="Most steps to train.")
@click.option(
    "--learning-rate",
    type=click.FloatRange(min=0, min_open=True),
    default=LEARNING_RATE,
    show_default=True,
    help="Lower it where training changes the image.",
)
@click.option(
    "--lattice-weight",
    type=click.FloatRange(min=0),
    default=2.0,
    show_default=True,
    help="Raise it where training leaves a grid, lower it where the image changes.",
)
@model_options
@click.option("--seed", type=Seed(), default=0, show_default=True, help="Of all random numbers.")
@form_option
@gathered(model=ModelOptions, inputs=InputOptions, training=TrainingArguments)
def fix(
    model: ModelOptions,
    inputs: InputOptions,
    training: TrainingArguments,
    site: str | None,
    mode: str,
    options: dict[str, Any],
    out: Path,
    seed: int,
    form: str,
) -> None:
    """Replace an upsampling layer of a model, and check that the artifact went and the image stayed.

    TARGET is package.module:factory, path/to/file.py:factory, or a file that holds a model, such as 4x-foo.pth. The new
    layer starts as the old one's copy without a lattice; --distil trains it to match the old model's output with the
    lattice taken out. A training that was killed goes on where it was when the same command is given again. Without
    --input, it is judged on those same images, or on synthetic ones. Writes OUT, which `diagnose --checkpoint` and
    `artifactlab.load_model` take, and a picture beside it, fixed or not; exit code 1 says that it is not. Of a file, it
    writes OUT's weights for the programs that load the file, too, where its layers can hold them.
    """
    refuse_unwritable_file(out)
    unfinished = out.with_name(f"{out.name}.resume")
    for beside in (out.with_suffix(".fix.png"), unfinished, out.with_suffix(ELSEWHERE)):
        refuse_unwritable(beside)
    if training.neighbours and not training.distil_on:
        raise InputError("--neighbours says what is trained, and there is nothing to train on: give --distil PATH")
    trained_on = inputs.of(training.distil_on).load(seed) if training.distil_on else None
    judged_on = _judged_on(inputs, trained_on, seed)
    describe_inputs(judged_on, "judged on")
    if trained_on is not None:
        describe_inputs(trained_on, "trained on")
    with prints_to_stderr(), progress_stages() as stage:
        built = model.build()
        made = fix_site(
            built,
            inputs.for_model(built, judged_on),
            site,
            mode,
            distil_on=None if trained_on is None else inputs.for_model(built, trained_on),
            options=options,
            training=training.options(unfinished),
            judging=JudgingOptions(output=inputs.output, data_range=inputs.output_range or 1.0, seed=seed),
            stage=stage,
        )
    describe_sites([site.site.key for site in made.before.sites])
    earlier = read_replacements(model.checkpoint) if model.checkpoint else []
    for path in write_fix(made, earlier, out):
        note(f"wrote {path}")
    if Path(model.target).is_file():
        _write_for_others(model, built, made, earlier, out)
    unfinished.unlink(missing_ok=True)
    if form == "json":
        click.echo(fix_json(made))
    else:
        print_out(fix_table(made))
    if not made.check.cured:
        sys.exit(1)


def _write_for_others(
    model: ModelOptions, built: nn.Module, made: Fix, earlier: Sequence[Replacement], out: Path
) -> None:
    """Write what other programs load as they do the model's file; say what to do where its layers cannot hold it."""
    weights = None if earlier else folded(built, made.model, made.swap.replacement)
    if weights is None:
        both = f"artifactlab.load_model({model.target!r}, checkpoint=Path({str(out)!r}))"
        note(f"programs that load {model.target} cannot hold the new layer; this does: {both}")
        return
    path = out.with_suffix(ELSEWHERE)
    write_for_fix({followed(path): save(weights)})
    note(f"wrote {path}, the same weights for programs that load {model.target}; only the image's border differs")


def _judged_on(inputs: InputOptions, trained_on: list[Call] | None, seed: int) -> list[Call]:
    """What was given beside --distil; without that the inputs of the training, and without them the standard probes."""
    if inputs.given or (inputs.noise and trained_on is None):
        return inputs.load(seed)
    return trained_on or inputs.of((), STANDARD_PROBES).load(seed)
