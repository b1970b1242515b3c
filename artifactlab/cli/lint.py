"""`artifactlab lint`: what weights and structure show without data."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

import artifactlab
from artifactlab.cli.options import factory_options, form_option
from artifactlab.cli.progress import progress_bar
from artifactlab.cli.records import ModelOptions
from artifactlab.cli.verbosity import note, prints_to_stderr
from artifactlab.lint import looks_trained
from artifactlab.report.lint_table import lint_data, lint_table, rules_data, rules_table
from artifactlab.report.terminal import print_out


@click.command()
@click.argument("target", required=False)
@factory_options
@click.option(
    "--trained", is_flag=True, help="The factory itself loads trained weights.  [implied by a file of weights]"
)
@form_option
@click.option("--rules", is_flag=True, help="List what is looked for, and why; needs no TARGET.")
@click.option("--fail-on-warning", is_flag=True, help="Exit with 1 if there is a warning.")
def lint(
    target: str | None,
    kwargs: dict[str, Any],
    checkpoint: Path | None,
    checkpoint_key: str | None,
    download: bool,
    trained: bool,
    form: str,
    rules: bool,
    fail_on_warning: bool,
) -> None:
    """Read defects off a decoder's weights and structure, without any data.

    TARGET is package.module:factory, path/to/file.py:factory, or a file or folder that holds a model, such as
    4x-foo.pth, model.pt2 or what diffusers or transformers wrote. Exits with 0, with 1 if
    --fail-on-warning is given and there is a warning, with 2 if anything went wrong.
    """
    if rules:
        _show(rules_data() if form == "json" else rules_table())
        return
    if target is None:
        raise click.UsageError("give a TARGET such as models.py:make, or --rules")
    options = ModelOptions(target, kwargs, checkpoint, checkpoint_key, download)
    trained = trained or options.weights is not None
    with prints_to_stderr():
        model = options.build()
        with progress_bar("reading weights"):
            findings = artifactlab.lint(model, trained=trained)
            if not trained and looks_trained(model):
                note("the weights look trained, and were taken for untrained ones; say --trained if they are")
    data = lint_data(findings, source=target, sha256=options.digest(), trained=trained)
    _show(data if form == "json" else lint_table(findings))
    if fail_on_warning and any(found.level == "warning" for found in findings):
        sys.exit(1)


def _show(content: Any) -> None:
    """Data as JSON, anything else as rich prints it."""
    if isinstance(content, dict):
        click.echo(json.dumps(content, indent=2, allow_nan=False))
    else:
        print_out(content)
