"""`artifactlab diagnose`: which layer causes it."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click

import artifactlab
from artifactlab.attribution.diagnosis import OUTPUT_NAMES
from artifactlab.attribution.records import ModelSource
from artifactlab.cli.again import diagnosed_by
from artifactlab.cli.options import built_model, model_options
from artifactlab.cli.progress import LAST_WORK, progress_bar
from artifactlab.cli.verbosity import describe_inputs, describe_sites, note
from artifactlab.errors import InputError
from artifactlab.inputs.loading import RANGES, load_inputs
from artifactlab.inputs.probes import PROBES
from artifactlab.models.checkpoint import sha256
from artifactlab.report.files import refuse_unwritable, write_report
from artifactlab.report.table import diagnosis_table
from artifactlab.report.terminal import print_out
from artifactlab.scoring.gates import gate_failures, parse_gate


@click.command()
@click.argument("target")
@click.argument("more", nargs=-1, metavar="")
@click.option("--input", "inputs", multiple=True, metavar="PATH...", help="Image files, folders or globs.")
@click.option("--probe", "probes", multiple=True, type=click.Choice(list(PROBES)), help="Synthetic input; no files.")
@model_options
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
@click.option("--seed", type=int, default=0, show_default=True, help="Of the random state each forward starts from.")
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table", show_default=True)
@click.option("-o", "folder", type=click.Path(path_type=Path), metavar="DIR", help="Write the report there.")
@click.option("--fail-on-offender", is_flag=True, help="Exit with 1 if there is an offender.")
@click.option(
    "--fail-on", "gates", multiple=True, metavar="GATE", help="Exit with 1 if the output meets it, e.g. 'severity>1'."
)
@click.pass_context
def diagnose(
    ctx: click.Context,
    target: str,
    more: tuple[str, ...],
    inputs: tuple[str, ...],
    probes: tuple[str, ...],
    kwargs: dict[str, Any],
    checkpoint: Path | None,
    value_range: str,
    data_range: float | None,
    gray: bool,
    crop: int | None,
    output: str | None,
    device: str,
    sites: str,
    fast: bool,
    calls: bool,
    verify_all: bool,
    until_sure: float | None,
    seed: int,
    form: str,
    folder: Path | None,
    fail_on_offender: bool,
    gates: tuple[str, ...],
) -> None:
    """Find the upsampling layer of a model that draws stair-steps or checkerboards.

    TARGET is package.module:factory or path/to/file.py:factory; the factory returns the model.
    """
    conditions = [parse_gate(text, OUTPUT_NAMES) for text in gates]
    if more and not inputs:
        raise InputError(f"unexpected {' '.join(more)!r}: give images with --input")
    low, high = RANGES[value_range]
    tensors = load_inputs(
        *([*inputs, *more], probes), value_range=(low, high), gray=gray, crop=crop, every_crop=until_sure is not None
    )
    if folder:
        refuse_unwritable(folder)
    describe_inputs(tensors)
    with redirect_stdout(sys.stderr):  # what the model prints must not mix with the data on stdout
        model = built_model(target, kwargs, checkpoint, device)
        with progress_bar("diagnosing", LAST_WORK) as progress:
            diagnosis = artifactlab.diagnose(
                model,
                tensors,
                output=output,
                data_range=data_range or high - low,
                sites=sites,
                fast=fast,
                calls=calls,
                verify_all=verify_all,
                until_sure=until_sure,
                seed=seed,
                progress=progress,
            )
    describe_sites([site.site.key for site in diagnosis.sites])
    digest = sha256(checkpoint) if checkpoint else None
    diagnosis = replace(diagnosis, model=ModelSource(target, digest))
    if folder:
        for path in write_report(diagnosis, folder, diagnosed_by(ctx, target, more, folder)):
            note(f"wrote {path}")
    if form == "json":
        click.echo(diagnosis.to_json())
    else:
        print_out(diagnosis_table(diagnosis))
    failed = gate_failures([("the output", asdict(diagnosis.output))], conditions)
    for failure in failed:
        click.echo(f"gate {failure.gate} failed: {failure.score:.4g} in {failure.path}", err=True)
    if failed or (fail_on_offender and diagnosis.offenders):
        sys.exit(1)
