"""What every JSON document of the program has in common."""

from __future__ import annotations

import math
from importlib.metadata import version
from typing import Any


def program() -> dict[str, str]:
    """Name and version of this program, for the JSON."""
    return {"name": "artifactlab", "version": version("artifactlab")}


def json_data(value: Any) -> Any:
    """The same data with tuples as lists and non-finite numbers as None."""
    if isinstance(value, dict):
        return {str(key): json_data(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [json_data(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
