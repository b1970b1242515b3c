"""Folders that segmentation-models-pytorch wrote with `save_pretrained`: U-Nets, pyramids and the like."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from artifactlab.errors import ModelError, shown
from artifactlab.inputs.extras import extra
from artifactlab.models.described import filled
from artifactlab.models.formats import ModelFormat, refuse_arguments
from artifactlab.models.image_needs import ImageNeeds, declare
from artifactlab.models.model_folders import CONFIG, read_description

CLASS = "_model_class"
WEIGHTS = "model.safetensors"
PACKAGE = "segmentation_models_pytorch"


def is_smp_folder(path: Path) -> bool:
    """Whether a folder holds the description of a model as segmentation-models-pytorch writes it."""
    return path.is_dir() and CLASS in (read_description(path / CONFIG) or {})


def load_smp_folder(path: Path, kwargs: Mapping[str, Any]) -> nn.Module:
    """The model in a folder; nothing is fetched, also no weights of its encoder, and no code in the folder runs.

    Args:
        path: of the model.
        kwargs: none.

    Raises:
        ModelError: if the package has no such model, or the weights are missing or not those of the model.
        InputError: if segmentation-models-pytorch is not installed.
    """
    refuse_arguments(path, kwargs)
    package = extra(PACKAGE, "smp", f"the folder {path}")
    config = read_description(path / CONFIG) or {}
    name = config.pop(CLASS, None)
    kind: Any = getattr(package, name, None) if isinstance(name, str) else None
    if not isinstance(kind, type) or not issubclass(kind, package.base.SegmentationModel):
        raise ModelError(f"{path / CONFIG} names {shown(name)}, which is no model of {PACKAGE} {package.__version__}")
    if not (path / WEIGHTS).is_file():
        raise ModelError(f"{path} has no weights: expected {WEIGHTS} beside {CONFIG}")
    given = {key: value for key, value in config.items() if not key.startswith("_")}
    model = filled(kind, given, path / WEIGHTS, path / CONFIG)
    declare(model, _needs(model, config))
    return model


def _needs(model: Any, config: Mapping[str, Any]) -> ImageNeeds:
    """Channels that its first layer takes, and the stride of its encoder where it insists on multiples of that."""
    stride = int(model.encoder.output_stride) if model.requires_divisible_input_shape else 1
    return ImageNeeds(type(model).__name__, int(config.get("in_channels", 3)), minimum=stride, multiple_of=stride)


SMP = ModelFormat(is_smp_folder, load_smp_folder)
"""As `MODEL_FORMATS` has it."""
