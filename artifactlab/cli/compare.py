"""`artifactlab compare`: is it gone; and of two models, where they part."""

from __future__ import annotations

import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

import artifactlab
from artifactlab.cli.compare_models import ModelOptions, compared_models, is_model, model_pair_options
from artifactlab.cli.files import refuse_unwritable, write_text
from artifactlab.cli.progress import progress_bar
from artifactlab.errors import InputError
from artifactlab.report.compare_table import compare_table, compare_text
from artifactlab.report.models_table import models_table, models_text
from artifactlab.report.terminal import print_out

NAMED = 5
"""unreadable images on stderr; the JSON has all"""
OF_MEASUREMENTS = ("metrics", "reference", "workers", "fail_on_regression")
"""what only measurements have"""


@click.command()
@click.argument("before")
@click.argument("after")
@click.argument("more", nargs=-1, metavar="")
@click.option("--metric", "metrics", multiple=True, metavar="NAME", help="Only this one; repeatable.  [default: all]")
@click.option("--reference", metavar="DIR", help="What images in folders should look like, paired by file stem.")
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table", show_default=True)
@click.option("-o", "target", type=click.Path(path_type=Path), metavar="FILE", help="Write there, not to stdout.")
@click.option("--fail-on-regression", is_flag=True, help="Exit with 1 if the verdict is worse.")
@click.option("--fail-on-difference", is_flag=True, help="Of two models: exit with 1 if their lattices part.")
@click.option(
    "--seed", type=int, default=0, show_default=True, help="Of the resamples of scores, or of the models' passes."
)
@click.option(
    "--workers", type=click.IntRange(min=1), default=1, show_default=True, help="Processes that score folders."
)
@model_pair_options
@click.pass_context
def compare(
    ctx: click.Context,
    /,
    before: str,
    after: str,
    more: tuple[str, ...],
    metrics: tuple[str, ...],
    reference: str | None,
    form: str,
    target: Path | None,
    fail_on_regression: bool,
    fail_on_difference: bool,
    seed: int,
    workers: int,
    **of_models: Any,
) -> None:
    """Tell whether a remedy worked: better, worse, or cannot tell; or where two models part.

    BEFORE and AFTER are two diagnoses of the same inputs (diagnosis.json, or the folder of the report), two files that
    score wrote (JSON or CSV), or two folders of images with the same names. Exits with 0, with 1 if
    --fail-on-regression is given and it got worse, with 2 if an image could not be scored (after the report) or
    anything else went wrong.

    Two models (package.module:factory or path/to/file.py:factory, each) are run on the same --input: which is the first
    layer at which their lattices part? It may be one model in two precisions, on two devices, with two checkpoints.
    Exits with 1 if --fail-on-difference is given and they part, with 2 if it is given and that cannot be told.
    """
    models = [is_model(argument) for argument in (before, after)]
    if any(models) and not all(models):
        named, other = (before, after) if models[0] else (after, before)
        raise InputError(f"cannot compare the model {named!r} with {other!r}; give two of a kind")
    _refuse_misplaced(ctx, all(models), (*of_models, "fail_on_difference"))
    if more and not (all(models) and of_models["inputs"]):
        raise InputError(f"unexpected {' '.join(more)!r}: compare takes two; images of two models follow --input")
    if target is not None:
        refuse_unwritable(target)
    if all(models):
        options = ModelOptions(**{**of_models, "inputs": (*of_models["inputs"], *more)})
        found = compared_models((before, after), options, seed)
        _show(found, models_table, models_text, form, target)
        _exit_of_models(found, fail_on_difference)
        return
    with progress_bar("scoring") as progress:
        comparison = artifactlab.compare(
            before,
            after,
            metrics=metrics or None,
            reference=reference,
            workers=workers,
            seed=seed,
            progress=progress,
        )
    _show(comparison, compare_table, compare_text, form, target)
    if comparison.unreadable:
        count = len(comparison.unreadable)
        what = "1 image" if count == 1 else f"{count} images"
        click.echo(f"{what} could not be read: {', '.join(comparison.unreadable[:NAMED])}", err=True)
        sys.exit(2)
    if fail_on_regression and comparison.verdict == "worse":
        click.echo(comparison.text, err=True)
        sys.exit(1)


def _show(comparison: Any, table: Any, text: Any, form: str, target: Path | None) -> None:
    """The result on stdout, or in the file."""
    if form == "json":
        write_text(comparison.to_json() + "\n", target)
    elif target is None and sys.stdout.isatty():
        print_out(table(comparison))
    else:
        write_text(text(comparison), target)


def _exit_of_models(comparison: artifactlab.ModelComparison, fail_on_difference: bool) -> None:
    """What nobody could measure passes no gate."""
    if fail_on_difference and comparison.verdict != "same":
        click.echo(comparison.text, err=True)
        sys.exit(1 if comparison.verdict == "part" else 2)


def _refuse_misplaced(ctx: click.Context, models: bool, of_models: Collection[str]) -> None:
    """Options of the other kind would do nothing."""
    for option in ctx.command.params:
        given = ctx.get_parameter_source(option.name or "") not in (ParameterSource.DEFAULT, None)
        if given and option.name in (OF_MEASUREMENTS if models else of_models):
            flag = max(option.opts, key=len)
            kind = "measurements (diagnoses, scores, folders), and these are models" if models else "two models"
            what = "" if models else ", given as file.py:factory or package.module:factory"
            raise InputError(f"{flag} is for {kind}{what}; leave it out")
