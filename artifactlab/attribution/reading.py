"""A diagnosis read back from the JSON that it was written as."""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from artifactlab.errors import InputError, first_line
from artifactlab.inputs.regular_files import read_regular

NAME = "diagnosis.json"
"""The file in the folder of a report."""
LARGEST = 1 << 28
"""Bytes of the largest file that is read; one of a thousand sites has a million."""


def read_data(path: str | Path, version: str) -> dict[str, Any]:
    """What a diagnosis' file, or the folder of its report, holds.

    Raises:
        InputError: if it cannot be read, or was written by something else or by another version.
    """
    file = Path(path) / NAME if Path(path).is_dir() else Path(path)
    try:
        data = json.loads(read_regular(file, LARGEST).decode("utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        why = getattr(error, "strerror", None) or first_line(error)
        raise InputError(f"cannot read {str(file)!r}: {why}; expected a {NAME} that `diagnose -o` wrote") from error
    if not isinstance(data, dict) or "sites" not in data or "schema_version" not in data:
        raise InputError(f"{str(file)!r} holds no diagnosis; expected a {NAME} that `diagnose -o` wrote")
    if data["schema_version"] != version:
        raise InputError(
            f"{str(file)!r} was written by another version (schema {data['schema_version']}, this one reads {version});"
            " diagnose again with this version"
        )
    return data


def record_of(kind: Any, data: Any) -> Any:
    """Plain data as a record, or as whatever a field of one is said to be: lists become tuples, dicts records.

    Raises:
        KeyError, TypeError, ValueError: if it is of another kind.

    >>> from artifactlab.attribution.records import HalfSamples
    >>> record_of(HalfSamples, {"grid": [1.0], "steps": [0.5]})
    HalfSamples(grid=(1.0,), steps=(0.5,))
    """
    if is_dataclass(kind):
        hints = get_type_hints(kind)
        given = {field.name: record_of(hints[field.name], data[field.name]) for field in fields(kind)}
        return kind(**given)  # type: ignore[operator]  # it is a class, as hints are
    if get_origin(kind) is tuple:
        inside = get_args(kind)
        kinds = inside[:1] * len(data) if inside[-1] is ... else inside
        return tuple(record_of(one, item) for one, item in zip(kinds, data, strict=True))
    if get_origin(kind) in (Union, UnionType) and data is not None:
        return next((record_of(one, data) for one in get_args(kind) if is_dataclass(one)), data)
    return data
