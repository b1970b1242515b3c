"""Inputs that a function of the user yields: latents of a sampler, batches of a data set, whatever has no file."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any

from torch import Tensor

from artifactlab.errors import ArtifactLabError, InputError, first_line
from artifactlab.models.batches import inputs_of, is_loader
from artifactlab.models.factory import find_callable
from artifactlab.models.random_state import random_states_kept


def inputs_from(target: str, count: int, seed: int = 0) -> list[Any]:
    """The first inputs that a function yields; it may go on for ever.

    Args:
        target: `package.module:function` or `path/to/file.py:function`. The function takes nothing, and yields or
            returns inputs as `diagnose` takes them: tensors, tuples, dicts; or it returns a DataLoader.
        count: how many are taken at most.
        seed: of the random numbers that the function may use; the same ones each time.

    Raises:
        ModelError: if the function cannot be imported.
        InputError: if it fails, or yields nothing.
    """
    function = find_callable(target, "a function that yields inputs")
    try:
        with random_states_kept(seed):
            found = _taken(function(), target, count)
    except ArtifactLabError:
        raise
    except (Exception, SystemExit) as error:  # it is somebody else's code
        raise InputError(f"{target} raised {type(error).__name__}: {first_line(error)}") from error
    if not found:
        raise InputError(f"{target} yielded no inputs; expected tensors, or tuples or dicts of arguments")
    return found


def _taken(made: Any, target: str, count: int) -> list[Any]:
    """The first of what the function yields or has returned."""
    if isinstance(made, (Tensor, Mapping, str)):
        raise InputError(f"{target} returned a {type(made).__name__}; expected it to yield inputs, or a list of them")
    return list(islice(inputs_of(made) if is_loader(made) else iter(made), count))
