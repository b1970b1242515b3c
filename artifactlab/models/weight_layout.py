"""How files of weights are laid out, names, nesting and notes included, so that others are written like them."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor

from artifactlab.errors import ModelError, first_line
from artifactlab.models.checkpoint import is_safetensors, nested_weights, without_prefix
from artifactlab.models.torch_file import read_torch_file


@dataclass(frozen=True)
class WeightLayout:
    """The tensors in a file, or in several that belong together, as they lie there."""

    tensors: Mapping[str, Tensor]
    """By the names in the file, prefixes of wrappers included."""
    keys: tuple[str, ...] = ()
    """What leads to them in a file of `torch.save`: `("params_ema",)`, for instance."""
    notes: Mapping[str, str] = field(default_factory=dict)
    """What the header of a safetensors file says beside them."""
    is_safe: bool = True
    """Whether it is a safetensors file."""

    def names(self, before: Mapping[str, Tensor]) -> dict[str, str]:
        """Which names in the file some weights of the model that was loaded from it have.

        A library may rename what it loads. What has another name is found by its values; where they are several times
        there, as biases of zeros are, beside others of its layer.

        Raises:
            ModelError: if one is not in the file, or in too many places: it was computed when the file was loaded.
        """
        plain = dict(zip(without_prefix(dict(self.tensors)), self.tensors, strict=True))
        found = {name: plain[name] for name in before if name in plain and self._holds(plain[name], before[name])}
        others = {name: self._named_like(value) for name, value in before.items() if name not in found}
        layers = {_layer(name): _layer(places[0]) for name, places in others.items() if len(places) == 1}
        for name, places in others.items():
            beside = [place for place in places if _layer(place) == layers.get(_layer(name))]
            chosen = places if len(places) == 1 else beside
            if len(chosen) != 1:
                raise ModelError(f"{name} is nowhere in the file as it is in the model, or several times")
            found[name] = chosen[0]
        return found

    def _named_like(self, value: Tensor) -> list[str]:
        return [name for name in self.tensors if self._holds(name, value)]

    def _holds(self, name: str, value: Tensor) -> bool:
        there = self.tensors[name]
        return there.shape == value.shape and torch.equal(there.to(value.dtype), value)

    def replaced(self, changed: Mapping[str, Tensor]) -> WeightLayout:
        """The same with other values of some tensors, in the precision that the file has them in."""
        values = {name: changed[name].to(old.dtype) if name in changed else old for name, old in self.tensors.items()}
        return WeightLayout(values, self.keys, self.notes, self.is_safe)

    def to_bytes(self, safe: bool | None = None) -> bytes:
        """The content of such a file; of a safetensors file whatever it was where `safe` says so."""
        # copies, as safetensors refuses weights that share memory
        tensors = {name: value.detach().cpu().contiguous().clone() for name, value in self.tensors.items()}
        if self.is_safe if safe is None else safe:
            return save(tensors, metadata={"format": "pt", **self.notes})  # transformers asks for the format
        nested: object = tensors
        for key in reversed(self.keys):
            nested = {key: nested}
        content = io.BytesIO()
        torch.save(nested, content)
        return content.getvalue()


def read_layout(paths: Sequence[Path]) -> WeightLayout:
    """The layout of a file of weights, or of one that was cut into several.

    Raises:
        ModelError: if one cannot be read as data.
    """
    parts = [_read(path) for path in paths]
    tensors = {name: value for part in parts for name, value in part.tensors.items()}
    return WeightLayout(tensors, parts[0].keys, parts[0].notes, parts[0].is_safe)


def _read(path: Path) -> WeightLayout:
    if not is_safetensors(path):
        keys, tensors = nested_weights(read_torch_file(path), path)
        return WeightLayout(tensors, keys, is_safe=False)
    try:
        with safe_open(path, framework="pt") as file:
            notes = file.metadata() or {}
        return WeightLayout(load_file(path), notes=notes)
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise ModelError(f"{path} is no readable safetensors file: {first_line(error)}") from error


def _layer(name: str) -> str:
    return name.rpartition(".")[0]
