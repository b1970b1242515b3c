"""Packages that only some kinds of input need."""

from __future__ import annotations

import importlib
from typing import Any

from artifactlab.errors import InputError, first_line


def extra(package: str, name: str, what: str) -> Any:
    """The imported package of an extra.

    Args:
        package: what is imported.
        name: of the extra in setup.cfg.
        what: is read with it, for the message.

    Raises:
        InputError: if it is not installed, with the command that does so, or cannot be imported, with the reason.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        missing = isinstance(error, ModuleNotFoundError) and error.name == package
        why = "is not installed" if missing else f"is there, but cannot be imported ({first_line(error)})"
        raise InputError(f"{what} is read with {package}, which {why}: pip install 'artifactlab[{name}]'") from error
    except (
        Exception
    ) as error:  # torchvision, which some need, raises RuntimeError beside a torch that it is not made for
        raise InputError(
            f"{what} is read with {package}, which cannot be imported: {first_line(error)}; install torchvision and"
            " torch from the same place, as https://pytorch.org/get-started shows"
        ) from error
