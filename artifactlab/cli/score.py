"""`artifactlab score`: how bad are these images."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import click

from artifactlab.cli.files import write_text
from artifactlab.cli.progress import progress_bar
from artifactlab.cli.records import gathered
from artifactlab.cli.store_options import StoreOptions, store_options
from artifactlab.cli.verbosity import complain, note
from artifactlab.errors import InputError
from artifactlab.files import followed, refuse_unwritable
from artifactlab.inputs.images import MAX_PIXELS
from artifactlab.report.page_files import asks_for_page, refuse_unwritable_page, write_page
from artifactlab.report.score_page import score_page
from artifactlab.report.score_table import RENDER, conclusion, render_table
from artifactlab.scoring.measures import METRICS
from artifactlab.scoring.score import chosen_metrics, score_images, stored_scores
from artifactlab.scoring.score_report import ScoreReport, refuse_unsortable

PAGE_FORM = "page"
"""The format of what is no text, but to look at."""
BESIDE = {"scores.json": "json", "scores.csv": "csv"}
"""Files beside the page in a folder, and their formats."""
METRIC_HELP = "\b\nMetrics:\n" + "\n".join(f"  {name} ({m.unit})\n      {m.description}" for name, m in METRICS.items())


@click.command(epilog=METRIC_HELP)
@click.argument("paths", nargs=-1, metavar="PATH...")
@click.option(
    "--reference", metavar="DIR", help="What the images should look like, paired by relative path or file stem."
)
@click.option("--column", metavar="NAME", help="Column of the images in tables; ending of members in shards.")
@click.option("--reference-column", metavar="NAME", help="Likewise, of what the images should look like.")
@click.option(
    "--every",
    type=click.IntRange(min=1),
    metavar="N",
    help="Every Nth frame, page or slice.  [default: a frame per second, all pages and slices]",
)
@click.option("--metric", "metrics", multiple=True, metavar="NAME", help="Only this one; repeatable.  [default: all]")
@click.option("--recursive", is_flag=True, help="Look into folders inside folders.")
@click.option("--sort", metavar="NAME", help="Worst first, by this metric.")
@click.option("--top", type=click.IntRange(min=1), metavar="N", help="Rows of the table; the summary is of all images.")
@click.option(
    "--format",
    "form",
    type=click.Choice(list(RENDER)),
    help="Default is what the suffix of -o says, or else a table.",
)
@click.option(
    "-o",
    "target",
    metavar="FILE",
    help="Write there, not to stdout. A page to look at, where it is a folder (report/) or ends in .html.",
)
@click.option(
    "--fail-on",
    "gates",
    multiple=True,
    metavar="EXPR",
    help="Exit with 1 if an image meets it, e.g. 'severity>1'; repeatable. The word shows is short for"
    " 'severity>1' and 'worst_window>1', which the verdict is made of.",
)
@click.option(
    "--workers", type=click.IntRange(min=1), default=1, show_default=True, help="Processes, at most one per core."
)
@click.option(
    "--max-pixels",
    type=click.IntRange(min=1),
    default=MAX_PIXELS,
    show_default=True,
    help="Largest image that is read, in pixels of 8-bit RGB.",
)
@click.option("--device", default="cpu", show_default=True, help="Where the sums are taken, e.g. cuda.")
@store_options
@gathered(keeping=StoreOptions)
def score(
    paths: tuple[str, ...],
    reference: str | None,
    column: str | None,
    reference_column: str | None,
    every: int | None,
    metrics: tuple[str, ...],
    recursive: bool,
    sort: str | None,
    top: int | None,
    form: str | None,
    target: str | None,
    gates: tuple[str, ...],
    workers: int,
    max_pixels: int,
    device: str,
    keeping: StoreOptions,
) -> None:
    """Score images: stair-stepped edges and grids.

    PATH is an image file, a folder, a quoted glob pattern or a URL (s3://, gs://, hf://, zip://...::file.zip); there is
    none with --from-store. Tar shards, Parquet, Arrow, CSV and JSON lines, videos, multi-page TIFFs and NIfTI volumes
    stand for the images in them. Exits with 0, with 1 if a --fail-on condition is met, with 2 if an image could not be
    scored or anything else went wrong; the report is complete in the first two cases and where single images are at
    fault.
    """
    keeping.check(click.get_current_context())
    form = form or _form_of(target)
    if top is not None and form != "table":
        raise InputError(f"--top is for the table, and {form} holds all images; leave it out")
    if sort is not None and keeping.from_store is None:
        refuse_unsortable(sort, chosen_metrics(metrics or None, reference or reference_column))
    if form == PAGE_FORM and target is not None:
        refuse_unwritable_page(target, tuple(BESIDE))
    elif target is not None:
        refuse_unwritable(followed(Path(target)))
    if keeping.from_store is not None:
        report = stored_scores(keeping.from_store, gates)
    else:
        with progress_bar("scoring", unit="images") as progress, keeping.told():
            report = score_images(
                *(paths, reference, metrics or None, recursive, gates, workers, progress, max_pixels, device),
                column=column,
                reference_column=reference_column,
                every=every,
                store=keeping.store,
                resume=keeping.resume,
            )
    report = report if sort is None else report.worst_first(sort)
    if form == PAGE_FORM and target is not None:
        _write_page(report, target)
    else:
        text = render_table(report, top) if form == "table" else RENDER[form](report)
        write_text(text, None if target is None else Path(target))
    for failure in report.failures:
        complain(f"gate {failure.gate} failed: {failure.score:.4g} in {failure.path}")
    if report.unreadable:
        complain(f"{len(report.unreadable)} of {len(report.images)} images could not be read")
    sys.exit(2 if report.unreadable else 1 if report.failures else 0)


def _write_page(report: ScoreReport, target: str) -> None:
    with progress_bar("drawing") as progress:
        page = score_page(report, progress)
    written = write_page(target, page, {name: partial(RENDER[form], report) for name, form in BESIDE.items()})
    click.echo(conclusion(report).plain)
    for path in written:
        note(f"wrote {path}")


def _form_of(target: str | None) -> str:
    """The format that a file's name asks for; a table where it asks for none."""
    if target is not None and asks_for_page(target):
        return PAGE_FORM
    suffix = "" if target is None else Path(target).suffix.removeprefix(".").lower()
    return suffix if suffix in RENDER else "table"
