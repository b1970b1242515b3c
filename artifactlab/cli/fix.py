"""`artifactlab fix`: swap the layers that cause it, keep the model."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from torch import nn

from artifactlab.cli.again import typed_with
from artifactlab.cli.declaring import gathered
from artifactlab.cli.fix_options import TrainingArguments, refuse_beside_post, training_options
from artifactlab.cli.input_options import InputOptions
from artifactlab.cli.options import form_option, model_options
from artifactlab.cli.param_types import JsonObject, Seed
from artifactlab.cli.progress import progress_stages
from artifactlab.cli.records import ModelOptions
from artifactlab.cli.suggesting import print_suggestions
from artifactlab.cli.verbosity import describe_inputs, describe_sites, note, prints_to_stderr
from artifactlab.errors import InputError
from artifactlab.files import refuse_unwritable, refuse_unwritable_new_folder
from artifactlab.fix.back import Source, back, elsewhere
from artifactlab.fix.back_folder import own_weights
from artifactlab.fix.back_graphs import beside_graph
from artifactlab.fix.options import JudgingOptions
from artifactlab.fix.pipeline import fix_site
from artifactlab.fix.replacement import CURES, PADDING, REFITS, REPLACEABLE
from artifactlab.fix.weights import Change, read_replacements, refuse_unwritable_file
from artifactlab.inputs.probes import PROBES, STANDARD_PROBES
from artifactlab.models.calls import Call
from artifactlab.printable import printable
from artifactlab.report.fix_report import fix_json, fix_table, write_fix
from artifactlab.report.terminal import print_out


@click.command()
@click.argument("target")
@click.option("--site", "sites", multiple=True, metavar="NAME", help="Key or module; default is all offenders.")
@click.option(
    "--with",
    "mode",
    type=click.Choice(CURES),
    metavar="MODE",
    default="interpolate_conv",
    show_default=True,
    help=f"Other weights for the layer itself: {', '.join(REFITS)}; with a larger kernel: {PADDING}; or a new layer:"
    f" {', '.join(REPLACEABLE)}.",
)
@click.option("--post", is_flag=True, help="Change no layer, and filter the output: the last resort.")
@click.option("--options", metavar="JSON", default="{}", type=JsonObject(), help="Arguments of the new one.")
@click.option(
    "-o",
    "out",
    type=click.Path(path_type=Path),
    help="Fixed weights, .safetensors, a folder, .pt2 or .onnx; required but for --suggest.",
)
@click.option("--suggest", is_flag=True, help="Write nothing: try all cures, and print a menu of them with prices.")
@click.option("--input", "inputs", multiple=True, metavar="PATH", help="What to check on: files, folders, globs.")
@click.option("--probe", "probes", multiple=True, type=click.Choice(list(PROBES)), help="Synthetic input; no files.")
@training_options
@model_options
@click.option("--seed", type=Seed(), default=0, show_default=True, help="Of all random numbers.")
@form_option
@click.pass_context
@gathered(model=ModelOptions, inputs=InputOptions, training=TrainingArguments)
def fix(
    ctx: click.Context,
    model: ModelOptions,
    inputs: InputOptions,
    training: TrainingArguments,
    sites: tuple[str, ...],
    mode: str,
    post: bool,
    options: dict[str, Any],
    out: Path | None,
    suggest: bool,
    seed: int,
    form: str,
) -> None:
    """Replace the upsampling layers of a model that draw artifacts, and check that these went and the image stayed.

    TARGET is package.module:factory, path/to/file.py:factory, or a file that holds a model, such as 4x-foo.pth. All
    that it takes to cure the output are replaced at once; --site names those that are wanted. --suggest prints what
    else cures, and at which price: other weights for the layers themselves (--with weights), which keep files and speed
    as they are, and a filter behind the output (--post), which changes no layer. The new layers start as the old ones'
    copies without a lattice, and are trained together to match the old model's output with the lattice taken out: for
    seconds on synthetic images, or longer on those of --distil. A training that was killed goes on where it was when
    the same command is given again. Without --input, a fifth of the images of --distil is kept to judge on, of few the
    lower quarters, and without those it is synthetic ones. Writes OUT, which `diagnose --checkpoint` and
    `artifactlab.load_model` take, and a picture beside it, fixed or not; exit code 1 says that it is not. What other
    programs load, OUT.elsewhere.pth of a .pth for instance, is written, too, where the model's own layers can hold the
    new one; of a folder of diffusers or transformers with -o FOLDER, a folder that they open; of .pt2, TorchScript and
    .onnx a graph, OUT.pt2 or OUT.onnx, which -o may name, too.
    """
    if suggest:
        return print_suggestions(ctx, model, inputs, sites, seed, form)
    if out is None:
        raise click.MissingParameter(param=next(one for one in ctx.command.params if one.name == "out"), ctx=ctx)
    out = beside_graph(out, model.target)
    own = own_weights(out, Path(model.target))
    unfinished = out.with_name(f"{out.name}.resume")
    _refuse_unwritable(model, out, own, unfinished)
    if post:
        refuse_beside_post(ctx)
    if training.neighbours and not training.steps:
        raise InputError("--neighbours says what is trained, and --steps 0 that nothing is: leave one of them out")
    trained_on = inputs.of(training.distil_on).load(seed) if training.distil_on else None
    judged_on = _judged_on(inputs, trained_on, seed)
    describe_inputs(judged_on, "judged on")
    if trained_on is not None:
        describe_inputs(trained_on, "trained on")
    with prints_to_stderr(), progress_stages() as stage:
        built = model.build()
        taught = None if trained_on is None else inputs.for_model(built, trained_on)
        calls = taught if taught is not None and judged_on is trained_on else inputs.for_model(built, judged_on)
        judging = JudgingOptions(output=inputs.output, data_range=inputs.output_range, seed=seed)
        made = fix_site(
            built,
            calls,
            sites or None,
            mode,
            post=post,
            distil_on=taught,
            options=options,
            training=training.options(unfinished),
            judging=judging,
            stage=stage,
            report=stage.say,
        )
        earlier = read_replacements(model.checkpoint) if model.checkpoint else []
        source = _source(model, built, earlier, made.judged_on, judging)
        stage("writing it back")
        returned = () if source is None else back(made, source, own)
    describe_sites([site.site.key for site in made.before.sites])
    for path in write_fix(made, earlier, own, returned, None if own == out else out):
        note(f"wrote {path}")
    for one in returned:
        note(one.sentence)
    unfinished.unlink(missing_ok=True)
    if form == "json":
        click.echo(fix_json(made, returned))
    else:
        print_out(fix_table(made))
        if made.next_step:  # on one line, whatever the terminal's width, to be pasted
            click.echo(f"{made.next_step.text}:")
            click.echo(printable(typed_with(ctx, model.target, made.next_step.options)))
    if not made.check.cured:
        sys.exit(1)


def _refuse_unwritable(model: ModelOptions, out: Path, own: Path, unfinished: Path) -> None:
    """Raise an error, before any work is done, where something cannot be written."""
    refuse_unwritable(unfinished)
    if own != out:
        return refuse_unwritable_new_folder(out)
    refuse_unwritable_file(out)
    for beside in (out.with_suffix(".fix.png"), elsewhere(Path(model.target), out)):
        refuse_unwritable(beside)


def _source(
    model: ModelOptions,
    built: nn.Module,
    earlier: Sequence[Change],
    calls: Sequence[Call],
    judging: JudgingOptions,
) -> Source | None:
    """Where the model came from as other programs load it; None where no file of theirs says."""
    target = Path(model.target)
    path = target if target.exists() and (earlier or model.checkpoint is None) else model.checkpoint
    if path is None or (earlier and path != target):
        return None
    original = replace(model, checkpoint=None).build() if earlier else built
    return Source(path, original, calls, judging, earlier, model.kwargs, model.target)


def _judged_on(inputs: InputOptions, trained_on: list[Call] | None, seed: int) -> list[Call]:
    """What was given beside --distil; without that the inputs of the training, and without them the standard probes."""
    if inputs.given or (inputs.noise and trained_on is None):
        return inputs.load(seed)
    return trained_on or inputs.of((), STANDARD_PROBES).load(seed)
