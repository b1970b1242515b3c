"""The options that a command was given, as they would be typed again: for the commands that follow it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import click

from artifactlab.cli.given import flag_of, is_given
from artifactlab.report.next_steps import Invocation

RUNNING = {"arguments", "value_range", "data_range", "gray", "crop", "size", "input_layout", "output", "device"}
"""Options that say how a model is run, by their parameters."""
INPUTS = {"inputs", "probes", "noise", "inputs_from", "count"}
"""Options that say what it is run on."""


def diagnosed_by(ctx: click.Context, target: str, more: Sequence[str], folder: Path) -> Invocation:
    """How `diagnose` was called; `more` are the inputs that follow the one of --input."""
    return Invocation(
        target=target,
        factory=typed_again(ctx, {"kwargs", "download"}),
        checkpoint=typed_again(ctx, {"checkpoint", "checkpoint_key"}),
        running=typed_again(ctx, RUNNING),
        inputs=typed_again(ctx, INPUTS) + tuple(word for path in more for word in ("--input", path)),
        diagnosing=typed_again(ctx, {"layout", "sites", "fast", "calls", "seed"}),
        folder=str(folder),
    )


def typed_with(ctx: click.Context, target: str, more: Sequence[str], without: Collection[str] = ()) -> str:
    """The command line of the command that is running, with more options, which win over those that were typed.

    Args:
        ctx: of the command.
        target: its first argument.
        more: the options to add, as words.
        without: the parameters of options that are left out.
    """
    flags = {word for word in more if word.startswith("--")}
    options = [option for option in ctx.command.params if isinstance(option, click.Option)]
    kept = {str(option.name) for option in options if flag_of(option) not in flags} - set(without)
    return shlex.join(["artifactlab", str(ctx.info_name), target, *typed_again(ctx, kept), *more])


def typed_again(ctx: click.Context, names: Collection[str]) -> tuple[str, ...]:
    """Those of the named options that do not have their default, from the command line or a configuration file."""
    words: list[str] = []
    for option in ctx.command.params:
        if option.name in names and isinstance(option, click.Option) and is_given(ctx, option):
            words += _words(option, ctx.params[option.name])
    return tuple(words)


def _words(option: click.Option, value: Any) -> list[str]:
    """An option with its value, or several times with one value each."""
    flag = flag_of(option)
    if option.is_flag:
        return [flag] if value else list(option.secondary_opts)
    words = []
    for item in value if option.multiple else [value]:
        words += [flag, json.dumps(item) if isinstance(item, dict) else str(item)]
    return words
