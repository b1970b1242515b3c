"""Options that several commands have."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from artifactlab.cli.input_options import NOISE_COUNT
from artifactlab.cli.records import Command
from artifactlab.errors import InputError, first_line, shown
from artifactlab.inputs.arrangements import ARRANGEMENTS
from artifactlab.inputs.crops import Size
from artifactlab.inputs.model_inputs import RANGES
from artifactlab.inputs.noise import parse_noise
from artifactlab.models.typed_arguments import parse_argument


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


class Parsed(click.ParamType):  # type: ignore[type-arg]  # generic only in newer versions of click
    """A text that a function of ours makes a record of, whose text is the same again.

    Args:
        name: of the type, for messages.
        parse: the function; what it refuses with an InputError is a wrong option.
        example: a text that it takes.
    """

    def __init__(self, name: str, parse: Callable[[str], object], example: str) -> None:
        self.name = name
        self.example = example
        self._parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The record; one that was made already is kept."""
        if not isinstance(value, str):
            return value
        try:
            return self._parse(value)
        except InputError as error:
            self.fail(str(error), param, ctx)


NOISE = Parsed("noise", parse_noise, "1x4x64x64")
ARGUMENT = Parsed("argument", parse_argument, "timestep=500")
SIZE = Parsed("size", Size.parse, "256x192")


def input_options(models: str) -> Callable[[Command], Command]:
    """What `models` are run on beside files, how files become inputs, and what their outputs' values mean."""
    return declared(
        [
            click.option("--noise", type=NOISE, multiple=True, metavar="SHAPE", help=OF_NOISE),
            click.option("--inputs", "inputs_from", metavar="FILE.py:FUNCTION", help="A function that yields inputs."),
            click.option(
                "--count",
                type=click.IntRange(min=1),
                help=f"How many of --noise, or at most of --inputs or of single frames.  [default: {NOISE_COUNT}]",
            ),
            click.option(
                *("--arg", "arguments"),
                type=ARGUMENT,
                multiple=True,
                metavar="NAME=VALUE",
                help="Another argument of forward: JSON (a list is a tensor), text, or @FILE of a tensor.",
            ),
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
            click.option(
                "--size",
                type=SIZE,
                metavar="HxW",
                help="Centred crop: HxW; TxHxW of video, DxHxW of volumes; L of signals.",
            ),
            click.option(
                "--input-layout",
                type=click.Choice(ARRANGEMENTS),
                help="Axes of video and volumes: NCTHW if not given; NTCHW, frames first; or NCHW, single frames or"
                " slices, --count of each file.",
            ),
        ]
    )


OF_NOISE = "Random input: 1x4x64x64, NAME=1x77x768, or whole numbers NAME=int1000:1x77; repeatable."
FILES = "Files, folders or globs: images, video, NIfTI, WAV, tensors (.npy, .npz, .safetensors, .pt)."
"""What --input takes."""
factory_options = declared(
    [
        click.option(
            "--kwargs", metavar="JSON", default="{}", type=JsonObject(), help="JSON arguments for the factory."
        ),
        click.option(
            "--checkpoint", type=click.Path(path_type=Path), help=".safetensors, or .pt/.pth with weights only."
        ),
        click.option("--checkpoint-key", metavar="NAME", help="Which weights in it: ema, state_dict.generator."),
        click.option("--download", is_flag=True, help="Fetch TARGET, owner/name@revision, from the Hugging Face Hub."),
    ]
)
"""How a model is built."""
model_options = declared(
    [
        factory_options,
        input_options("the model"),
        click.option("--output", metavar="PATH", help="Which of the outputs to judge: logits, 1, 'aux[0].mask'."),
        click.option("--device", default="cpu", show_default=True, help="Where to run the model."),
    ]
)
"""How a model is built and run, and what on."""
layout_option = click.option(
    "--layout", metavar="LETTERS", help="What the axes of the output are, e.g. NTCHW; told by the model by default."
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
