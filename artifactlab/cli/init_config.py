"""`artifactlab init-config`: a commented file of every option, written from the commands' own parameters."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from artifactlab.cli.config import as_toml, configurable, settings_of
from artifactlab.cli.files import write_text
from artifactlab.cli.param_types import JsonObject, Parsed
from artifactlab.cli.verbosity import note
from artifactlab.errors import InputError

WIDTH = 100
"""Columns of the comments in the file."""
HEAD = """\
# Options of artifactlab for runs that can be repeated:
#     artifactlab diagnose --config {name}
# Take the # off a line to set it. What is given on the command line wins over what stands here.
# Paths are relative to the folder in which the command is run, as on the command line.
"""


@click.command()
@click.option(
    "-o",
    "path",
    type=click.Path(path_type=Path),
    default="artifactlab.toml",
    show_default=True,
    metavar="FILE",
    help="Where to write it.",
)
@click.option("--force", is_flag=True, help="Overwrite it if it is there.")
@click.pass_context
def init_config(ctx: click.Context, path: Path, force: bool) -> None:
    """Write a commented file of every option of every command, for --config."""
    if os.path.lexists(path) and not force:  # a link that leads nowhere would be written through
        raise InputError(f"{path} is there already; give another -o, or --force to overwrite it")
    commands = getattr(ctx.find_root().command, "commands", {})
    write_text(config_text(path.name, {command: commands[command] for command in configurable(ctx)}), path)
    note(f"wrote {path}")


def config_text(name: str, commands: Mapping[str, click.Command]) -> str:
    """The file, with every setting commented out."""
    parts = [HEAD.format(name=name)]
    for command_name, command in commands.items():
        parts.append(f"\n[{command_name}]\n# {command.short_help}\n")
        parts += [_setting(key, param) for key, param in settings_of(command).items()]
    return "".join(parts)


def _setting(key: str, param: click.Parameter) -> str:
    words = [getattr(param, "help", None) or ("The argument." if isinstance(param, click.Argument) else "")]
    if isinstance(param.type, click.Choice):
        words.append(f"One of {', '.join(map(as_toml, param.type.choices))}.")
    value, is_default = _value(param)
    if not is_default:
        words.append("No default; for example:")
    text = " ".join(" ".join(words).split())
    lines = textwrap.wrap(text, WIDTH, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False)
    return "\n".join([*lines, f"#{key} = {as_toml(value)}", ""])


def _value(param: click.Parameter) -> tuple[Any, bool]:
    """What to write beside a key, and whether that is its default or only an example."""
    default = param.to_info_dict().get("default")
    if isinstance(param.type, JsonObject):
        return {}, True
    if isinstance(param, click.Option) and param.is_flag:
        return bool(default), True
    if param.multiple or param.nargs == -1:
        return (["..."], False) if param.required else ([], True)
    if default is not None:
        return default, True
    if isinstance(param.type, Parsed):
        return param.type.example, False
    if isinstance(param.type, click.Choice):
        return param.type.choices[0], False
    if isinstance(param.type, click.types.IntParamType):
        return getattr(param.type, "min", None) or 1, False
    if isinstance(param.type, click.types.FloatParamType):
        return 1.0, False
    return "...", False
