"""Paths into what a model returns, as people type them: `aux[0]["mask"]`, `output.logits`, `depth`, `1`."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import is_dataclass
from typing import Any

ROOT = "output"
"""What the whole of it is called, in messages and where a path begins with it."""
# a name or number behind a dot or at the beginning, a number in brackets, a quoted key in brackets
STEP = re.compile(r"""(?:\.|^)(-?\w+)|\[(-?[0-9]+)\]|\[('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")\]""")
NUMBER = re.compile("-?[0-9]{1,9}")
"""What may be an index; more digits are no index of anything, and Python refuses to read thousands of them."""


def follow(value: Any, path: str | int) -> Any:
    """What a path leads to: a key or index of `value` itself, or several steps; None where there is nothing.

    >>> follow({"aux": [{"mask": 7}]}, 'aux[0]["mask"]')
    7
    """
    found = _at(value, path)
    if found is not None or not isinstance(path, str):
        return found
    steps = steps_of(path)
    if not steps:
        return None
    found = _walked(value, steps)
    return _walked(value, steps[1:]) if found is None and steps[:1] == [ROOT] else found


def steps_of(path: str) -> list[str] | None:
    """The keys, attributes and indices that a path names one after the other; None where it is no path.

    >>> steps_of("aux[0]['mask']"), steps_of("aux[0")
    (['aux', '0', 'mask'], None)
    """
    steps, at = [], 0
    while at < len(path):
        step = STEP.match(path, at)
        if step is None:
            return None
        name, index, key = step.groups()
        try:
            steps.append(str(ast.literal_eval(key)) if key else name or index)
        except (SyntaxError, ValueError):  # a backslash that escapes nothing
            return None
        at = step.end()
    return steps


def _walked(value: Any, steps: list[str]) -> Any:
    for step in steps:
        value = _at(value, step)
    return value


def _at(value: Any, step: str | int) -> Any:
    """`value[step]` or `value.step`; a string of digits may be an index."""
    keys = [step, int(step)] if isinstance(step, str) and NUMBER.fullmatch(step) else [step]
    for key in keys:
        if isinstance(value, Mapping) and key in value:
            return value[key]
        if isinstance(value, (list, tuple)) and isinstance(key, int) and -len(value) <= key < len(value):
            return value[key]
        if isinstance(key, str) and (is_dataclass(value) or hasattr(value, "_fields")) and hasattr(value, key):
            return getattr(value, key)
    return None
