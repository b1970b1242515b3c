"""Packages that only some kinds of input need."""

from __future__ import annotations

import importlib
from typing import Any

from artifactlab.errors import InputError


def extra(package: str, name: str, what: str) -> Any:
    """The imported package of an extra.

    Args:
        package: what is imported.
        name: of the extra in setup.cfg.
        what: is read with it, for the message.

    Raises:
        InputError: if it is not installed, with the command that does so.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise InputError(
            f"{what} is read with {package}, which is not installed: pip install 'artifactlab[{name}]'"
        ) from error
