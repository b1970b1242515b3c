"""How options are attached to the function of a command, and how it gets them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any

Command = Callable[..., Any]
"""The function of a command, with or without options attached to it."""


def declared(options: Sequence[Callable[[Command], Command]]) -> Callable[[Command], Command]:
    """Several options as one decorator; help lists them in this order."""

    def decorator(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorator


def gathered(**records: type[Any]) -> Callable[[Command], Command]:
    """Hand a command its options in records, each of which takes those that are named as its fields.

    Help, completion and configuration files go by the single options, wherever among the others they are declared.

    Args:
        records: frozen dataclasses, by the parameters of the command that they are for.

    >>> from artifactlab.cli.records import ModelOptions
    >>> @gathered(model=ModelOptions)
    ... def command(model, seed):
    ...     return model.target, seed
    >>> command(target="models.py:make", kwargs={}, checkpoint=None, seed=1)
    ('models.py:make', 1)
    """

    def decorator(command: Command) -> Command:
        @functools.wraps(command)
        def with_records(*arguments: Any, **options: Any) -> Any:
            made = {}
            for parameter, record in records.items():
                names = [field.name for field in fields(record) if field.name in options]
                made[parameter] = record(**{name: options.pop(name) for name in names})
            return command(*arguments, **made, **options)

        return with_records

    return decorator
