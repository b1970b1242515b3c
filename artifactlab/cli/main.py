"""`artifactlab`: the group of commands, and the one place where errors become a line on stderr."""

from __future__ import annotations

import sys
import traceback
from typing import Any

import click

from artifactlab.cli.demo import demo
from artifactlab.cli.diagnose import diagnose
from artifactlab.cli.fix import fix
from artifactlab.cli.lint import lint
from artifactlab.cli.score import score
from artifactlab.errors import ArtifactLabError, first_line

EXIT_ERROR = 2
EXIT_INTERRUPTED = 130


class _Commands(click.Group):
    """Shows a library error as one line and exits with 2; `--debug` keeps the traceback."""

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


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="artifactlab")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def main(debug: bool) -> None:
    """Find the decoder layer that draws stair-steps or checkerboards.

    \b
    artifactlab demo                                  see it work
    artifactlab diagnose models.py:make --input DIR   which layer of your model causes it
    artifactlab fix models.py:make -o fixed.safetensors   replace that layer
    artifactlab lint models.py:make                   what its weights and structure show without data
    artifactlab score DIR                             how bad your outputs are
    """


main.add_command(demo)
main.add_command(diagnose)
main.add_command(fix)
main.add_command(lint)
main.add_command(score)
