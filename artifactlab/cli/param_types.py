"""Types of options that click has not; they import nothing of what the commands do."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import click

from artifactlab.errors import InputError, first_line, shown


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
