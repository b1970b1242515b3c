"""Values of options that several commands have."""

from __future__ import annotations

import json
from typing import Any

import click
import torch
from torch import nn

from artifactlab.errors import ModelError


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
