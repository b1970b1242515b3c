"""Arguments of forward as they are typed: `NAME=VALUE`, where a value is JSON, a string, or `@FILE` of a tensor."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from inspect import Parameter
from pathlib import Path
from typing import Any

import torch

from artifactlab.errors import InputError, shown
from artifactlab.models.arguments import annotation_text
from artifactlab.models.tensor_files import read_tensors

PYTHON_WORDS = {"True": True, "False": False, "None": None}
"""What Python users type for JSON's true, false and null."""
SEQUENCES = {"list", "List", "tuple", "Tuple", "Sequence", "Iterable"}
NUMBERS = {"int", "float", "Number", "complex"}


@dataclass(frozen=True)
class TypedArgument:
    """One argument by name.

    >>> parse_argument("class_labels=[3]").value_for(None)
    tensor([3])
    """

    name: str
    """The parameter of forward that it is for."""
    value: Any
    """As JSON, a string, or what a file holds."""
    text: str
    """As it was typed."""

    def __str__(self) -> str:
        return self.text

    def value_for(self, parameter: Parameter | None) -> Any:
        """The value as a parameter's annotation wants it; a list of numbers is a tensor unless it says otherwise."""
        words = set(re.findall(r"\w+", annotation_text(parameter))) if parameter else set()
        return _as_annotated(self.value, words)


def parse_argument(text: str) -> TypedArgument:
    """The argument that a text such as `timestep=500` or `text=@embedding.safetensors` stands for.

    Raises:
        InputError: if it has no name, or its file cannot be read.
    """
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise InputError(f"expected NAME=VALUE, such as timestep=500 or text=@text.safetensors, got {shown(text)}")
    return TypedArgument(name, _parsed(value), text)


def _parsed(text: str) -> Any:
    if text.startswith("@"):
        content = read_tensors(Path(text[1:]))
        alone = isinstance(content, Mapping) and len(content) == 1
        return next(iter(content.values())) if alone else content
    if text in PYTHON_WORDS:
        return PYTHON_WORDS[text]
    try:
        return json.loads(text)
    except RecursionError as error:
        raise InputError(f"{shown(text)} is nested too deeply; give it as @FILE") from error
    except ValueError:
        if text[:1] in ("[", "{"):
            raise InputError(f"{shown(text)} is no JSON; expected such as [1, 2.5], or @FILE of a tensor") from None
        return text


def _as_annotated(value: Any, words: set[str]) -> Any:
    wants_tensor = any(word.endswith("Tensor") for word in words)
    if isinstance(value, dict):
        return {key: _as_annotated(item, set()) for key, item in value.items()}
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        # one label, say, of a model that takes nothing but tensors
        return torch.tensor([value]) if wants_tensor and not words & NUMBERS else value
    if not isinstance(value, list):
        return value
    if words & SEQUENCES and not wants_tensor:
        return tuple(value) if words & {"tuple", "Tuple"} and not words & {"list", "List"} else value
    try:
        return torch.tensor(value) if value else value
    except (ValueError, TypeError, RuntimeError):  # of strings, or of rows of several lengths
        return value
