"""TorchScript files, which hold a program without the modules' Python: opened as an exported program has them."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from threading import Thread
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from artifactlab.errors import ArtifactLabError, ModelError, first_line, shown
from artifactlab.models.budget import ResultLimit
from artifactlab.models.export_archive import is_exported, refuse_old_torch
from artifactlab.models.exported_program import as_modules, quietly
from artifactlab.models.formats import ModelFormat, refuse_arguments
from artifactlab.models.memory_limit import memory_limit
from artifactlab.models.pickle_program import PickleError, follow_pickle
from artifactlab.models.script_tensors import check_tensors
from artifactlab.models.torch_internals import program_of_script
from artifactlab.models.zip_records import check_directory, check_sums, zip_names

FOREIGN = re.compile(
    r"\b(torch|ops\.aten)\.(from_file|save|load)\b|\bops\.(?!prim\b|aten\b)\w+|__torch__\.torch\.classes"
)
"""What code in the file may not call: it opens files, or belongs to libraries that have to be loaded."""
LOOP = re.compile(r"^ *(while|for)\b", re.MULTILINE)
MAX_SECONDS = 40.0
"""In which a program with loops must come to an end on its example; ten times what large nets take."""
MOST_MEMORY = 3 << 27
"""Bytes that a program may take for its example: half as many again as `ResultLimit`, which sees no lists and texts
grow, lets one operator make. With what torch takes by itself, that stays below 1 GiB."""
NO_MEMORY = re.compile("bad_alloc|not enough memory|can't allocate memory")
MARKS = re.compile(r"[()\[\]{}\n]")
MAX_DEPTH, MAX_STATEMENT = 100, 1 << 15
"""Brackets in brackets, and letters of a statement: torch's parser calls itself for each, until C's stack overflows.
What torch writes has some five, and some thousand letters where a hundred tensors are joined."""
CODE = "/code/"
TRACED = "/traced_inputs.pkl"
"""What a traced program was traced with, by shapes alone: torch reads it only where it is asked to."""
SIDES = {1: 4096, 2: 128, 3: 32}
"""Places along each direction of the example that a program is converted with, by the number of directions: enough for
five halvings, and quick."""
EXAMPLES = 2
"""Their number: of a single one, torch takes it that there are never more."""


def is_torchscript(path: Path) -> bool:
    """Whether a file is what `torch.jit.save` writes, by what it holds."""
    return any(name.endswith("/constants.pkl") for name in zip_names(path)) and not is_exported(path)


def load_torchscript(path: Path, kwargs: Mapping[str, Any]) -> nn.Module:
    """The program in a TorchScript file, as modules of the names and with the weights that it was made of.

    Args:
        path: the file.
        kwargs: `shape` of an input, where it cannot be told from the weights.

    Raises:
        ModelError: if it opens files, is damaged, or torch cannot convert it.
    """
    refuse_old_torch()
    try:
        _check_script(path)
        with quietly(), torch.no_grad():
            with memory_limit(MOST_MEMORY + 2 * path.stat().st_size):  # it computes texts that are known ahead
                scripted = torch.jit.load(str(path), map_location="cpu").eval()
            program = _converted(scripted, _example(scripted, path, kwargs))
            return as_modules(_with_modules(program))
    except ArtifactLabError:
        raise
    except (PickleError, zipfile.BadZipFile) as error:
        raise ModelError(f"TorchScript {path} was refused: {first_line(error)}") from error
    except Exception as error:  # torch raises whatever comes of reading or converting a program
        raise ModelError(
            f"TorchScript {path} cannot be converted to a graph: {first_line(error)}; give the shape of an input, as"
            " --kwargs '{\"shape\": [1, 3, 256, 256]}', or save the Python model with torch.export.save"
        ) from error


def _check_script(path: Path) -> None:
    """Refuse a file that claims more than it holds, or whose code reaches beyond tensors."""
    size = path.stat().st_size
    with path.open("rb") as file, zipfile.ZipFile(file) as records:
        check_directory(file, records, size, packed=lambda name: CODE in name)
        check_sums(records)
        for name in records.namelist():
            if name.endswith(".pkl") and not name.endswith(TRACED):
                follow_pickle(io.BytesIO(records.read(name)), 2 * size)
                check_tensors(records, name)
            elif name.endswith(".py"):
                _check_code(records.read(name).decode())


def _check_code(code: str) -> None:
    if found := FOREIGN.search(code):
        raise PickleError(f"its code calls {shown(found[0])}, which works on more than tensors")
    depth, start = 0, 0
    for mark in MARKS.finditer(code):
        depth += (mark[0] in "([{") - (mark[0] in ")]}")
        if depth > MAX_DEPTH or mark.start() - start > MAX_STATEMENT:
            raise PickleError("its code is nested or goes on in one statement without end")
        start = mark.start() if mark[0] == "\n" and depth <= 0 else start


def _example(scripted: torch.jit.ScriptModule, path: Path, kwargs: Mapping[str, Any]) -> Tensor:
    """An input that the program runs on."""
    refuse_arguments(path, kwargs, ("shape",))
    if kwargs:
        return torch.rand(kwargs["shape"])
    for shape in _likely_shapes(scripted):
        example = torch.rand(shape)
        if _runs_on(scripted, example, path):
            return example
    raise ModelError(
        f"TorchScript {path} does not tell what it takes: give the shape of an input, as"
        " --kwargs '{\"shape\": [1, 3, 256, 256]}'"
    )


def _likely_shapes(scripted: torch.jit.ScriptModule) -> Iterator[Sequence[int]]:
    """Shapes that the first convolution takes, be it transposed or not."""
    weight = next((value for _, value in scripted.named_parameters() if value.ndim - 2 in SIDES), None)
    if weight is not None:
        space = weight.ndim - 2
        for channels in weight.shape[1::-1]:
            yield EXAMPLES, channels, *[SIDES[space]] * space


def _runs_on(scripted: torch.jit.ScriptModule, example: Tensor, path: Path) -> bool:
    """Whether the program runs on an example. Nothing in Python ends a loop in it, so it runs in a thread.

    Raises:
        ModelError: if it does not come to an end, or makes more than a net does. The thread ends at the program's next
            operator, or with the process where there is none.
    """
    raised: list[Exception] = []
    limit = ResultLimit(
        f"TorchScript {path} makes far larger tensors of {tuple(example.shape)} than most nets, and is not run; if it"
        " is yours, give the shape of a smaller input, as --kwargs '{\"shape\": [1, 3, 64, 64]}'"
    )
    thread = Thread(target=_tried, args=(scripted, example, limit, raised), daemon=True)
    with memory_limit(MOST_MEMORY):
        thread.start()
        thread.join(MAX_SECONDS if _loops(path) else None)
    if thread.is_alive():
        limit.is_over = True
        raise ModelError(
            f"TorchScript {path} has loops that did not end within {MAX_SECONDS:.0f} s on an input of shape"
            f" {tuple(example.shape)}; trace the model with torch.jit.trace, which leaves them out"
        )
    _refuse_giant(raised, example, path)
    if raised and not isinstance(raised[0], RuntimeError):
        raise raised[0]
    return not raised


def _refuse_giant(raised: list[Exception], example: Tensor, path: Path) -> None:
    """Raise a ModelError where memory was what the program failed for."""
    if any(isinstance(error, MemoryError) or NO_MEMORY.search(str(error)) for error in raised):
        raise ModelError(
            f"TorchScript {path} takes more than {MOST_MEMORY >> 20} MiB for an input of shape {tuple(example.shape)},"
            " and is not run; if it is yours, give the shape of a smaller one, as"
            " --kwargs '{\"shape\": [1, 3, 64, 64]}'"
        )


def _tried(scripted: torch.jit.ScriptModule, example: Tensor, limit: ResultLimit, raised: list[Exception]) -> None:
    try:
        with torch.no_grad(), limit:
            scripted(example)
    except Exception as error:
        raised.append(error)


def _loops(path: Path) -> bool:
    with zipfile.ZipFile(path) as records:
        return any(LOOP.search(records.read(name).decode()) for name in records.namelist() if name.endswith(".py"))


def _converted(scripted: torch.jit.ScriptModule, example: Tensor) -> ExportedProgram:
    """As an exported program, for inputs of any size where torch can tell, or else for one like the example."""
    program = program_of_script(scripted, (example,))
    taken = next(node.meta["val"] for node in program.graph.nodes if node.name in program.graph_signature.user_inputs)
    is_fixed = isinstance(taken.shape[0], int) and len(example) > 1
    return program_of_script(scripted, (example[:1],)) if is_fixed else program


def _with_modules(program: ExportedProgram) -> ExportedProgram:
    """The same, each call that takes weights in the module whose weights they are: TorchScript does not say which."""
    signature = program.graph_signature
    weights = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
    for node in program.graph.nodes:
        owners = {weights[given.name].rpartition(".")[0] for given in node.all_input_nodes if given.name in weights}
        if node.op == "call_function" and len(owners) == 1:
            parts = owners.pop().split(".")
            paths = ["", *(".".join(parts[:k]) for k in range(1, len(parts) + 1))]
            node.meta["nn_module_stack"] = {path: (path, "torch.nn.Module") for path in paths}
    return program


TORCHSCRIPT = ModelFormat(is_torchscript, load_torchscript)
"""What `torch.jit.save` writes, `.pt` or `.ts`."""
