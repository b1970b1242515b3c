"""Programs that `torch.export.save` wrote, opened with the modules that they were exported from."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from artifactlab.errors import ArtifactLabError, ModelError, first_line
from artifactlab.models.budget import ResultLimit, largest_result
from artifactlab.models.export_archive import check_exported, is_exported
from artifactlab.models.formats import ModelFormat
from artifactlab.models.torch_internals import tree_leaves, tree_map


def load_exported(path: Path, kwargs: Mapping[str, Any]) -> nn.Module:
    """The program in a `.pt2` file, as modules of the names and with the weights that the exported model had.

    Raises:
        ModelError: if it would run code as it is read, claims more than it holds, or is of another torch.
    """
    refuse_arguments(path, kwargs)
    try:
        check_exported(path)
        with quietly():
            program = torch.export.load(path)
            model = as_modules(program)
            _refuse_giants(model, program.example_inputs, path)
        return model
    except ArtifactLabError:
        raise
    except Exception as error:  # torch raises whatever comes of reading a damaged graph
        raise ModelError(f"exported program {path} cannot be opened: {first_line(error)}") from error


def _refuse_giants(model: nn.Module, example: Any, path: Path) -> None:
    """Raise a ModelError where operators make far more of the example than nets do; told from shapes, in no time.

    A graph in which values decide about shapes cannot be told so, nor one that was saved without its example.
    """
    if example is None:
        return
    args, kwargs = tree_map(_shape_of, example)
    weights = {name: _shape_of(value) for name, value in (*model.named_parameters(), *model.named_buffers())}
    given = [leaf for leaf in tree_leaves(example) if isinstance(leaf, Tensor)]
    refusal = f"exported program {path} makes far larger tensors of its example than nets do"
    unknown = contextlib.suppress(RuntimeError, NotImplementedError, ValueError, TypeError)
    with unknown, torch.no_grad(), ResultLimit(refusal, largest_result(given)):
        torch.func.functional_call(model, weights, args, kwargs)


def _shape_of(value: Any) -> Any:
    return value.to("meta") if isinstance(value, Tensor) else value


def as_modules(program: torch.export.ExportedProgram) -> nn.Module:
    """An exported program whose graph is laid out in modules again.

    >>> model = nn.Sequential(nn.Conv2d(3, 3, 1), nn.Upsample(scale_factor=2))
    >>> program = torch.export.export(model.eval(), (torch.zeros(1, 3, 8, 8),))
    >>> [name for name, _ in as_modules(program).named_modules()]
    ['', '0', '1']
    """
    with quietly():
        return torch.export.unflatten(program)


def refuse_arguments(path: Path, kwargs: Mapping[str, Any]) -> None:
    """Raise a ModelError for arguments: a graph has all of its own."""
    if kwargs:
        raise ModelError(f"{path} holds a graph, which takes no --kwargs; got {', '.join(map(repr, kwargs))}")


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Without what torch logs, prints and warns of while it reads its own formats: whole graphs, where it gives up."""
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)


EXPORTED = ModelFormat(is_exported, load_exported)
"""What `torch.export.save` writes, `.pt2`."""
