"""The options of models and inputs as frozen records, which command functions get instead of single options."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from artifactlab.attribution.records import ModelSource
from artifactlab.cli.verbosity import describe_model, note, timed
from artifactlab.errors import ModelError, first_line
from artifactlab.models.checkpoint import sha256
from artifactlab.models.factory import load_model
from artifactlab.models.hub import downloaded
from artifactlab.models.image_needs import needs_of

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16, "float64": torch.float64}
"""Precisions by the names that --dtype takes."""


@dataclass(frozen=True)
class ModelOptions:
    """One model: how it is built, and where it runs."""

    target: str
    """The factory, as `package.module:factory` or `path/to/file.py:factory`, or a file that holds a model."""
    kwargs: dict[str, Any]
    """Arguments of the factory."""
    checkpoint: Path | None
    """File of the weights; None where the factory's own are kept."""
    checkpoint_key: str | None = None
    """Which of the weights in that file; None where they are found."""
    download: bool = False
    """Whether the target is an id of which the model is fetched; nothing is, without."""
    device: str | None = None
    """Where the model runs; None where it stays where its factory has put it."""
    dtype: str | None = None
    """Precision, a key of `DTYPES`; None where it is kept."""

    def build(self) -> nn.Module:
        """Build the model and place it.

        Raises:
            ModelError: if it cannot be built, loaded or moved to its device.
        """
        with timed("loading the model"):
            target = str(downloaded(self.target, self.kwargs)) if self.download else self.target
            model = load_model(target, self.kwargs, self.checkpoint, self.checkpoint_key)
            model = model if self.device is None else _placed(model, self.device)
        describe_model(model, self.target)
        return model if self.dtype is None else _converted(model, self.dtype)

    @property
    def weights(self) -> Path | None:
        """File of the weights: the checkpoint, or a target that is a file itself; None where the factory makes them."""
        target = Path(self.target)
        return self.checkpoint or (target if target.is_file() else None)

    def digest(self) -> str | None:
        """The SHA-256 of the file of the weights, if there is one."""
        return None if self.weights is None else sha256(self.weights)

    def origin(self) -> ModelSource:
        """Where the model comes from, for the JSON."""
        return ModelSource(self.target, self.digest())


def _converted(model: nn.Module, dtype: str) -> nn.Module:
    needs = needs_of(model)
    if needs is not None and dtype not in needs.precisions:
        note(f"{needs.name} was not made for {dtype}: what comes of it may not be the model's fault")
    return model.to(DTYPES[dtype])


def _placed(model: nn.Module, device: str) -> nn.Module:
    try:
        return model.to(torch.device(device))
    except (RuntimeError, AssertionError) as error:
        raise ModelError(f"cannot move the model to device {device!r}: {first_line(error)}") from error
