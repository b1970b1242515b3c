"""Which options a command was given, and by which names."""

from __future__ import annotations

import click
from click.core import ParameterSource


def is_given(ctx: click.Context, option: click.Parameter) -> bool:
    """Whether an option was set, on the command line or in a configuration file."""
    return ctx.get_parameter_source(option.name or "") not in (ParameterSource.DEFAULT, None)


def flag_of(option: click.Parameter) -> str:
    """The long name of an option, with its dashes."""
    return max(option.opts, key=len)
