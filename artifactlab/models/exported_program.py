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
from artifactlab.models.export_archive import check_exported, is_exported, refuse_old_torch
from artifactlab.models.formats import ModelFormat, refuse_arguments
from artifactlab.models.graph_layers import with_layers
from artifactlab.models.torch_internals import tree_leaves, tree_map


def load_exported(path: Path, kwargs: Mapping[str, Any]) -> nn.Module:
    """The program in a `.pt2` file, as modules of the names and with the weights that the exported model had.

    Raises:
        ModelError: if it would run code as it is read, claims more than it holds, or is of another torch.
    """
    refuse_arguments(path, kwargs)
    refuse_old_torch()
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
    """An exported program whose graph is laid out in modules again, see `artifactlab.models.graph_layers`.

    >>> model = nn.Sequential(nn.Conv2d(3, 3, 1), nn.Upsample(scale_factor=2))
    >>> program = torch.export.export(model.eval(), (torch.zeros(1, 3, 8, 8),))
    >>> [type(module).__name__ for module in as_modules(program).children()]
    ['Conv2d', 'Upsample']
    """
    with quietly():
        model = torch.export.unflatten(program)
    model.input_placeholders = _Shared(model.input_placeholders)
    model.module_call_graph = _Shared(model.module_call_graph)
    return with_layers(model)


class _Shared(list[Any]):
    """What inputs are checked and laid out by, which all copies of a model share: torch cannot copy symbolic sizes."""

    def __deepcopy__(self, memo: Any) -> _Shared:
        return self


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
