"""`artifactlab metrics`: what the numbers mean."""

from __future__ import annotations

import json

import click

from artifactlab.cli.options import form_option
from artifactlab.report.metrics_table import metrics_data, metrics_table
from artifactlab.report.terminal import print_out


@click.command()
@form_option
def metrics(form: str) -> None:
    """List the numbers that score and diagnose report: unit, which way is better, smallest image, meaning."""
    if form == "json":
        click.echo(json.dumps(metrics_data(), indent=2))
    else:
        print_out(metrics_table())
