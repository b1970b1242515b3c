"""Folders of a `config.json` and weights, which diffusers and transformers write: read as data, and bounded by them."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from artifactlab.errors import ModelError, shown
from artifactlab.inputs.regular_files import read_regular
from artifactlab.models.bounds import bounded, offline, refuse_numbers
from artifactlab.models.checkpoint import check_weights
from artifactlab.printable import printable

CONFIG = "config.json"
"""What both libraries call the file that describes a model."""
MAX_CONFIG = 1 << 24
"""Bytes of a description: the names of 20 000 classes, twice, take one MB."""
MISFITS = ("state_dict", "mismatch", "shape")
"""What the libraries' errors about weights of other sizes have in them."""
MAX_REASON = 240
"""Letters that are quoted of why weights do not fit; the library names every tensor."""


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
        refuse_numbers(self.config, self.path / CONFIG)
        kind, how = self._kind(library, name), self._how()
        arguments = {"local_files_only": True, "output_loading_info": True, **how}
        try:
            unseen = contextlib.redirect_stderr(io.StringIO())  # bars of progress, which are no lines of ours
            with unseen, offline(self.path / CONFIG), bounded(self.path / CONFIG, self._size):
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

    @property
    def read_weights(self) -> list[Path]:
        """Those of the files that are read: of one variant, the plain one where there is one."""
        files = self.weights
        return [path for path in files if _variant(path.name) == min(_variant(path.name) for path in files)]

    @property
    def safe_name(self) -> str:
        """What the library would call these weights as one file of safe ones."""
        variant = _variant(self.read_weights[0].name)
        return f"{self.stem}.{variant}.safetensors" if variant else f"{self.stem}.safetensors"

    @property
    def _size(self) -> int:
        return sum(path.stat().st_size for path in self.weights)

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
