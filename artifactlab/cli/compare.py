"""`artifactlab compare`: is it gone; and of two models, where they part."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TypeVar

import click
from rich.console import Group

import artifactlab
from artifactlab.cli.compare_models import ModelPairOptions, compared_models, is_model, model_pair_options
from artifactlab.cli.declaring import gathered
from artifactlab.cli.files import write_text
from artifactlab.cli.given import flag_of, is_given
from artifactlab.cli.input_options import InputOptions
from artifactlab.cli.options import form_option
from artifactlab.cli.param_types import Seed
from artifactlab.cli.progress import progress_bar
from artifactlab.cli.verbosity import complain, note
from artifactlab.errors import InputError
from artifactlab.files import followed, refuse_unwritable
from artifactlab.printable import printable
from artifactlab.report.compare_page import compare_page
from artifactlab.report.compare_table import compare_table, compare_text
from artifactlab.report.models_table import models_table, models_text
from artifactlab.report.page_files import asks_for_page, refuse_unwritable_page, write_page
from artifactlab.report.terminal import print_out

Compared = TypeVar("Compared", artifactlab.Comparison, artifactlab.ModelComparison)
MODEL_SUFFIXES = (".onnx", ".pt2", ".pth", ".pt", ".ts", ".ckpt")
"""How the names of models' files end, by which one that is missing is told from a missing measurement."""
BESIDE = "compare.json"
"""The file beside the page in a folder."""
MOST_NAMED = 5
"""Unreadable images that stderr names, enough to see what they have in common; the JSON has all."""


@dataclass(frozen=True)
class MeasurementOptions:
    """How measurements are compared; two models have none of these."""

    metrics: tuple[str, ...]
    """Names of the metrics to compare; empty for all of them."""
    reference: str | None
    """Folder of what the images should look like, paired by file stem; None where there is none."""
    common: bool
    """Whether images that only one side has are left out."""
    workers: int
    """Number of processes that score folders."""
    fail_on_regression: bool
    """Whether the exit code is 1 if the verdict is worse."""


@dataclass(frozen=True)
class Destination:
    """As what, and into which file, the result is written; stdout where there is none."""

    form: str
    """Format of the result: `table` or `json`."""
    target: str | None
    """The file or folder that is written, as it was typed; None for stdout."""

    @property
    def path(self) -> Path | None:
        """The file that is written; None for stdout."""
        return None if self.target is None else Path(self.target)

    @property
    def page(self) -> str | None:
        """Where a page is written; None where there is to be none."""
        wanted = self.target is not None and self.form == "table" and asks_for_page(self.target)
        return self.target if wanted else None

    def refuse_unwritable(self, models: bool) -> None:
        """Raise an InputError, before any work is done, where the result could not be written."""
        if self.page is not None and models:
            raise InputError(f"there is no page of two models, which {self.page!r} asks for; give a file for -o")
        if self.page is not None:
            refuse_unwritable_page(self.page, (BESIDE,))
        elif self.path is not None:
            refuse_unwritable(followed(self.path))


OF_MEASUREMENTS_ONLY = {field.name for field in fields(MeasurementOptions)}
"""Options that do nothing for two models."""
OF_MODELS_ONLY = {field.name for record in (ModelPairOptions, InputOptions) for field in fields(record)}
"""Options that do nothing for measurements."""


@click.command()
@click.argument("before")
@click.argument("after")
@click.argument("more", nargs=-1, metavar="")
@click.option("--metric", "metrics", multiple=True, metavar="NAME", help="Only this one; repeatable.  [default: all]")
@click.option("--reference", metavar="DIR", help="What images in folders should look like, paired by file stem.")
@click.option("--common", is_flag=True, help="Only images that both sides have.")
@form_option
@click.option(
    "-o",
    "target",
    metavar="FILE",
    help="Write there, not to stdout. Of measurements a page to look at, if it is a folder (report/) or ends in .html.",
)
@click.option("--fail-on-regression", is_flag=True, help="Exit with 1 if the verdict is worse.")
@click.option("--fail-on-difference", is_flag=True, help="Of two models: exit with 1 if their lattices part.")
@click.option(
    "--seed", type=Seed(), default=0, show_default=True, help="Of the resamples of scores, or of the models' passes."
)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Processes that score folders, at most one per core.",
)
@model_pair_options
@click.pass_context
@gathered(measurements=MeasurementOptions, models=ModelPairOptions, inputs=InputOptions, destination=Destination)
def compare(
    ctx: click.Context,
    before: str,
    after: str,
    more: tuple[str, ...],
    measurements: MeasurementOptions,
    models: ModelPairOptions,
    inputs: InputOptions,
    destination: Destination,
    seed: int,
) -> None:
    """Tell whether a remedy worked: better, worse, or cannot tell; or where two models part.

    BEFORE and AFTER are two diagnoses of the same inputs (diagnosis.json, or the folder of the report), two files that
    score wrote (JSON, JSON lines or CSV), or two folders of images with the same names. Exits with 0, with 1 if
    --fail-on-regression is given and it got worse, with 2 if an image could not be scored (after the report) or
    anything else went wrong.

    Two models (package.module:factory, path/to/file.py:factory or 4x-foo.pth, each) are run on the same --input: which
    is the first layer at which their lattices part? It may be one model in two precisions, on two devices, with two
    checkpoints. Exits with 1 if --fail-on-difference is given and they part, with 2 if it is given and that cannot be
    told.
    """
    are_models = _are_models(before, after, models.download)
    _refuse_misplaced(ctx, are_models)
    if more and not (are_models and inputs.inputs):
        raise InputError(f"unexpected {' '.join(more)!r}: compare takes two; images of two models follow --input")
    destination.refuse_unwritable(are_models)
    if are_models:
        inputs = replace(inputs, inputs=(*inputs.inputs, *more))
        of_models = compared_models((before, after), models, inputs, seed)
        _write(of_models, models_table, models_text, destination)
        _exit_of_models(of_models, models.fail_on_difference)
    else:
        of_measurements = _compared_measurements(before, after, measurements, seed)
        if destination.page is not None:
            _write_page(of_measurements, destination.page)
        else:
            _write(of_measurements, compare_table, compare_text, destination)
        _exit_of_measurements(of_measurements, measurements.fail_on_regression)


def _are_models(before: str, after: str, download: bool) -> bool:
    """Whether both arguments name models.

    Raises:
        InputError: if one of them does and the other does not.
    """
    for path in map(Path, (before, after)):
        if path.suffix in MODEL_SUFFIXES and not path.exists():
            raise InputError(f"{path}: no such file; expected a model, such as a {path.suffix} file that exists")
    first, second = is_model(before, download), is_model(after, download)
    if first != second:
        named, other = (before, after) if first else (after, before)
        raise InputError(f"cannot compare the model {named!r} with {other!r}; give two of a kind")
    return first


def _refuse_misplaced(ctx: click.Context, are_models: bool) -> None:
    """Refuse options of the other kind, which would do nothing."""
    for option in ctx.command.params:
        if is_given(ctx, option) and option.name in (OF_MEASUREMENTS_ONLY if are_models else OF_MODELS_ONLY):
            flag = flag_of(option)
            kind = "measurements (diagnoses, scores, folders), and these are models" if are_models else "two models"
            what = "" if are_models else ", given as file.py:factory or package.module:factory"
            raise InputError(f"{flag} is for {kind}{what}; leave it out")


def _compared_measurements(before: str, after: str, options: MeasurementOptions, seed: int) -> artifactlab.Comparison:
    with progress_bar("scoring") as progress:
        return artifactlab.compare(
            before,
            after,
            metrics=options.metrics or None,
            reference=options.reference,
            common=options.common,
            workers=options.workers,
            seed=seed,
            progress=progress,
        )


def _write(
    comparison: Compared,
    table: Callable[[Compared], Group],
    text: Callable[[Compared], str],
    destination: Destination,
) -> None:
    """The result on stdout, or in the file."""
    if destination.form == "json":
        write_text(comparison.to_json() + "\n", destination.path)
    elif destination.path is None and sys.stdout.isatty():
        print_out(table(comparison))
    else:
        write_text(text(comparison), destination.path)


def _write_page(comparison: artifactlab.Comparison, target: str) -> None:
    """The page, and what it comes to on stdout."""
    with progress_bar("drawing") as progress:
        page = compare_page(comparison, progress)
    written = write_page(target, page, {BESIDE: lambda: comparison.to_json() + "\n"})
    click.echo(printable(comparison.text))
    for path in written:
        note(f"wrote {path}")


def _exit_of_models(comparison: artifactlab.ModelComparison, fail_on_difference: bool) -> None:
    """Exit with 1 or 2 if there is a gate; what nobody could measure does not get through it."""
    if fail_on_difference and comparison.verdict != "same":
        complain(comparison.text)
        sys.exit(1 if comparison.verdict == "part" else 2)


def _exit_of_measurements(comparison: artifactlab.Comparison, fail_on_regression: bool) -> None:
    """Exit with 2 if an image could not be read, with 1 if there is a gate and it got worse."""
    if comparison.unreadable:
        count = len(comparison.unreadable)
        what = "1 image" if count == 1 else f"{count} images"
        complain(f"{what} could not be read: {', '.join(comparison.unreadable[:MOST_NAMED])}")
        sys.exit(2)
    if fail_on_regression and comparison.verdict == "worse":
        complain(comparison.text)
        sys.exit(1)
