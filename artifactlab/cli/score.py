"""`artifactlab score`: how bad are these images."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from artifactlab.cli.files import refuse_unwritable, write_text
from artifactlab.cli.progress import progress_bar
from artifactlab.cli.verbosity import complain
from artifactlab.report.score_table import RENDER
from artifactlab.scoring.measures import METRICS
from artifactlab.scoring.score import score_images

METRIC_HELP = "\b\nMetrics:\n" + "\n".join(f"  {name} ({m.unit})\n      {m.description}" for name, m in METRICS.items())


@click.command(epilog=METRIC_HELP)
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option("--reference", metavar="DIR", help="What the images should look like, paired by file stem.")
@click.option("--metric", "metrics", multiple=True, metavar="NAME", help="Only this one; repeatable.  [default: all]")
@click.option("--recursive", is_flag=True, help="Look into folders inside folders.")
@click.option("--format", "form", type=click.Choice(list(RENDER)), default="table", show_default=True)
@click.option("-o", "target", type=click.Path(path_type=Path), metavar="FILE", help="Write there, not to stdout.")
@click.option(
    "--fail-on",
    "gates",
    multiple=True,
    metavar="EXPR",
    help="Exit with 1 if an image meets it, e.g. 'edge_jaggedness>0.3'; repeatable.",
)
@click.option("--workers", type=click.IntRange(min=1), default=1, show_default=True, help="Processes.")
def score(
    paths: tuple[str, ...],
    reference: str | None,
    metrics: tuple[str, ...],
    recursive: bool,
    form: str,
    target: Path | None,
    gates: tuple[str, ...],
    workers: int,
) -> None:
    """Score images: stair-stepped edges and grids.

    PATH is an image file, a folder or a quoted glob pattern. Exits with 0, with 1 if a --fail-on condition is met, with
    2 if an image could not be scored or anything else went wrong; the report is complete in the first two cases and
    where single images are at fault.
    """
    if target is not None:
        refuse_unwritable(target)
    with progress_bar("scoring") as progress:
        report = score_images(paths, reference, metrics or None, recursive, gates, workers, progress)
    write_text(RENDER[form](report), target)
    for failure in report.failures:
        complain(f"gate {failure.gate} failed: {failure.score:.4g} in {failure.path}")
    if report.unreadable:
        complain(f"{len(report.unreadable)} of {len(report.images)} images could not be read")
    sys.exit(2 if report.unreadable else 1 if report.failures else 0)
