"""`artifactlab`: the group of commands, and the one place where errors become a line on stderr."""

from __future__ import annotations

import sys
import traceback
from importlib import import_module
from typing import Any

import click
from click.shell_completion import CompletionItem

from artifactlab.cli.verbosity import verbosity_options
from artifactlab.errors import ArtifactLabError, first_line

EXIT_ERROR = 2
EXIT_INTERRUPTED = 130
COMMANDS = {
    "demo": "See it work: a trained U-Net with one bad upsampler.",
    "lint": "What a model's weights and structure show without data.",
    "diagnose": "Which layer of a model draws stair-steps or checkerboards.",
    "fix": "Replace that layer, keep the model, check that it worked.",
    "score": "How bad image files are.",
    "compare": "Whether a remedy worked: before and after, in pairs.",
    "metrics": "What the numbers mean: units, and which way is better.",
    "init-config": "Write a commented file of every option, for --config.",
}
"""name -> one line of help, in the order of work; `init-config` is `init_config` in `artifactlab/cli/init_config.py`"""


class _Commands(click.Group):
    """Loads a command only when it is named, as most import torch: help and completion of names stay quick.

    Shows a library error as one line and exits with 2; `--debug` keeps the traceback.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return load_command(cmd_name) if cmd_name in COMMANDS else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        found = [CompletionItem(name, help=text) for name, text in COMMANDS.items() if name.startswith(incomplete)]
        return found + click.Command.shell_complete(self, ctx, incomplete)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ArtifactLabError as error:
            if ctx.params.get("debug"):
                traceback.print_exc()
            click.echo(f"Error: {error}", err=True)
            sys.exit(EXIT_ERROR)
        except (KeyboardInterrupt, click.Abort):
            # click would exit with 1, which here means that a gate has failed
            click.echo("Interrupted.", err=True)
            sys.exit(EXIT_INTERRUPTED)
        except (click.exceptions.Exit, click.ClickException):
            raise
        except Exception as error:
            # a defect of ours or of the user's model; 1 would say that a gate has failed
            traceback.print_exc()
            click.echo(f"Error: unexpected {type(error).__name__}: {first_line(error)}", err=True)
            sys.exit(EXIT_ERROR)


def load_command(name: str) -> click.Command:
    """The command from the file of its name, with the options that all commands share."""
    from artifactlab.cli.config import config_option

    attribute = name.replace("-", "_")
    command: click.Command = getattr(import_module(f"artifactlab.cli.{attribute}"), attribute)
    if not any(param.name == "verbose" for param in command.params):
        command.params += [config_option(COMMANDS), *verbosity_options()]
    return command


def _show_version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from artifactlab.cli.version import version_text

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
