"""`artifactlab compare`: is it gone."""

from __future__ import annotations

import sys
from pathlib import Path

import click

import artifactlab
from artifactlab.cli.files import refuse_unwritable, write_text
from artifactlab.cli.progress import progress_bar
from artifactlab.report.compare_table import compare_table, compare_text
from artifactlab.report.terminal import print_out

NAMED = 5
"""unreadable images on stderr; the JSON has all"""


@click.command()
@click.argument("before")
@click.argument("after")
@click.option("--metric", "metrics", multiple=True, metavar="NAME", help="Only this one; repeatable.  [default: all]")
@click.option("--reference", metavar="DIR", help="What images in folders should look like, paired by file stem.")
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table", show_default=True)
@click.option("-o", "target", type=click.Path(path_type=Path), metavar="FILE", help="Write there, not to stdout.")
@click.option("--fail-on-regression", is_flag=True, help="Exit with 1 if the verdict is worse.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the resamples of scores.")
@click.option(
    "--workers", type=click.IntRange(min=1), default=1, show_default=True, help="Processes that score folders."
)
def compare(
    before: str,
    after: str,
    metrics: tuple[str, ...],
    reference: str | None,
    form: str,
    target: Path | None,
    fail_on_regression: bool,
    seed: int,
    workers: int,
) -> None:
    """Tell whether a remedy worked: better, worse, or cannot tell.

    BEFORE and AFTER are two diagnoses of the same inputs (diagnosis.json, or the folder of the report), two files that
    score wrote (JSON or CSV), or two folders of images with the same names. Exits with 0, with 1 if
    --fail-on-regression is given and it got worse, with 2 if an image could not be scored (after the report) or
    anything else went wrong.
    """
    if target is not None:
        refuse_unwritable(target)
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
    if form == "json":
        write_text(comparison.to_json() + "\n", target)
    elif target is None and sys.stdout.isatty():
        print_out(compare_table(comparison))
    else:
        write_text(compare_text(comparison), target)
    if comparison.unreadable:
        count = len(comparison.unreadable)
        what = "1 image" if count == 1 else f"{count} images"
        click.echo(f"{what} could not be read: {', '.join(comparison.unreadable[:NAMED])}", err=True)
        sys.exit(2)
    if fail_on_regression and comparison.verdict == "worse":
        click.echo(comparison.text, err=True)
        sys.exit(1)
