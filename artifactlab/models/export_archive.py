"""Files that `torch.export.save` wrote, checked as data: torch's own reader runs what it finds in them.

`torch.export.load` unpickles weights that say so, example inputs, and custom objects; it imports modules that are named
in the layout of arguments, evaluates sizes as Python, looks operators up as attributes of `torch` (`torch.os` is one),
and loads machine code that was compiled into the file. What would do any of that is refused here.
"""

from __future__ import annotations

import json
import re
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from artifactlab.errors import ModelError, shown
from artifactlab.models.pickle_program import PickleError
from artifactlab.models.size_formulas import is_formula
from artifactlab.models.torch_file import read_torch_file
from artifactlab.models.zip_records import check_directory, check_sums, zip_names

NEEDED = (2, 8)
"""The version of torch whose files have the records that are checked here."""
MAX_STRUCTURE = 1 << 28
"""Bytes of graphs and tables, read whole; those of a model of a thousand layers have about 10 MB."""
RECORDS = re.compile(
    r"data/weights/weight_\d+|data/constants/tensor_\d+|data/(weights/model_weights|constants/model_constants)_config\.json"
    r"|models/model\.json|data/sample_inputs/model\.pt|archive_(format|version)|byteorder|\.data/\w+|\.\w+|extra/.*"
)
"""Names of all records that a single exported program has, without those of compiled code and of pickled objects."""
TABLE = re.compile(r".*_config\.json")
SAMPLE = "data/sample_inputs/model.pt"
MODEL = "models/model.json"
OPERATOR = re.compile(
    r"torch\.ops\.aten\.(?!from_file|save)\w+\.\w+|math\.\w+|torch\.sym_\w+"
    r"|torch\.ops\.higher_order\.wrap_with_(set_grad_enabled|autocast)"
    r"|_operator\.(getitem|add|sub|mul|mod|pow|neg|pos|floordiv|truediv|and_|or_|not_|eq|ne|lt|le|gt|ge)"
)
"""What a graph may call: arithmetic, and torch's operators but those that open files."""


def refuse_old_torch() -> None:
    """Raise a ModelError where torch cannot read such files as this package checks them, or graph most TorchScript.

    Torch 2.6 has no modules for the functions that a TorchScript net calls, and gives up.
    """
    found = torch.__version__
    if tuple(map(int, found.split(".")[:2])) < NEEDED:
        needed = ".".join(map(str, NEEDED))
        raise ModelError(
            f"exported programs and TorchScript need torch {needed} or newer, and this is {found}; everything else runs"
        )


def is_exported(path: Path) -> bool:
    """Whether a file is what `torch.export.save` writes, by what it holds."""
    return any(name.endswith(("/archive_format", "serialized_exported_program.json")) for name in zip_names(path))


def check_exported(path: Path) -> None:
    """Refuse a file that would run code as torch reads it, or that claims more than it holds.

    Raises:
        PickleError: with what it is that was refused.
        ModelError: if the example inputs in it need unpickling.
    """
    with path.open("rb") as file, zipfile.ZipFile(file) as records:
        check_directory(file, records, path.stat().st_size)
        sizes = _sizes(records)
        root = records.namelist()[0].partition("/")[0]
        structure = [name for name in sizes if name.endswith((".json", ".pt"))]
        if sum(sizes[name] for name in structure) > MAX_STRUCTURE:
            raise PickleError(f"its graph and tables take more than {MAX_STRUCTURE} bytes")
        check_sums(records)
        for name in filter(TABLE.fullmatch, structure):
            _check_table(json.loads(records.read(f"{root}/{name}")), name.rpartition("/")[0], sizes)
        _check_graph(json.loads(records.read(f"{root}/{MODEL}")))
        _check_sample(records.read(f"{root}/{SAMPLE}"))


def _sizes(records: zipfile.ZipFile) -> dict[str, int]:
    """Sizes of all records by name, without the folder that all are in.

    Raises:
        PickleError: if one is none of an exported program's.
    """
    sizes: dict[str, int] = {}
    roots = set()
    for record in records.infolist():
        root, _, name = record.filename.partition("/")
        roots.add(root)
        if name.startswith("data/aotinductor/"):
            raise PickleError("it holds compiled code; save the program before it is compiled, with torch.export.save")
        if not RECORDS.fullmatch(name):
            raise PickleError(
                f"it holds {shown(record.filename)}, which torch.export.save of torch 2.8 on does not write"
            )
        sizes[name] = record.file_size
    if len(roots) != 1 or not {MODEL, SAMPLE} <= sizes.keys():
        raise PickleError("it lacks the program; save it again, with torch.export.save of torch 2.8 or newer")
    return sizes


def _check_table(table: Any, folder: str, sizes: Mapping[str, int]) -> None:
    """A table of tensors: none of them is a pickle, and none has more numbers than its record has bytes."""
    for entry in table["config"].values():
        record = f"{folder}/{entry['path_name']}"
        if entry["use_pickle"] or not RECORDS.fullmatch(record) or TABLE.fullmatch(record):
            raise PickleError("it holds pickled objects, which can run code")
        count = 1
        for size in entry["tensor_meta"]["sizes"]:
            count *= size["as_int"]
        if count > sizes.get(record, 0):
            raise PickleError("it claims more weights than its bytes can hold")


def _check_graph(model: Any) -> None:
    """Nothing in the graph is looked up, imported or evaluated but operators and sizes."""
    for name in model["range_constraints"]:
        _check_size(name)
    for entry in _entries(model):
        targets = [entry[key] for key in ("target", "as_operator") if isinstance(entry.get(key), str)]
        for target in targets if "inputs" in entry or "as_operator" in entry else ():
            if not OPERATOR.fullmatch(target):
                raise PickleError(f"it calls {shown(target)}, which is none of torch's own operators")
        if isinstance(entry.get("expr_str"), str):
            _check_size(entry["expr_str"])
        layouts = [entry[key] for key in ("in_spec", "out_spec") if isinstance(entry.get(key), str)]
        if any(word in layout for layout in layouts for word in ("default_factory", "__enum__", "\\u")):
            raise PickleError(
                "its arguments are of classes that would be imported; take tensors, lists and dicts alone"
            )
        if "as_custom_obj" in entry:
            raise PickleError("it holds objects of classes of its own, which can run code")


def _check_size(formula: str) -> None:
    if not is_formula(formula):
        raise PickleError(f"it has a size {shown(formula)}, which is no formula of sizes")


def _entries(value: Any) -> Iterator[Mapping[str, Any]]:
    """All objects inside parsed JSON, in no order; the parser bounds how deep they are."""
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            yield value
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)


def _check_sample(content: bytes) -> None:
    """The example inputs hold tensors and containers of them: torch's reader would go on to unpickle anything."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "example-inputs.pt"
        path.write_bytes(content)
        read_torch_file(path)
