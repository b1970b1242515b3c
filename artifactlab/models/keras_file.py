"""`.keras` files, computed by Keras on torch: images are channels-first outside, as everywhere here.

A configuration can name functions to import, and layers that read files or run code. Keras refuses some of that; here
all names are compared with Keras's own before it sees them.
"""

from __future__ import annotations

import io
import json
import os
import sys
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import nn

from artifactlab.errors import ArtifactLabError, ModelError, first_line, shown
from artifactlab.inputs.extras import extra
from artifactlab.models.budget import MemoryBudget
from artifactlab.models.formats import ModelFormat, refuse_arguments
from artifactlab.models.keras_layers import KerasModel
from artifactlab.models.model_folders import MAX_CONFIG
from artifactlab.models.zip_records import zip_names

CONFIG, WEIGHTS = "config.json", "model.weights.h5"
MODULES = {
    "keras",
    *(f"keras.{name}" for name in ("layers", "models", "initializers", "regularizers", "constraints", "activations")),
    *("keras.dtype_policies", "keras.src.models.functional", "keras.src.models.sequential"),
}
"""Where classes of a model come from that Keras's own layers are made of."""
WITHOUT_MODULE = {"__keras_tensor__", "__tuple__"}
"""What else has a class name; other ones make functions and arrays."""
REFUSED = {
    *("Lambda", "TorchModuleWrapper", "TFSMLayer", "JaxLayer", "FlaxLayer"),
    *("StringLookup", "IntegerLookup", "TextVectorization"),
}
"""Layers of Keras's that run code of the file, and those that read others."""
PER_BYTE, AT_LEAST = 8, 1 << 28
"""Bytes that making a model may take per byte of its file, and whatever its file, as for spandrel's."""
MOST_UNPACKED = 4
"""Bytes of weights per byte of a file at most: they are compressed where somebody asks for it, by a tenth or so."""
MOST_SMALL = 1 << 20
"""Bytes of weights that any file may hold: zeros and ones of a new model are compressed by any factor."""


def is_keras(path: Path) -> bool:
    """Whether a file is what Keras 3 saves, by what it holds."""
    return {CONFIG, WEIGHTS} <= set(zip_names(path))


def load_keras(path: Path, kwargs: Mapping[str, Any]) -> nn.Module:
    """The model in a file, which takes and returns channels first; no code in the file runs.

    Args:
        path: the file.
        kwargs: none.

    Raises:
        ModelError: if a layer is none of Keras's own, or runs code or reads files; if the file is damaged, or claims
            more than it holds; or if Keras runs on something else than torch already.
        InputError: if Keras is not installed.
    """
    refuse_arguments(path, kwargs)
    _refuse_hostile(path)
    keras = _imported(path)
    size = PER_BYTE * path.stat().st_size + AT_LEAST
    try:
        _refuse_links(path)
        with MemoryBudget(size, f"{path} claims a model that takes more than {size >> 20} MiB"), keras.device("cpu"):
            model = keras.saving.load_model(str(path), compile=False, safe_mode=True)
    except ArtifactLabError:
        raise
    except Exception as error:  # Keras and h5py raise whatever comes of damaged files
        raise ModelError(f"{path} cannot be opened by Keras: {type(error).__name__}: {first_line(error)}") from error
    return KerasModel(model, keras.device).eval()


def _imported(path: Path) -> Any:
    """Keras on torch; on what it runs is chosen once, when it is first imported."""
    if "keras" not in sys.modules:
        os.environ["KERAS_BACKEND"] = "torch"
    keras = extra("keras", "keras", f"the file {path}")
    if keras.backend.backend() != "torch":
        raise ModelError(f"Keras runs on {keras.backend.backend()} here; set KERAS_BACKEND=torch before it is imported")
    return keras


def _refuse_hostile(path: Path) -> None:
    """Raise a ModelError for a configuration that names more than layers, and what they are made of, of Keras's own."""
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as records:
            if records.getinfo(CONFIG).file_size > MAX_CONFIG:
                raise ModelError(f"{path}: its {CONFIG} takes more than {MAX_CONFIG} bytes")
            config = json.loads(records.read(CONFIG))
    except ModelError:
        raise
    except Exception as error:  # zipfile, zlib and json raise whatever comes of damaged files
        raise ModelError(f"{path} cannot be read: it is damaged ({type(error).__name__})") from error
    for entry in _entries(config):
        name, module = entry["class_name"], entry.get("module")
        texts = isinstance(name, str) and isinstance(module, (str, type(None)))
        known = texts and (name in WITHOUT_MODULE if module is None else module in MODULES and name not in REFUSED)
        if not known or entry.get("registered_name") not in (None, name):
            raise ModelError(f"{path} has {shown(name)}, which is no layer of Keras's own or may run code; take it out")


def _entries(value: Any) -> Iterator[Mapping[str, Any]]:
    """All objects of a class inside parsed JSON, in no order."""
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            if "class_name" in value:
                yield value
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)


def _refuse_links(path: Path) -> None:
    """Raise a ModelError for weights that lie in other files, or that are far larger than theirs."""
    h5py = extra("h5py", "keras", f"the file {path}")
    most = MOST_UNPACKED * path.stat().st_size + MOST_SMALL
    with zipfile.ZipFile(path) as records:
        if records.getinfo(WEIGHTS).file_size > most:
            raise ModelError(f"{path} claims more weights than its bytes can hold")
        content = records.read(WEIGHTS)
    with h5py.File(io.BytesIO(content), "r") as file:
        claimed = sum(_claimed(group, h5py, path) for group in _groups(file, h5py))
    if claimed > most:
        raise ModelError(f"{path} claims more weights than its bytes can hold")


def _groups(file: Any, h5py: Any) -> Iterator[Any]:
    """A file's groups, those inside others as well; links are not followed out of it."""
    waiting = [file]
    while waiting:
        group = waiting.pop()
        yield group
        inside = [name for name in group if isinstance(group.get(name, getlink=True), h5py.HardLink)]
        waiting += [group[name] for name in inside if isinstance(group[name], h5py.Group)]


def _claimed(group: Any, h5py: Any, path: Path) -> int:
    """Bytes of the arrays in a group."""
    for name in group:
        link = group.get(name, getlink=True)
        array = group[name] if isinstance(link, h5py.HardLink) else None
        if array is None or (isinstance(array, h5py.Dataset) and (array.external or array.is_virtual)):
            raise ModelError(f"{path} has weights that are said to lie elsewhere: {shown(name)}")
    return sum(int(array.nbytes) for array in group.values() if isinstance(array, h5py.Dataset))


KERAS = ModelFormat(is_keras, load_keras)
"""As `MODEL_FORMATS` has it."""
