"""Values of options that several commands have."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import torch
from torch import nn

from artifactlab.cli.verbosity import describe_model, timed
from artifactlab.errors import ModelError
from artifactlab.inputs.model_inputs import RANGES
from artifactlab.models.factory import load_model


class JsonObject(click.ParamType):  # type: ignore[type-arg]  # generic only in newer versions of click
    """A JSON object; a table of a --config file is one already."""

    name = "json"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dict[str, Any]:
        """Parsed; fails where it is none, and where a table holds what JSON has no word for, such as a date."""
        try:
            parsed = json.loads(value) if isinstance(value, str) else json.loads(json.dumps(value))
        except (json.JSONDecodeError, TypeError) as error:
            self.fail(f"{value!r} is no JSON: {error}", param, ctx)
        if not isinstance(parsed, dict):
            self.fail(f"expected a JSON object such as '{{\"channels\": 3}}', got {value!r}", param, ctx)
        return parsed


def built_model(target: str, kwargs: dict[str, Any], checkpoint: Path | None, device: str | None = None) -> nn.Module:
    """The model a command was given, on the device of --device."""
    with timed("loading the model"):
        model = load_model(target, kwargs, checkpoint)
        model = model if device is None else _placed(model, device)
    describe_model(model, target)
    return model


def _placed(model: nn.Module, device: str) -> nn.Module:
    try:
        return model.to(torch.device(device))
    except (RuntimeError, AssertionError) as error:
        raise ModelError(f"cannot move the model to device {device!r}: {str(error).splitlines()[0]}") from error


def image_options(models: str) -> list[Callable[..., Any]]:
    """How images become inputs of `models`, and what their outputs' values mean."""
    return [
        click.option(
            "--range",
            "value_range",
            type=click.Choice(list(RANGES)),
            default="0,1",
            show_default=True,
            help=f"What black and white are to {models}.",
        ),
        click.option(
            "--data-range",
            type=click.FloatRange(min=0, min_open=True),
            help="Distance between black and white in the output, where it is not that of --range.",
        ),
        click.option("--gray", is_flag=True, help="One channel instead of three."),
        click.option("--crop", type=click.IntRange(min=16), help="Side of a centred square crop, in pixels."),
    ]


def model_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What the model is, how it is built and run, and how images become its inputs: the options of a command."""
    options = [
        click.option(
            "--kwargs", metavar="JSON", default="{}", type=JsonObject(), help="JSON arguments for the factory."
        ),
        click.option(
            "--checkpoint", type=click.Path(path_type=Path), help=".safetensors, or .pt/.pth with weights only."
        ),
        *image_options("the model"),
        click.option("--output", metavar="KEY_OR_INDEX", help="Which of the model's outputs to judge."),
        click.option("--device", default="cpu", show_default=True, help="Where to run the model."),
    ]
    for option in reversed(options):
        command = option(command)
    return command
