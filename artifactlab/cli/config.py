"""`--config FILE`: a command's options in TOML, one table per command; what is on the command line wins over it."""

from __future__ import annotations

import difflib
import json
import sys
from pathlib import Path
from typing import Any

import click

from artifactlab.cli.param_types import JsonObject
from artifactlab.errors import InputError, first_line, shown

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

UNCONFIGURABLE = ("config", "help")
"""Options that a file cannot set."""
WITHOUT_TABLE = ("init-config",)
"""Commands that no file is for."""
LARGEST = 1 << 20
"""Bytes of the largest file that is read; one with every option has a hundredth."""


def config_option() -> click.Option:
    """`--config`, for any command; eager, as it says what the other options are where they are not given."""

    def fill(ctx: click.Context, param: click.Parameter, path: Path | None) -> None:
        if path is not None and not ctx.resilient_parsing:
            ctx.default_map = read_config(path, ctx)

    return click.Option(
        ["--config"],
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        is_eager=True,
        expose_value=False,
        callback=fill,
        help="Options in TOML, see init-config.",
    )


def configurable(ctx: click.Context) -> list[str]:
    """The names of the commands that have a table, from the context of any of them."""
    group = ctx.find_root().command
    return [name for name in getattr(group, "commands", {}) if name not in WITHOUT_TABLE]


def settings_of(command: click.Command) -> dict[str, click.Parameter]:
    """What can be set in a command's table: options by their long names without dashes, arguments by name."""
    settings = {}
    for param in command.params:
        if isinstance(param, click.Argument):
            key = "" if param.metavar == "" else str(param.name)  # the hidden one takes what belongs to an option
        else:
            key = max(param.opts, key=len).lstrip("-")
        if key and key not in UNCONFIGURABLE:
            settings[key] = param
    return settings


def read_config(path: Path, ctx: click.Context) -> dict[str, Any]:
    """The table of the command that `ctx` is of, as click's `default_map`.

    Raises:
        InputError: if the file cannot be read, or holds anything that no command has, or of the wrong type.
    """
    tables = _parsed(path)
    _check_tables(tables, configurable(ctx), path)
    command = ctx.command.name or ""
    if command not in tables:
        has = ", ".join(f"[{name}]" for name in tables) or "nothing"
        raise InputError(f"{path} has no table [{command}]; it has {has}")
    settings = settings_of(ctx.command)
    values = {}
    for key, value in tables[command].items():
        if key not in settings:
            raise InputError(f"{path}: [{command}] has no option {key!r}{_nearest(key, list(settings))}")
        values[str(settings[key].name)] = _checked(settings[key], value, ctx, f"{path}: {key} in [{command}]")
    return values


def _check_tables(tables: dict[str, Any], names: list[str], path: Path) -> None:
    """Raise an InputError for what is no table of a command, also for commands that are not run now."""
    for name, table in tables.items():
        if name not in names:
            raise InputError(f"{path}: there is no command {name!r}{_nearest(name, names)}")
        if not isinstance(table, dict):
            raise InputError(f"{path}: {name} must be a table, [{name}], got {shown(table)}")


def _parsed(path: Path) -> dict[str, Any]:
    from artifactlab.inputs.regular_files import read_regular  # brings torch, and every command imports this file

    try:
        return tomllib.loads(read_regular(path, LARGEST).decode("utf-8-sig"))
    except OSError as error:
        raise InputError(f"cannot read the config {str(path)!r}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is no TOML: it is not UTF-8 text") from error
    except RecursionError as error:
        raise InputError(f"{path} is no config: it is nested too deeply; expected one table per command") from error
    except ValueError as error:  # of TOML's own, and of a number too long, or a NUL in the path
        raise InputError(f"{path} is no TOML: {first_line(error)}") from error


def _nearest(name: str, names: list[str]) -> str:
    near = difflib.get_close_matches(name.replace("_", "-"), names, n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(names)}"


def _checked(param: click.Parameter, value: Any, ctx: click.Context, where: str) -> Any:
    """The value as click takes it; a lone one is a list of one where the option is repeatable."""
    accepted, words = _expected(param)
    repeatable = param.multiple or param.nargs == -1
    items = value if repeatable and isinstance(value, list) else [value]
    for item in items:
        if not isinstance(item, accepted) or (isinstance(item, bool) and bool not in accepted):
            listed = " or a list of them" if repeatable else ""
            raise InputError(f"{where} must be {words}{listed}, got {shown(item)}")
        if isinstance(item, str) and "\0" in item:
            raise InputError(f"{where} holds a NUL, got {shown(item)}; expected text without")
    try:
        param.type_cast_value(ctx, items if repeatable else value)
    except click.BadParameter as error:
        raise InputError(f"{where}: {error.message}") from error
    except OverflowError as error:
        raise InputError(f"{where} must be {words} that fits into 64 bits, got {shown(value)}") from error
    return items if repeatable else value


def _expected(param: click.Parameter) -> tuple[tuple[type, ...], str]:
    """Python types of a value, and what to call them."""
    if isinstance(param, click.Option) and param.is_flag:
        return (bool,), "true or false"
    if isinstance(param.type, JsonObject):
        return (dict, str), "a table or JSON in a string"
    if isinstance(param.type, click.types.IntParamType):
        return (int,), "a whole number"
    if isinstance(param.type, click.types.FloatParamType):
        return (int, float), "a number"
    return (str,), "a string"


def as_toml(value: Any) -> str:
    """A plain value as TOML; JSON's strings, numbers, lists and booleans are TOML, too."""
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(as_toml, value))}]"
    return json.dumps(value, ensure_ascii=False)
