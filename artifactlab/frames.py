"""Rows for pandas or polars, whichever is installed: we need neither, so we depend on neither."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from artifactlab.errors import InputError

Library = Literal["pandas", "polars"]
LIBRARIES: tuple[Library, ...] = ("pandas", "polars")
"""In the order in which they are looked for."""
# The interchange protocol (`__dataframe__`) would take a third package, pyarrow, to hold the columns; who has neither
# of these two has no use for it.


def data_frame(columns: Mapping[str, Sequence[Any]], library: Library | None = None) -> Any:
    """Columns of one length as a `pandas.DataFrame`, or a `polars.DataFrame` where only that is installed.

    Args:
        columns: values by name; None where there is none.
        library: "pandas" or "polars", where that is to be chosen.

    Raises:
        InputError: if the library is not installed, or is none of the two.
    """
    if library is not None and library not in LIBRARIES:
        raise InputError(f"library must be one of {', '.join(LIBRARIES)}, got {library!r}")
    for name in LIBRARIES if library is None else (library,):
        try:
            return importlib.import_module(name).DataFrame({key: list(values) for key, values in columns.items()})
        except ModuleNotFoundError as error:
            if error.name != name:  # it is there, and something that it needs is not
                raise
    wanted = library or " or ".join(LIBRARIES)
    raise InputError(f"a data frame needs {wanted}: pip install {library or LIBRARIES[0]}; or take to_dict()")
