"""`artifactlab score`: how bad are these images."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import click
from click.core import ParameterSource

from artifactlab.cli.declaring import gathered
from artifactlab.cli.files import write_text
from artifactlab.cli.given import flag_of, is_given
from artifactlab.cli.progress import progress_bar
from artifactlab.cli.store_options import StoreOptions, store_options
from artifactlab.cli.verbosity import complain, note
from artifactlab.errors import InputError
from artifactlab.files import followed, refuse_unwritable
from artifactlab.inputs.images import MAX_PIXELS
from artifactlab.report.page_files import asks_for_page, refuse_unwritable_page, write_page
from artifactlab.report.score_table import RENDER, conclusion, render_table
from artifactlab.scoring.engines import Engine, engine_of
from artifactlab.scoring.gate_files import read_gates
from artifactlab.scoring.gates import Gate, failure_lines
from artifactlab.scoring.measures import METRICS
from artifactlab.scoring.ray_data import on_ray
from artifactlab.scoring.score import chosen_metrics, score_images, stored_scores
from artifactlab.scoring.score_report import ScoreReport, refuse_unsortable

PAGE_FORM = "page"
"""The format of what is no text, but to look at."""
BESIDE = {"scores.json": "json", "scores.csv": "csv"}
"""Files beside the page in a folder, and their formats."""
METRIC_HELP = "\b\nMetrics:\n" + "\n".join(f"  {name} ({m.unit})\n      {m.description}" for name, m in METRICS.items())

OF_GATES = ("github", "junit")
"""Formats that say nothing but which gates failed."""
BY_SUFFIX = {**{form: form for form in RENDER if form not in OF_GATES}, "xml": "junit"}
"""Formats by the endings of files, without the dot."""


@click.command(epilog=METRIC_HELP)
@click.argument("paths", nargs=-1, metavar="PATH...")
@click.option(
    "--reference", metavar="DIR", help="What the images should look like, paired by relative path or file stem."
)
@click.option("--common", is_flag=True, help="Only images that have a reference; other references are left out.")
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
    "--gates",
    "gate_file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="The same, of each of the gates in a file that --calibrate or you have written.",
)
@click.option(
    "--by",
    metavar="folder|REGEX",
    help="Rank models or checkpoints: groups of images by the folder they lie in, or by what an expression's first"
    " group finds in their paths.",
)
@click.option(
    "--calibrate",
    "bad",
    metavar="BAD",
    help="Choose gates that fail on images such as these and not on those of PATH, and write them to -o.",
)
@click.option(
    "--false-alarms",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.01,
    show_default=True,
    help="Share of good images that the gates of --calibrate may accuse.",
)
@click.option(
    "--workers", type=click.IntRange(min=1), default=1, show_default=True, help="Processes, at most one per core."
)
@click.option(
    "--engine",
    metavar="NAME",
    default="processes",
    show_default=True,
    help="What makes the rows: processes here, or ray for a cluster, of which it takes all cores unless --workers is"
    " given.",
)
@click.option("--ray-address", metavar="HOST:PORT", help="A Ray cluster that runs.  [default: one on this machine]")
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
    common: bool,
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
    gate_file: Path | None,
    by: str | None,
    bad: str | None,
    false_alarms: float,
    workers: int,
    engine: str,
    ray_address: str | None,
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
    _refuse_with_calibrate(bad)
    form = form or _form_of(target)
    conditions: list[Gate | str] = [*gates, *(() if gate_file is None else read_gates(gate_file))]
    if form in OF_GATES and not conditions:
        raise InputError(f"--format {form} says which gates failed: give --gates FILE or --fail-on EXPR")
    if by is not None:
        from artifactlab.cli.ranking import check_ranking  # these three bring all that compares, or all that draws

        check_ranking(by, form, top, sort, chosen_metrics(metrics or None, reference or reference_column))
    if top is not None and form != "table":
        raise InputError(f"--top is for the table, and {form} holds all images; leave it out")
    if sort is not None and keeping.from_store is None:
        refuse_unsortable(sort, chosen_metrics(metrics or None, reference or reference_column))
    if form == PAGE_FORM and target is not None:
        refuse_unwritable_page(target, tuple(BESIDE))
    elif target is not None:
        refuse_unwritable(followed(Path(target)))

    def scored(paths: tuple[str, ...]) -> ScoreReport:
        if keeping.from_store is not None:
            return stored_scores(keeping.from_store, conditions)
        with progress_bar("scoring", unit="images") as progress, keeping.told():
            return score_images(
                paths,
                reference,
                metrics or None,
                recursive=recursive,
                gates=conditions,
                workers=_workers(workers, engine),
                progress=progress,
                max_pixels=max_pixels,
                device=device,
                column=column,
                reference_column=reference_column,
                every=every,
                common=common,
                store=keeping.store,
                resume=keeping.resume,
                engine=_engine(engine, ray_address),
            )

    if bad is not None:
        from artifactlab.cli.calibrating import write_calibration

        sys.exit(write_calibration(scored, paths, bad, false_alarms, None if target is None else Path(target)))
    report = scored(paths)
    report = report if sort is None else report.worst_first(sort)
    if form == PAGE_FORM and target is not None:
        _write_page(report, target)
    else:
        text = render_table(report, top) if form == "table" else RENDER[form](report)
        if by is not None:
            from artifactlab.cli.ranking import render_ranking

            text = render_ranking(report, by, sort, form)
        write_text(text, None if target is None else Path(target))
    for line in failure_lines(report.failures, len(report.images)):
        complain(line)
    if report.unreadable:
        complain(f"{len(report.unreadable)} of {len(report.images)} images could not be read")
    sys.exit(2 if report.unreadable else 1 if report.failures else 0)


def _write_page(report: ScoreReport, target: str) -> None:
    from artifactlab.report.score_page import score_page

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
    return BY_SUFFIX.get(suffix, "table")


def _engine(name: str, ray_address: str | None) -> Engine:
    """The engine that was named, at the cluster that was."""
    engine = engine_of(name)
    if ray_address is None:
        return engine
    if engine is not on_ray:
        raise InputError(f"--ray-address is for --engine ray, and the engine is {name}; leave it out, or name ray")
    return partial(on_ray, address=ray_address)


def _workers(workers: int, engine: str) -> int:
    """As many as were asked for; of a cluster all that there are, unless that was."""
    ctx = click.get_current_context()
    given = ctx.get_parameter_source("workers") is not ParameterSource.DEFAULT
    return workers if given or engine == "processes" else sys.maxsize


def _refuse_with_calibrate(bad: str | None) -> None:
    """Options that mean nothing while gates are chosen, or while none are."""
    ctx = click.get_current_context()
    idle = ("false_alarms",) if bad is None else ("gates", "gate_file", "by", "form", "sort", "top")
    given = [flag_of(option) for option in ctx.command.params if option.name in idle and is_given(ctx, option)]
    if given:
        where = "is for --calibrate, which was not given" if bad is None else "says nothing to --calibrate"
        raise InputError(f"{given[0]} {where}; leave it out")
