"""`artifactlab demo`: see it work."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from artifactlab.attribution.records import ModelSource
from artifactlab.cli.progress import LAST_WORK, progress_bar
from artifactlab.cli.verbosity import verbosity
from artifactlab.demo.run import run_demo
from artifactlab.demo.unet import SWAPPED_WEIGHTS
from artifactlab.models.checkpoint import sha256
from artifactlab.printable import printable
from artifactlab.report.diagnosis_table import diagnosis_table
from artifactlab.report.files import PAGE, refuse_unwritable_report, write_report
from artifactlab.report.next_steps import Invocation
from artifactlab.report.terminal import print_out


@click.command()
@click.option(
    "-o",
    "folder",
    type=click.Path(path_type=Path),
    default="artifactlab-demo",
    show_default=True,
    metavar="DIR",
    help="Where to write the report.",
)
def demo(folder: Path) -> None:
    """Diagnose a small trained U-Net in which one of three upsamplers was swapped."""
    refuse_unwritable_report(folder)
    with progress_bar("diagnosing", LAST_WORK) as progress:
        diagnosis, cured = run_demo(progress)
    source = ModelSource("artifactlab.demo.unet:broken", sha256(SWAPPED_WEIGHTS))
    diagnosis = replace(diagnosis, model=source)
    paths = write_report(diagnosis, folder, Invocation("artifactlab.demo.unet:broken", folder=str(folder)))
    print_out(diagnosis_table(diagnosis))
    click.echo(
        f"\nThe truth, measured apart: with the original dec.up2 put back, the output's severity falls from "
        f"{diagnosis.output.severity:.2f} to {cured:.2f}."
    )
    if verbosity() != "quiet":
        others = ", ".join(path.name for path in paths if path.name != PAGE)
        click.echo(printable(f"Open {folder / PAGE} in a browser; beside it are {others}."))
