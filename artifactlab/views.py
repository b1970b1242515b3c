"""How records are looked at: what draws and tabulates them lies above them, and is announced to them by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from artifactlab.registry import Registry

VIEWS: Registry[Callable[..., Any]] = Registry("artifactlab.views")
"""The views of records by name (`page`, `figure`, `maps` of a diagnosis, ...), which `artifactlab.report` registers: a
record knows nothing of pages."""
