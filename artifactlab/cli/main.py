"""`artifactlab`: the group of commands, and the one place where errors become a line on stderr."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from artifactlab.cli.compare import compare
from artifactlab.cli.config import config_option
from artifactlab.cli.demo import demo
from artifactlab.cli.diagnose import diagnose
from artifactlab.cli.fix import fix
from artifactlab.cli.init_config import init_config
from artifactlab.cli.lint import lint
from artifactlab.cli.metrics import metrics
from artifactlab.cli.score import score
from artifactlab.cli.verbosity import complain, verbosity_options
from artifactlab.cli.version import version_text
from artifactlab.errors import ArtifactLabError, first_line
from artifactlab.printable import printable, printable_lines

EXIT_ERROR = 2
EXIT_INTERRUPTED = 130


class _Commands(click.Group):
    """Commands in the order of work. A library error is one line and exit code 2; `--debug` keeps the traceback."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        with _printable_messages():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with _printable_messages():
                return super().invoke(ctx)
        except ArtifactLabError as error:
            if ctx.params.get("debug"):
                _print_traceback()
            complain(f"Error: {error}")
            sys.exit(EXIT_ERROR)
        except (KeyboardInterrupt, click.Abort):
            # click would exit with 1, which here means that a gate has failed
            click.echo("Interrupted.", err=True)
            sys.exit(EXIT_INTERRUPTED)
        except (click.exceptions.Exit, click.ClickException):
            raise
        except Exception as error:
            # a defect of ours or of the user's model; 1 would say that a gate has failed
            _print_traceback()
            complain(f"Error: unexpected {type(error).__name__}: {first_line(error)}")
            sys.exit(EXIT_ERROR)


@contextmanager
def _printable_messages() -> Iterator[None]:
    """What click says of arguments quotes them, and a shell puts the names of files there."""
    try:
        yield
    except click.ClickException as error:
        error.message = printable(error.message)  # type: ignore[misc]  # final, says a newer click
        raise


def _print_traceback() -> None:
    """The lines of code may quote names, and the error does."""
    click.echo(printable_lines(traceback.format_exc().rstrip("\n")), err=True)


def _show_version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        click.echo(version_text())
        ctx.exit()


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Versions of all that matters in a bug report.",
)
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def main(debug: bool) -> None:
    """Find the decoder layer that draws stair-steps or checkerboards, and get rid of them.

    \b
    artifactlab diagnose my_models.py:make_generator --input photos/
    artifactlab COMMAND --help
    """


main.params += verbosity_options()
for command, summary in {
    demo: "See it work: a trained U-Net with one bad upsampler.",
    lint: "What a model's weights and structure show without data.",
    diagnose: "Which layer of a model draws stair-steps or checkerboards.",
    fix: "Replace that layer, keep the model, check that it worked.",
    score: "How bad image files are.",
    compare: "Whether a remedy worked: before and after, in pairs.",
    metrics: "What the numbers mean: units, and which way is better.",
    init_config: "Write a commented file of every option, for --config.",
}.items():
    command.short_help = summary
    command.params += [config_option(), *verbosity_options()]
    main.add_command(command)
