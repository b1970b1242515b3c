"""What is known of an architecture before it runs: how it is made, what it takes, and how often it truly enlarges."""

from __future__ import annotations

import hashlib
import importlib
import json
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

COUNT = 2
"""inputs that a command draws: the fewest of which an interval can be told"""
HIGHEST_ID = 8
"""token ids are drawn below it: every small vocabulary has as many"""


@dataclass(frozen=True)
class Architecture:
    """An architecture with random weights, as a user would name it on the command line."""

    name: str
    """library and class, and what tells it from others of the class"""
    target: str
    """`package.module:factory`, as it is typed"""
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    """JSON arguments of the factory; of a `config`"""
    noise: str = ""
    """shape of the first argument, such as `1x3x64x64`"""
    tensors: Mapping[str, str] = field(default_factory=dict)
    """name -> shape of other arguments that are noise; `int:` before the shape for token ids"""
    args: Mapping[str, Any] = field(default_factory=dict)
    """other arguments, as JSON"""
    config: str = ""
    """of transformers: class of the configuration that takes `kwargs`; a user has a folder that was saved"""
    output: str = ""
    """which of the outputs is judged, as --output takes it"""
    layout: str = ""
    """axes of the output, where they are not the usual ones"""
    lookups: tuple[str, ...] = ()
    """operations that look something up instead of enlarging, by its source"""
    truth: int | None = None
    """how often it enlarges what reaches the output, read from its source; None where only the instrument says"""
    why: str = ""
    """what was read, where instrument and source disagree"""

    @property
    def library(self) -> str:
        """The first word of its name."""
        return self.name.split()[0]

    @property
    def split(self) -> str:
        """`dev` or `test`, by the hash of its name."""
        return "dev" if hashlib.sha256(self.name.encode()).digest()[0] % 2 else "test"

    def factory(self) -> Callable[..., nn.Module]:
        """What makes the model of `kwargs`; imports the library."""
        name, _, attribute = self.target.partition(":")
        module = importlib.import_module(name)
        made = getattr(module, attribute.removesuffix(".from_pretrained"))
        if not self.config:
            return made
        config = getattr(module, self.config)
        return lambda **kwargs: made(config(**kwargs))

    def build(self) -> nn.Module:
        """The model, in eval mode, with random weights of a fixed seed."""
        torch.manual_seed(0)
        return self.factory()(**self.kwargs).eval()

    def call(self, larger: int = 1) -> tuple[tuple[Tensor, ...], dict[str, Any]]:
        """Positional and named arguments; the first so many times as large, where it is an image."""
        torch.manual_seed(1)
        first = _noise(self.noise) if self.noise else None
        if first is not None and first.ndim == 4:
            first = first.repeat(1, 1, larger, larger)
        positional = () if first is None else (first,)
        given = {name: _tensor_where_numbers(value) for name, value in self.args.items()}
        return positional, {**given, **{name: _noise(shape) for name, shape in self.tensors.items()}}

    def command(self, folder: Path, model: nn.Module) -> list[str]:
        """What a user types after `artifactlab`; what it reads is written into `folder`."""
        line, kwargs = ["diagnose", self.target], self.kwargs
        if self.config:
            model.save_pretrained(folder / "model")
            kwargs = {"pretrained_model_name_or_path": str(folder / "model")}
        line += ["--kwargs", json.dumps(kwargs)] if kwargs else []
        if self.noise.startswith("int:"):
            np.save(folder / "ids.npy", _noise(self.noise).numpy())
            line += ["--input", str(folder / "ids.npy")]
        elif self.noise:
            line += ["--noise", self.noise]
        line += ["--count", str(COUNT)] if "--noise" in line or self.tensors else []
        for name, value in self.args.items():
            line += ["--arg", f"{name}={json.dumps(value)}"]
        for name, shape in self.tensors.items():
            ids = shape.startswith("int:")
            line += ["--arg", f"{name}={_noise(shape).tolist()}"] if ids else ["--noise", f"{name}={shape}"]
        line += ["--output", self.output] if self.output else []
        return line + (["--layout", self.layout] if self.layout else [])


def typed(line: list[str]) -> str:
    """A command line as it is typed."""
    return shlex.join(["artifactlab", *line])


def _noise(shape: str) -> Tensor:
    """A tensor of normal noise, or of ids."""
    kind, _, sizes = shape.rpartition(":")
    size = [int(one) for one in sizes.split("x")]
    return torch.randint(HIGHEST_ID, size) if kind == "int" else torch.randn(size)


def _tensor_where_numbers(value: Any) -> Any:
    """A list of numbers is a tensor, as it is on the command line."""
    return torch.tensor(value) if isinstance(value, list) else value
