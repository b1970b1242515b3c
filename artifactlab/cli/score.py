"""`artifactlab score`: how bad are these images."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import click
from click.core import ParameterSource

from artifactlab.cli.calibrating import write_calibration
from artifactlab.cli.files import write_text
from artifactlab.cli.options import flag_of, is_given
from artifactlab.cli.progress import progress_bar
from artifactlab.cli.ranking import check_ranking, render_ranking
from artifactlab.cli.verbosity import complain
from artifactlab.errors import InputError
from artifactlab.files import followed, refuse_unwritable
from artifactlab.inputs.images import MAX_PIXELS
from artifactlab.report.score_table import RENDER, render_table
from artifactlab.scoring.engines import Engine, engine_of
from artifactlab.scoring.gate_files import read_gates
from artifactlab.scoring.gates import Gate
from artifactlab.scoring.measures import METRICS
from artifactlab.scoring.ray_data import on_ray
from artifactlab.scoring.score import chosen_metrics, score_images
from artifactlab.scoring.score_report import ScoreReport, refuse_unsortable

METRIC_HELP = "\b\nMetrics:\n" + "\n".join(f"  {name} ({m.unit})\n      {m.description}" for name, m in METRICS.items())

OF_GATES = ("github", "junit")
"""Formats that say nothing but which gates failed."""
BY_SUFFIX = {**{form: form for form in RENDER if form not in OF_GATES}, "xml": "junit"}
"""Formats by the endings of files, without the dot."""


@click.command(epilog=METRIC_HELP)
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option("--reference", metavar="DIR", help="What the images should look like, paired by file stem.")
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
@click.option("-o", "target", type=click.Path(path_type=Path), metavar="FILE", help="Write there, not to stdout.")
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
def score(
    paths: tuple[str, ...],
    reference: str | None,
    metrics: tuple[str, ...],
    recursive: bool,
    sort: str | None,
    top: int | None,
    form: str | None,
    target: Path | None,
    gates: tuple[str, ...],
    gate_file: Path | None,
    by: str | None,
    bad: str | None,
    false_alarms: float,
    workers: int,
    engine: str,
    ray_address: str | None,
    max_pixels: int,
) -> None:
    """Score images: stair-stepped edges and grids.

    PATH is an image file, a folder or a quoted glob pattern. Exits with 0, with 1 if a --fail-on condition is met, with
    2 if an image could not be scored or anything else went wrong; the report is complete in the first two cases and
    where single images are at fault.
    """
    _refuse_with_calibrate(bad)
    form = form or _form_of(target)
    conditions: list[Gate | str] = [*gates, *(() if gate_file is None else read_gates(gate_file))]
    if form in OF_GATES and not conditions:
        raise InputError(f"--format {form} says which gates failed: give --gates FILE or --fail-on EXPR")
    if by is not None:
        check_ranking(by, form, top, sort, chosen_metrics(metrics or None, reference))
    if top is not None and form != "table":
        raise InputError(f"--top is for the table, and {form} holds all images; leave it out")
    if sort is not None:
        refuse_unsortable(sort, chosen_metrics(metrics or None, reference))
    if target is not None:
        refuse_unwritable(followed(target))

    def scored(paths: tuple[str, ...]) -> ScoreReport:
        with progress_bar("scoring") as progress:
            return score_images(
                paths,
                reference,
                metrics or None,
                recursive,
                conditions,
                _workers(workers, engine),
                progress,
                max_pixels,
                _engine(engine, ray_address),
            )

    if bad is not None:
        sys.exit(write_calibration(scored, paths, bad, false_alarms, target))
    report = scored(paths)
    report = report if sort is None else report.worst_first(sort)
    if by is not None:
        write_text(render_ranking(report, by, sort, form), target)
    else:
        write_text(render_table(report, top) if form == "table" else RENDER[form](report), target)
    for failure in report.failures:
        complain(f"gate {failure.gate} failed: {failure.score:.4g} in {failure.path}")
    if report.unreadable:
        complain(f"{len(report.unreadable)} of {len(report.images)} images could not be read")
    sys.exit(2 if report.unreadable else 1 if report.failures else 0)


def _form_of(target: Path | None) -> str:
    """The format that a file's name asks for; a table where it asks for none."""
    suffix = "" if target is None else target.suffix.removeprefix(".").lower()
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
