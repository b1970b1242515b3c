"""The signatures of other people's functions."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from typing import Any


def signature_of(function: Callable[..., Any]) -> inspect.Signature:
    """What a function takes; annotations may be text, and may name what is not there.

    From Python 3.14 on, an annotation is evaluated when somebody asks for it, and `inspect.signature` fails where it
    names what only type checkers import. There all of them are text.

    Raises:
        TypeError, ValueError: as `inspect.signature` does, for what is no function, or a built-in one.

    >>> list(signature_of(lambda x, scale=2: x).parameters)
    ['x', 'scale']
    """
    if sys.version_info >= (3, 14):
        from annotationlib import Format

        return inspect.signature(function, annotation_format=Format.STRING)
    return inspect.signature(function)
