"""A package that stands in for spandrel: one architecture, a convolution before a pixel shuffle."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

PACKAGE = """
from enum import Enum
from types import SimpleNamespace

import torch
from torch import nn


class UnsupportedModelError(Exception):
    pass


class ModelTiling(Enum):
    SUPPORTED = 1
    INTERNAL = 3


class ModelBase:
    pass


class ImageModelDescriptor(ModelBase):
    def __init__(self, model, channels, call=None, minimum=0, multiple_of=1, square=False):
        self.model, self.architecture, self.scale = model, SimpleNamespace(name="Tiny"), 2
        self.input_channels, self.supports_half, self.supports_bfloat16 = channels, False, True
        self.size_requirements = SimpleNamespace(minimum=minimum, multiple_of=multiple_of, square=square)
        self.tiling = ModelTiling.INTERNAL
        self._call_fn = call or (lambda model, image: model(image))


class Tiny(nn.Module):
    def __init__(self, channels, blocks):
        super().__init__()
        self.body = nn.ModuleList(nn.Conv2d(channels, channels, 1) for _ in range(blocks))
        self.conv = nn.Conv2d(channels, 4 * channels, 3, padding=1)
        self.shuffle = nn.PixelShuffle(2)

    def forward(self, x):
        if x.shape[-1] % 8 or x.shape[-2] % 8 or x.shape[-1] < 16 or x.shape[-2] < 16:
            raise ValueError("sides must be multiples of 8, 16 at least")
        return self.shuffle(self.conv(x))


class Registry:
    def load(self, weights):
        if "conv.weight" not in weights:
            raise UnsupportedModelError
        body = [int(key.split(".")[1]) for key in weights if key.startswith("body.")]
        channels = weights["conv.weight"].shape[1]
        model = Tiny(channels, max(body, default=-1) + 1)
        model.load_state_dict(weights)
        return ImageModelDescriptor(model, channels, minimum=16, multiple_of=8)


MAIN_REGISTRY = Registry()
"""


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, source: str = PACKAGE) -> None:
    """Make `import spandrel` find the stand-in, or what `source` says, for the time of a test."""
    (folder / "spandrel.py").write_text(source)
    monkeypatch.syspath_prepend(str(folder))
    uninstall(monkeypatch)
    del sys.modules["spandrel"]  # what was there, or was not, is back after the test
    monkeypatch.setitem(sys.modules, "spandrel_extra_arches", None)  # as if it were not there


def uninstall(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make `import spandrel` fail as it does where it is not installed."""
    monkeypatch.setitem(sys.modules, "spandrel", None)
