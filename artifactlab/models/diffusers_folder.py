"""Folders that diffusers wrote: a model, or a pipeline of which one component is taken."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from artifactlab.errors import ModelError, shown
from artifactlab.inputs.extras import extra
from artifactlab.models.autoencoders import is_autoencoder, opened_autoencoder
from artifactlab.models.formats import ModelFormat, refuse_arguments
from artifactlab.models.model_folders import CONFIG, ModelFolder, read_description, say

PIPELINE = "model_index.json"
CLASS = "_class_name"
STEM = "diffusion_pytorch_model"
OPTIONS = {"low_cpu_mem_usage": False}
"""Memory is bounded already, and what weight norm computes would be left without numbers."""
DECODERS = ("vae", "vqvae", "movq", "vqgan", "vqmodel")
"""What pipelines call the component that makes images; the first that is there is taken."""


def is_diffusers_folder(path: Path) -> bool:
    """Whether a folder holds a description of a model or a pipeline as diffusers writes it."""
    return path.is_dir() and any(CLASS in (read_description(path / name) or {}) for name in (PIPELINE, CONFIG))


def load_diffusers_folder(path: Path, kwargs: Mapping[str, Any]) -> nn.Module:
    """The model in a folder; nothing is fetched, and no code in the folder runs.

    Args:
        path: of a model, or of a pipeline.
        kwargs: `component` of a pipeline, by default the one that makes images; `input`, see `opened_autoencoder`.

    Raises:
        ModelError: if the folder holds no model of diffusers, or its weights are not those of the model.
        InputError: if diffusers is not installed.
    """
    refuse_arguments(path, kwargs, ("component", "input"))
    diffusers = extra("diffusers", "diffusers", f"the folder {path}")
    folder = diffusers_model_folder(path, kwargs.get("component"))
    if folder.path != path and kwargs.get("component") is None:
        others = ", ".join(name for name in _components(path) if name != folder.path.name)
        more = f"; --kwargs names another ({others})" if others else ""
        say(f"{path} is a pipeline: its {folder.path.name} is taken{more}")
    model = folder.model(diffusers, folder.config.get(CLASS))
    if is_autoencoder(model):
        return opened_autoencoder(model, kwargs.get("input"))
    if "input" in kwargs:
        raise ModelError(f"{path} holds a {type(model).__name__}, which has one kind of input; leave input away")
    return model


def diffusers_model_folder(path: Path, component: object = None) -> ModelFolder:
    """The folder of a model, or of a pipeline's component: the one that is wanted, or the first that makes images.

    Raises:
        ModelError: if there is no such component.
    """
    if (path / PIPELINE).is_file():
        path /= _component(path, component)
    elif component:
        raise ModelError(f"{path} is a model and no pipeline, and has no components; leave component away")
    return ModelFolder(path, read_description(path / CONFIG) or {}, STEM, STEM, OPTIONS)


def _components(path: Path) -> list[str]:
    """The names of a pipeline's models."""
    index = read_description(path / PIPELINE) or {}
    inside = filter(str.isidentifier, index)  # arguments of the pipeline; a path would lead out of the folder
    return [name for name in inside if CLASS in (read_description(path / name / CONFIG) or {})]


def _component(path: Path, wanted: object) -> str:
    names = _components(path)
    found = wanted if wanted is not None else next((name for name in DECODERS if name in names), None)
    if not isinstance(found, str) or found not in names:
        got = f"no component {shown(wanted)}" if wanted is not None else "none of the components that make images"
        choice = f'choose with --kwargs \'{{"component": "{names[0]}"}}\' of ' if names else ""
        raise ModelError(f"{path} has {got}; {choice}{', '.join(map(repr, names)) or 'it has no models of diffusers'}")
    return found


DIFFUSERS = ModelFormat(is_diffusers_folder, load_diffusers_folder)
"""As `MODEL_FORMATS` has it."""
