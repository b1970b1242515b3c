"""Options that several commands have."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from artifactlab.cli.records import Command
from artifactlab.errors import first_line, shown
from artifactlab.inputs.model_inputs import RANGES


class JsonObject(click.ParamType):  # type: ignore[type-arg]  # generic only in newer versions of click
    """A JSON object; a table of a --config file is one already."""

    name = "json"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dict[str, Any]:
        """Parsed; fails where it is none, and where a table holds what JSON has no word for, such as a date."""
        try:
            parsed = json.loads(value) if isinstance(value, str) else json.loads(json.dumps(value))
        except RecursionError:
            self.fail(f"{shown(value)} is nested too deeply; expected a JSON object of a few levels", param, ctx)
        except (ValueError, TypeError) as error:  # a number of thousands of digits is a ValueError, too
            self.fail(f"{shown(value)} is no JSON: {first_line(error)}", param, ctx)
        if not isinstance(parsed, dict):
            self.fail(f"expected a JSON object such as '{{\"channels\": 3}}', got {shown(value)}", param, ctx)
        return parsed


class Seed(click.types.IntParamType):
    """A whole number that torch's generators take."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """As an int; fails where it does not fit into 64 bits."""
        seed: int = super().convert(value, param, ctx)
        if not -(1 << 63) <= seed < 1 << 63:
            self.fail(f"{shown(seed)} does not fit into 64 bits", param, ctx)
        return seed


def declared(options: Sequence[Callable[[Command], Command]]) -> Callable[[Command], Command]:
    """Several options as one decorator; help lists them in this order."""

    def decorator(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorator


def image_options(models: str) -> Callable[[Command], Command]:
    """How images become inputs of `models`, and what their outputs' values mean."""
    return declared(
        [
            click.option(
                "--range",
                "value_range",
                type=click.Choice(list(RANGES)),
                help=f"What black and white are to {models}: 0,1 if not given; if given, in the output, too.",
            ),
            click.option(
                "--data-range",
                type=click.FloatRange(min=0, min_open=True),
                help="Distance between black and white in the output, where it is not that of --range.",
            ),
            click.option("--gray", is_flag=True, help="One channel instead of three."),
            click.option("--crop", type=click.IntRange(min=16), help="Side of a centred square crop, in pixels."),
        ]
    )


factory_options = declared(
    [
        click.option(
            "--kwargs", metavar="JSON", default="{}", type=JsonObject(), help="JSON arguments for the factory."
        ),
        click.option(
            "--checkpoint", type=click.Path(path_type=Path), help=".safetensors, or .pt/.pth with weights only."
        ),
    ]
)
"""How a model is built."""
model_options = declared(
    [
        factory_options,
        image_options("the model"),
        click.option("--output", metavar="PATH", help="Which of the outputs to judge: logits, 1, 'aux[0].mask'."),
        click.option("--device", default="cpu", show_default=True, help="Where to run the model."),
    ]
)
"""How a model is built and run, and how images become its inputs."""
layout_option = click.option(
    "--layout", metavar="LETTERS", help="What the axes of the output are, e.g. NTCHW; told by its shape by default."
)
"""What a tensor that is no picture is."""
form_option = click.option("--format", "form", type=click.Choice(["table", "json"]), default="table", show_default=True)
"""For people or for programs."""


def is_given(ctx: click.Context, option: click.Parameter) -> bool:
    """Whether an option was set, on the command line or in a configuration file."""
    return ctx.get_parameter_source(option.name or "") not in (ParameterSource.DEFAULT, None)


def flag_of(option: click.Parameter) -> str:
    """The long name of an option, with its dashes."""
    return max(option.opts, key=len)
