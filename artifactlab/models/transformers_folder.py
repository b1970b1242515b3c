"""Folders that transformers wrote, of models that make images, depth or masks of images."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from artifactlab.inputs.extras import extra
from artifactlab.models.formats import ModelFormat, refuse_arguments
from artifactlab.models.image_needs import ImageNeeds, declare
from artifactlab.models.image_processors import Processor, processor_of
from artifactlab.models.model_folders import CONFIG, ModelFolder, read_description, say

PROCESSOR = "preprocessor_config.json"
PIXELS = "pixel_values"
"""What models of images call their first argument."""
PICTURES = ("reconstruction", "predicted_depth", "masks_queries_logits", "pred_masks", "logits")
"""What of an output is for people to look at, by the names of all kinds of outputs; the first that is there."""


def is_transformers_folder(path: Path) -> bool:
    """Whether a folder holds the description of a model as transformers writes it."""
    config = read_description(path / CONFIG) if path.is_dir() else None
    return config is not None and "_class_name" not in config and {"architectures", "model_type"} <= config.keys()


def load_transformers_folder(path: Path, kwargs: Mapping[str, Any]) -> nn.Module:
    """The model in a folder; nothing is fetched, and no code in the folder runs.

    Args:
        path: of the model.
        kwargs: none.

    Raises:
        ModelError: if the folder holds no model of transformers, or its weights are not those of the model.
        InputError: if transformers is not installed.
    """
    refuse_arguments(path, kwargs)
    transformers = extra("transformers", "transformers", f"the folder {path}")
    folder = transformers_model_folder(path)
    names = folder.config.get("architectures")
    name = names[0] if isinstance(names, list) and names else names
    model = folder.model(transformers, name)
    if getattr(model, "main_input_name", PIXELS) != PIXELS:
        return model
    return _of_pixels(model, processor_of(read_description(path / PROCESSOR)))


def transformers_model_folder(path: Path) -> ModelFolder:
    """The folder of a model, with the names that transformers gives to weights."""
    return ModelFolder(path, read_description(path / CONFIG) or {}, "model", "pytorch_model")


class PixelModel(nn.Module):
    """What a model of images is made an instance of, beside its own class: what it holds keeps its names."""

    processor: Processor

    def forward(self, pixels: Any, **kwargs: Any) -> Any:
        """The picture that the model makes of pixels from 0 to 1, as the only entry of a dict; all where there is none.

        Depth (N, H, W) has an axis of one channel here: images, not signals of H channels.
        """
        result = super().forward(self.processor(pixels), **kwargs)
        found = next((name for name in PICTURES if getattr(result, name, None) is not None), None)
        if found is None:
            return result
        picture = getattr(result, found)
        return {found: picture.unsqueeze(1) if found == "predicted_depth" and picture.ndim == 3 else picture}


def _of_pixels(model: nn.Module, processor: Processor) -> nn.Module:
    """The model itself, made an instance of `PixelModel`."""
    name = type(model).__name__
    model.__class__ = type(name, (PixelModel, type(model)), {"processor": processor})
    channels = getattr(getattr(model, "config", None), "num_channels", None)
    declare(model, ImageNeeds(name, channels if isinstance(channels, int) else 3, value_range="0,1"))
    say(f"{name}: pixels, 0 to 1, are {processor.words}")
    return model


TRANSFORMERS = ModelFormat(is_transformers_folder, load_transformers_folder)
"""As `MODEL_FORMATS` has it."""
