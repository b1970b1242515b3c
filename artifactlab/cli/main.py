"""`artifactlab`: the group of commands, and the one place where errors become a line on stderr."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import click

from artifactlab.cli.commands import SUMMARIES, Commands
from artifactlab.cli.exits import EXIT_ERROR, exit_codes, own_process
from artifactlab.cli.verbosity import complain, verbosity_options
from artifactlab.errors import ArtifactLabError, first_line
from artifactlab.printable import printable, printable_lines


class _Commands(click.Group):
    """Commands in the order of work. A library error is one line and exit code 2; `--debug` keeps the traceback."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """What each is for, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl(list(SUMMARIES.items()))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not kwargs.get("standalone_mode", True):  # in somebody else's program
            return self.main(*args, **kwargs)
        with own_process():
            return self.main(*args, **kwargs)

    def main(self, *args: Any, **kwargs: Any) -> Any:
        with exit_codes():
            return super().main(*args, **kwargs)

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        with exit_codes(), _printable_messages():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with exit_codes(), _printable_messages():
                return super().invoke(ctx)
        except ArtifactLabError as error:
            if ctx.params.get("debug"):
                _print_traceback()
            complain(f"Error: {error}")
            sys.exit(EXIT_ERROR)
        except click.exceptions.Exit:
            raise
        except click.ClickException as error:
            if type(error) is click.BadParameter:  # the value is wrong, not the usage
                complain(f"Error: {error.format_message()}")
                sys.exit(EXIT_ERROR)
            with suppress(OSError):
                error.show()
            sys.exit(EXIT_ERROR)  # not all are usage errors, and 1 would say that a gate has failed
        except Exception as error:
            # a defect of ours or of the user's model; 1 would say that a gate has failed
            told = _unusable_name(error)
            if told is None or ctx.params.get("debug"):
                _print_traceback()
            complain(f"Error: {told or f'unexpected {type(error).__name__}: {first_line(error)}'}")
            sys.exit(EXIT_ERROR)


def _unusable_name(error: Exception) -> str | None:
    """What to say where no file can have the name that was given, whatever it was for."""
    if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
        name = os.fsdecode(error.filename or "")
        return f"no file can be called {name[:40]!r}... ({len(name)} characters); expected a path, in 255 a name"
    if isinstance(error, ValueError) and str(error).startswith("embedded null"):
        return "no file can have a NUL in its name; expected a path without"
    return None


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
    with suppress(OSError):
        click.echo(printable_lines(traceback.format_exc().rstrip("\n")), err=True)


def _show_version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from artifactlab.cli.version import version_text  # brings torch

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
main.commands = Commands()
