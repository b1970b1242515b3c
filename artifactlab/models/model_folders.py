"""Folders of a `config.json` and weights, which diffusers and transformers write: read as data, and bounded by them."""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import Tensor, nn
from torch.nn.modules import module as registration

from artifactlab.errors import ModelError, first_line, shown
from artifactlab.inputs.regular_files import read_regular
from artifactlab.models.checkpoint import check_weights
from artifactlab.printable import printable

CONFIG = "config.json"
"""What both libraries call the file that describes a model."""
MAX_CONFIG = 1 << 24
"""Bytes of a description: the names of 20 000 classes, twice, take one MB."""
MAX_NUMBER = 1 << 24
"""Largest whole number in a description; vocabularies and lengths of texts stay below ten millions."""
NUMBERS_PER_BYTE = 4
"""Entries of parameters that a byte of weights accounts for: they are registered when they are made and again when
they are loaded, those that are tied twice, and quantized ones come with two to a byte."""
MISFITS = ("state_dict", "mismatch", "shape")
"""What the libraries' errors about weights of other sizes have in them."""
MAX_REASON = 240
"""Letters that are quoted of why weights do not fit; the library names every tensor."""
FREE_NUMBERS = 1 << 26
"""Entries that any folder may ask for, 256 MB of them: for what is not in the file, and small files."""
LEAST_NUMBERS = 1 << 13
"""Entries that a module or a tensor counts for at least: 8000 are free, more than published models have, and endless
rows of small ones are noticed within a second."""


def say(text: str) -> None:
    """Tell the user what was taken from a folder, on stderr unless the program that we are in sends logs elsewhere."""
    logging.getLogger("artifactlab").warning("%s", printable(text))


def read_description(path: Path) -> dict[str, Any] | None:
    """The JSON object in a file; None where there is no file, or none of an object, or one too large to be it."""
    try:
        content = json.loads(read_regular(path, MAX_CONFIG))
    except (OSError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


@dataclass(frozen=True)
class ModelFolder:
    """A folder that holds one model."""

    path: Path
    config: Mapping[str, Any]
    """What its config.json describes."""
    stem: str
    """What the library calls its file of safe weights, without suffix."""
    bins: str
    """What it calls its file of pickled weights, without suffix."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Other arguments of its from_pretrained."""

    def model(self, library: ModuleType, name: object) -> nn.Module:
        """The model, of the class that a library has by a name, in full precision.

        Raises:
            ModelError: if code in the folder would have to run, the library has no such model, or the weights are
                missing, damaged, of another model or too few.
        """
        self._refuse_code()
        self._refuse_numbers(self.config)
        kind, how = self._kind(library, name), self._how()
        arguments = {"local_files_only": True, "output_loading_info": True, **how}
        try:
            with _offline(self), _bounded(self):
                model, info = kind.from_pretrained(str(self.path), **arguments)
        except (RuntimeError, ValueError) as error:
            if not any(word in str(error) for word in MISFITS):
                raise
            raise self._misfit(" ".join(str(error).split())[:MAX_REASON]) from error
        self._refuse_incomplete(info)
        whole: nn.Module = model.float()
        return whole  # a CPU has no convolutions of halves, or slow ones

    def _refuse_code(self) -> None:
        if "auto_map" in self.config:
            raise ModelError(
                f"{self.path} brings its own code (auto_map in {CONFIG}), which is never run; if you trust it, name a"
                " factory that loads it, as path/to/file.py:factory"
            )
        if (self.path / "adapter_config.json").exists():
            raise ModelError(f"{self.path} holds an adapter of another model; merge the two, and save the model")

    def _refuse_numbers(self, value: Any) -> None:
        """Raise a ModelError for numbers that no model has; what is made of them is made before it is registered."""
        if isinstance(value, (list, Mapping)):
            for part in value.values() if isinstance(value, Mapping) else value:
                self._refuse_numbers(part)
        elif isinstance(value, int) and abs(value) > MAX_NUMBER:
            raise ModelError(f"{self.path / CONFIG} asks for {shown(value)} of something; at most {MAX_NUMBER} are")

    def _kind(self, library: ModuleType, name: object) -> Any:
        kind: Any = getattr(library, name, None) if isinstance(name, str) else None
        ours = isinstance(kind, type) and kind.__module__.partition(".")[0] == library.__name__
        if not ours or not issubclass(kind, nn.Module) or not hasattr(kind, "from_pretrained"):
            version = getattr(library, "__version__", "")
            raise ModelError(
                f"{self.path / CONFIG} names {shown(name)}, which is no model of {library.__name__} {version}; update"
                f" {library.__name__}, or name a factory that loads it, as path/to/file.py:factory"
            )
        return kind

    @property
    def weights(self) -> list[Path]:
        """The files of weights, safe ones where there are any.

        Raises:
            ModelError: if there are none.
        """
        for stem, suffix in ((self.stem, "safetensors"), (self.bins, "bin")):
            files = sorted(path for path in self.path.glob(f"{stem}*.{suffix}") if path.is_file())
            if files:
                return files
        raise ModelError(f"{self.path} has no weights: expected {self.stem}.safetensors beside {CONFIG}")

    def _how(self) -> dict[str, Any]:
        """Arguments that pick the files of weights, read as data before: libraries read all bytes of what is none."""
        safe = self.weights[0].suffix == ".safetensors"
        for path in self.weights:
            check_weights(path)
        self._refuse_other_folders()
        variants = {_variant(path.name) for path in self.weights}
        return {**self.options, "use_safetensors": safe, **({} if "" in variants else {"variant": min(variants)})}

    def _refuse_other_folders(self) -> None:
        """Raise a ModelError where an index names weights that are not in the folder."""
        for index in self.path.glob("*.index*.json"):
            names = (read_description(index) or {}).get("weight_map", {})
            names = names.values() if isinstance(names, dict) else [names]
            lost = [name for name in names if not isinstance(name, str) or "/" in name or "\\" in name]
            if lost:
                raise ModelError(f"{index} names {shown(lost[0])}, which is not in the folder")

    def _refuse_incomplete(self, info: Mapping[str, Any]) -> None:
        for problem in ("missing_keys", "mismatched_keys"):
            names = sorted(map(str, info.get(problem) or ()))
            if names:
                raise self._misfit(f"{len(names)} {problem.replace('_', ' ')}, {shown(names[0])} first")

    def _misfit(self, reason: str) -> ModelError:
        advice = "save model and weights together, with save_pretrained"
        return ModelError(f"the weights in {self.path} do not fit its {CONFIG}: {reason}; {advice}")


def _variant(name: str) -> str:
    """`fp16` of model.fp16.safetensors and model.fp16-00001-of-00002.safetensors, empty where there is none."""
    return re.sub(r"-\d+-of-\d+$", "", name.rpartition(".")[0]).partition(".")[2]


@contextmanager
def _offline(folder: ModelFolder) -> Iterator[None]:
    """Keep huggingface_hub, which both libraries fetch by, from the network: a description may name what to fetch."""
    constants: Any = sys.modules.get("huggingface_hub.constants")
    if constants is None:
        yield
        return
    before, constants.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE, True
    try:
        yield
    except Exception as error:
        if type(error).__name__ != "OfflineModeIsEnabled":
            raise
        place = folder.path / CONFIG
        raise ModelError(
            f"{place} names something on the network, which is never fetched: {_address(error)}"
        ) from error
    finally:
        constants.HF_HUB_OFFLINE = before


def _address(error: Exception) -> str:
    """What an error of huggingface_hub says it cannot reach, without its advice to go and reach it."""
    return first_line(error).partition(": offline mode")[0]


@contextmanager
def _bounded(folder: ModelFolder) -> Iterator[None]:
    """Stop a model that grows beyond what its weights can fill, while it is being built."""
    size = sum(path.stat().st_size for path in folder.weights)
    left = FREE_NUMBERS + NUMBERS_PER_BYTE * size

    too_large = f"{folder.path / CONFIG} asks for a model far larger than its {size} bytes of weights"

    def count(numbers: int) -> None:
        nonlocal left
        left -= numbers
        if left < 0:
            raise ModelError(too_large)

    def of_tensor(module: nn.Module, name: str, value: Tensor | None) -> None:
        count(max(value.numel(), LEAST_NUMBERS) if isinstance(value, Tensor) else 0)

    def of_module(module: nn.Module, name: str, value: nn.Module | None) -> None:
        count(LEAST_NUMBERS)

    handles = (
        registration.register_module_parameter_registration_hook(of_tensor),
        registration.register_module_buffer_registration_hook(of_tensor),
        registration.register_module_module_registration_hook(of_module),
    )
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, MemoryError) or "allocate memory" in str(error):  # of one tensor, before it is registered
            raise ModelError(too_large) from error
        raise
    finally:
        for handle in handles:
            handle.remove()
