"""`artifactlab diagnose`: which layer causes it."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import click

import artifactlab
from artifactlab.attribution.diagnosis import OUTPUT_NAMES
from artifactlab.cli.again import diagnosed_by
from artifactlab.cli.declaring import gathered
from artifactlab.cli.input_options import InputOptions
from artifactlab.cli.options import FILES, form_option, layout_option, model_options
from artifactlab.cli.param_types import Seed
from artifactlab.cli.progress import LAST_WORK, progress_bar
from artifactlab.cli.records import ModelOptions
from artifactlab.cli.verbosity import complain, describe_inputs, describe_sites, note, prints_to_stderr
from artifactlab.errors import InputError
from artifactlab.fix.replacement import CURES
from artifactlab.fix.trials import TrialSwap, trial_swaps
from artifactlab.inputs.probes import PROBES
from artifactlab.models.calls import Call
from artifactlab.report.diagnosis_table import diagnosis_table
from artifactlab.report.files import PAGE, refuse_unwritable_report, write_report
from artifactlab.report.next_steps import commands_after
from artifactlab.report.terminal import literal, print_out
from artifactlab.scoring.gates import gate_failures, parse_gate
from artifactlab.serialize import json_data


@dataclass(frozen=True)
class SearchOptions:
    """Which sites are searched, how thoroughly, and with which random numbers; see `artifactlab.diagnose`."""

    sites: str
    """Glob pattern that the key or the name of a site must match."""
    fast: bool
    """Whether effects are estimated from one backward pass instead of repairs."""
    calls: bool
    """Whether every call of a layer is judged by itself."""
    verify_all: bool
    """Whether every layer is repaired, also where there are too many to repair all by default."""
    until_sure: float | None
    """Seconds in which more inputs are taken until the verdict is sure; None takes all inputs at once."""
    seed: int
    """Seed of the random state that each forward pass starts from."""


@click.command()
@click.argument("target")
@click.argument("more", nargs=-1, metavar="")
@click.option("--input", "inputs", multiple=True, metavar="PATH...", help=FILES)
@click.option("--probe", "probes", multiple=True, type=click.Choice(list(PROBES)), help="Synthetic input; no files.")
@model_options
@layout_option
@click.option("--sites", default="*", show_default=True, metavar="GLOB", help="Only sites whose key or name matches.")
@click.option("--fast", is_flag=True, help="One backward pass for all sites: coarser, no joint repair, no maps.")
@click.option("--calls", is_flag=True, help="Judge every call of a layer by itself: samplers, ensembles, tiles.")
@click.option("--verify-all", is_flag=True, help="Repair every layer, also where there are more than 8.")
@click.option(
    "--until-sure",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="Take one input, and more of them (and of their crops) until the verdict is sure or the time is over.",
)
@click.option("--seed", type=Seed(), default=0, show_default=True, help="Of the random state each forward starts from.")
@form_option
@click.option("--explain", is_flag=True, help="Say below the table what its words mean.")
@click.option(
    "--try",
    "tried",
    multiple=True,
    type=click.Choice(CURES),
    metavar="MODE",
    help="Say what a swap of each offender would leave, untrained: bilinear, or what fix --with takes; repeatable.",
)
@click.option("-o", "folder", type=click.Path(path_type=Path), metavar="DIR", help="Write the report there.")
@click.option("--fail-on-offender", is_flag=True, help="Exit with 1 if there is an offender.")
@click.option(
    "--fail-on", "gates", multiple=True, metavar="GATE", help="Exit with 1 if the output meets it, e.g. 'severity>1'."
)
@click.pass_context
@gathered(model=ModelOptions, inputs=InputOptions, search=SearchOptions)
def diagnose(
    ctx: click.Context,
    more: tuple[str, ...],
    model: ModelOptions,
    inputs: InputOptions,
    search: SearchOptions,
    form: str,
    explain: bool,
    tried: tuple[str, ...],
    folder: Path | None,
    fail_on_offender: bool,
    gates: tuple[str, ...],
) -> None:
    """Find the upsampling layer of a model that draws stair-steps or checkerboards.

    TARGET is package.module:factory, path/to/file.py:factory, or a file or folder that holds a model, such as
    4x-foo.pth, net.onnx, or what diffusers or transformers wrote.
    """
    conditions = [parse_gate(text, OUTPUT_NAMES) for text in gates]
    if explain and form != "table":
        raise InputError(f"--explain is for the table, and {form} is for programs; leave it out")
    if more and not inputs.inputs:
        raise InputError(f"unexpected {' '.join(more)!r}: give images with --input")
    inputs = replace(inputs, inputs=[*inputs.inputs, *more])
    calls = inputs.load(search.seed, every_crop=search.until_sure is not None)
    if folder:
        refuse_unwritable_report(folder)
    describe_inputs(calls)
    diagnosis, trials = _diagnosed(model, inputs, calls, search, tried)
    describe_sites([site.site.key for site in diagnosis.sites])
    called = diagnosed_by(ctx, model.target, more, folder or Path("report"))
    if folder:
        for path in write_report(diagnosis, folder, called):
            note(f"wrote {path}")
    if form == "json":
        data = diagnosis.to_dict()
        data |= {"trials": [asdict(trial) for trial in trials]} if tried else {}
        click.echo(json.dumps(json_data(data), indent=2, allow_nan=False))
    else:
        print_out(diagnosis_table(diagnosis, explain))
        for trial in trials:
            print_out(literal(f"Untrained, {trial}."))
        for title, command in commands_after(diagnosis, called):
            note(f"{title}: {command}")
        if folder:
            note(f"Look at it: open {folder / PAGE} in a browser")
    failed = gate_failures([("the output", asdict(diagnosis.output))], conditions)
    for failure in failed:
        complain(f"gate {failure.gate} failed: {failure.score:.4g} in {failure.path}")
    if failed or (fail_on_offender and diagnosis.offenders):
        sys.exit(1)


def _diagnosed(
    model: ModelOptions, inputs: InputOptions, calls: Sequence[Call], search: SearchOptions, tried: Sequence[str]
) -> tuple[artifactlab.Diagnosis, tuple[TrialSwap, ...]]:
    """Build the model and diagnose it, and try what is wanted at its offenders."""
    with prints_to_stderr():
        built = model.build()
        made = inputs.for_model(built, calls)
        with progress_bar("diagnosing", LAST_WORK) as progress:
            diagnosis = artifactlab.diagnose(
                built,
                made,
                output=inputs.output,
                data_range=inputs.output_range,
                layout=inputs.layout,
                sites=search.sites,
                fast=search.fast,
                calls=search.calls,
                verify_all=search.verify_all,
                until_sure=search.until_sure,
                seed=search.seed,
                progress=progress,
            )
        trials = trial_swaps(built, diagnosis, made, tried)
    return replace(diagnosis, model=model.origin()), trials
