"""Values of options that several commands have."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import torch
from torch import nn

from artifactlab.errors import ModelError
from artifactlab.inputs import RANGES


def json_object(ctx: click.Context, param: click.Parameter, value: str) -> dict[str, Any]:
    """The value of --kwargs, checked by click."""
    try:
        parsed = json.loads(value)
    except json.JSONDecodeError as error:
        raise click.BadParameter(f"{value!r} is no JSON: {error}") from error
    if not isinstance(parsed, dict):
        raise click.BadParameter(f"expected a JSON object such as '{{\"channels\": 3}}', got {value!r}")
    return parsed


def placed(model: nn.Module, device: str) -> nn.Module:
    """The model on the device of --device."""
    try:
        return model.to(torch.device(device))
    except (RuntimeError, AssertionError) as error:
        raise ModelError(f"cannot move the model to device {device!r}: {str(error).splitlines()[0]}") from error


def model_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What the model is, how it is built and run, and how images become its inputs: the options of a command."""
    options = [
        click.option(
            "--kwargs", metavar="JSON", default="{}", callback=json_object, help="JSON arguments for the factory."
        ),
        click.option(
            "--checkpoint", type=click.Path(path_type=Path), help=".safetensors, or .pt/.pth with weights only."
        ),
        click.option(
            "--range",
            "value_range",
            type=click.Choice(list(RANGES)),
            default="0,1",
            show_default=True,
            help="What black and white are to the model.",
        ),
        click.option(
            "--data-range",
            type=click.FloatRange(min=0, min_open=True),
            help="Distance between the output's black and white, where it is not that of --range.",
        ),
        click.option("--gray", is_flag=True, help="One channel instead of three."),
        click.option("--crop", type=click.IntRange(min=16), help="Side of a centred square crop, in pixels."),
        click.option("--output", metavar="KEY_OR_INDEX", help="Which of the model's outputs to judge."),
        click.option("--device", default="cpu", show_default=True, help="Where to run the model."),
    ]
    for option in reversed(options):
        command = option(command)
    return command
