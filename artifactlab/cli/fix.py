"""`artifactlab fix`: swap the layer that causes it, keep the model."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import click

from artifactlab.cli.options import JsonObject, built_model, model_options
from artifactlab.cli.progress import progress_stages
from artifactlab.cli.verbosity import describe_inputs, describe_sites, note
from artifactlab.errors import InputError
from artifactlab.fix.options import LEARNING_RATE, JudgingOptions, TrainingOptions
from artifactlab.fix.pipeline import fix_site
from artifactlab.fix.replace import REPLACEABLE
from artifactlab.fix.weights import read_replacements, refuse_unwritable_file
from artifactlab.inputs.loading import RANGES, load_inputs
from artifactlab.inputs.probes import PROBES
from artifactlab.report.fix_report import fix_json, fix_table, write_fix
from artifactlab.report.terminal import print_out


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
@click.option("--input", "inputs", multiple=True, metavar="PATH", help="Images to check on: files, folders, globs.")
@click.option("--probe", "probes", multiple=True, type=click.Choice(list(PROBES)), help="Synthetic input; no files.")
@click.option("--distil", "images", multiple=True, metavar="PATH", help="Images to train the new layer on; no labels.")
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
@click.option("--seed", type=int, default=0, show_default=True, help="Of all random numbers.")
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table", show_default=True)
def fix(
    target: str,
    site: str | None,
    mode: str,
    options: dict[str, Any],
    out: Path,
    inputs: tuple[str, ...],
    probes: tuple[str, ...],
    images: tuple[str, ...],
    neighbours: bool,
    seconds: float,
    steps: int,
    learning_rate: float,
    lattice_weight: float,
    kwargs: dict[str, Any],
    checkpoint: Path | None,
    value_range: str,
    data_range: float | None,
    gray: bool,
    crop: int | None,
    output: str | None,
    device: str,
    seed: int,
    form: str,
) -> None:
    """Replace an upsampling layer of a model, and check that the artifact went and the image stayed.

    TARGET is package.module:factory or path/to/file.py:factory. The new layer starts as the old one's copy without a
    lattice; --distil trains it to match the old model's output with the lattice taken out. A training that was killed
    goes on where it was when the same command is given again. Without --input, it is judged on those same images, or on
    synthetic ones. Writes OUT, which `diagnose --checkpoint` and `artifactlab.load_model` take, and a picture beside
    it, fixed or not; exit code 1 says that it is not.
    """
    refuse_unwritable_file(out)
    if not images and neighbours:
        raise InputError("--neighbours says what is trained, and there is nothing to train on: give --distil PATH")
    resume = out.with_name(f"{out.name}.resume")
    low, high = RANGES[value_range]
    given: dict[str, Any] = {"value_range": (low, high), "gray": gray, "crop": crop}
    taught = load_inputs(images, **given) if images else None
    checked = (
        load_inputs(inputs, probes, **given) if inputs or probes else taught or load_inputs((), tuple(PROBES), **given)
    )
    describe_inputs(checked, "judged on")
    if taught is not None:
        describe_inputs(taught, "trained on")
    with redirect_stdout(sys.stderr), progress_stages() as stage:  # prints of the model must not mix with the data
        made = fix_site(
            built_model(target, kwargs, checkpoint, device),
            checked,
            site,
            mode,
            distil_on=taught,
            options=options,
            training=TrainingOptions(neighbours, steps, seconds, learning_rate, lattice_weight, resume),
            judging=JudgingOptions(output, data_range or high - low, seed),
            stage=stage,
        )
    describe_sites([site.site.key for site in made.before.sites])
    earlier = read_replacements(checkpoint) if checkpoint else []
    for path in write_fix(made, earlier, out):
        note(f"wrote {path}")
    resume.unlink(missing_ok=True)
    if form == "json":
        click.echo(fix_json(made))
    else:
        print_out(fix_table(made))
    if not made.check.cured:
        sys.exit(1)
