"""The options that a command was given, as they would be typed again: for the commands that follow it."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from artifactlab.report.next_steps import Invocation


def diagnosed_by(ctx: click.Context, target: str, more: Sequence[str], folder: Path) -> Invocation:
    """How `diagnose` was called; `more` are the inputs that follow the one of --input."""
    return Invocation(
        target=target,
        factory=typed_again(ctx, {"kwargs"}),
        checkpoint=typed_again(ctx, {"checkpoint"}),
        running=typed_again(ctx, {"value_range", "data_range", "gray", "crop", "output", "device"}),
        inputs=typed_again(ctx, {"inputs", "probes"}) + tuple(word for path in more for word in ("--input", path)),
        diagnosing=typed_again(ctx, {"sites", "fast", "calls", "seed"}),
        folder=str(folder),
    )


def typed_again(ctx: click.Context, names: Collection[str]) -> tuple[str, ...]:
    """Those of the named options that do not have their default, from the command line or a configuration file."""
    words: list[str] = []
    for option in ctx.command.params:
        given = ctx.get_parameter_source(option.name or "") not in (ParameterSource.DEFAULT, None)
        if option.name not in names or not given or not isinstance(option, click.Option):
            continue
        value = ctx.params[option.name]
        flag = max(option.opts, key=len)
        if option.is_flag:
            words += [flag] if value else []
        else:
            for item in value if option.multiple else [value]:
                words += [flag, _word(item)]
    return tuple(words)


def _word(value: Any) -> str:
    return json.dumps(value) if isinstance(value, dict) else str(value)
