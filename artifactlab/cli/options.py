"""Values of options that several commands have."""

from __future__ import annotations

import json
from typing import Any

import click


def json_object(ctx: click.Context, param: click.Parameter, value: str) -> dict[str, Any]:
    """The value of --kwargs, checked by click."""
    try:
        parsed = json.loads(value)
    except json.JSONDecodeError as error:
        raise click.BadParameter(f"{value!r} is no JSON: {error}") from error
    if not isinstance(parsed, dict):
        raise click.BadParameter(f"expected a JSON object such as '{{\"channels\": 3}}', got {value!r}")
    return parsed
