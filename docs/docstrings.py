"""How the API pages read docstrings: examples become code, and parameters that share a line get one each.

Griffe reads what is left, and warns of what it cannot: of parameters that are not there, for instance.
"""

from __future__ import annotations

import re
from typing import Any

import griffe

EXAMPLE = re.compile(r"(?m)^>>> (?:.*\n?)+?(?=\n|\Z)")
"""From a prompt to the next empty line."""
SHARED = re.compile(r"(?m)^(?P<indent> +)(?P<names>\w+(?:, \w+)+): (?P<text>.*(?:\n(?P=indent) +.*)*)")
"""Several parameters with one description, and its further lines."""

FIELDS = re.compile(r"(?m)^Args:\n(?: +.*\n?|\n(?= ))+")
"""What a NamedTuple says of its fields, each of which says it again."""


def fenced(example: re.Match[str]) -> str:
    return f"```pycon\n{example[0].rstrip()}\n```\n"


def one_each(shared: re.Match[str]) -> str:
    return "\n".join(f"{shared['indent']}{name}: {shared['text']}" for name in shared["names"].split(", "))


class Docstrings(griffe.Extension):
    """Changes docstrings before they are parsed."""

    def on_instance(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        if obj.docstring:
            obj.docstring.value = SHARED.sub(one_each, EXAMPLE.sub(fenced, obj.docstring.value))

    def on_class_instance(self, *, cls: griffe.Class, **kwargs: Any) -> None:
        """A class returns nothing; what a module of it computes is a paragraph."""
        if cls.docstring:
            text = cls.docstring.value.replace("\nReturns:\n", "\nComputes:\n")
            named = any(str(base) == "NamedTuple" for base in cls.bases)
            cls.docstring.value = FIELDS.sub("", text) if named else text
