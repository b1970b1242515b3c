"""`artifactlab fix --suggest`: a menu of cures, measured, with the command to type for each."""

from __future__ import annotations

import click

from artifactlab.cli.again import typed_with
from artifactlab.cli.fix_options import NOT_WITH_POST
from artifactlab.cli.given import flag_of, is_given
from artifactlab.cli.input_options import InputOptions
from artifactlab.cli.progress import progress_stages
from artifactlab.cli.records import ModelOptions
from artifactlab.cli.verbosity import describe_inputs, prints_to_stderr
from artifactlab.errors import InputError
from artifactlab.fix.options import JudgingOptions
from artifactlab.fix.suggest import Suggestion, suggest
from artifactlab.inputs.probes import STANDARD_PROBES
from artifactlab.printable import printable
from artifactlab.report.suggestions_table import suggestions_json, suggestions_table
from artifactlab.report.terminal import print_out

NOT_WITH_SUGGEST = NOT_WITH_POST | {"post", "out", "distil_on"}
"""What says which cure is taken, by the parameters of the options: --suggest tries all and writes nothing."""


def print_suggestions(
    ctx: click.Context, model: ModelOptions, inputs: InputOptions, sites: tuple[str, ...], seed: int, form: str
) -> None:
    """Try all cures, and print what came of them.

    Raises:
        InputError: for options that say which cure is taken.
    """
    given = [flag_of(one) for one in ctx.command.params if one.name in NOT_WITH_SUGGEST and is_given(ctx, one)]
    if given:
        raise InputError(f"--suggest tries every cure that takes seconds; leave out {', '.join(given)}")
    loaded = inputs.load(seed) if inputs.given or inputs.noise else inputs.of((), STANDARD_PROBES).load(seed)
    describe_inputs(loaded, "judged on")
    with prints_to_stderr(), progress_stages() as stage:
        built = model.build()
        judging = JudgingOptions(output=inputs.output, data_range=inputs.output_range, seed=seed)
        menu = suggest(built, inputs.for_model(built, loaded), sites or None, judging=judging, stage=stage)

    def command(one: Suggestion) -> str:
        return typed_with(ctx, model.target, (*one.options, "-o", "fixed.safetensors"), without=("suggest", "form"))

    if form == "json":
        click.echo(suggestions_json(menu, command))
        return
    print_out(suggestions_table(menu))
    for one in menu.cures:  # on one line, whatever the terminal's width, to be pasted
        click.echo(printable(command(one)))
