"""A fixed model as a folder like the one that it came from, which `from_pretrained` of the same library opens."""

from __future__ import annotations

from pathlib import Path

from artifactlab.errors import FixError, ModelError
from artifactlab.fix.back import Source, Written
from artifactlab.fix.back_weights import not_held, refilled
from artifactlab.fix.held import held
from artifactlab.fix.pipeline import Fix
from artifactlab.inputs.regular_files import read_regular
from artifactlab.models.diffusers_folder import diffusers_model_folder
from artifactlab.models.model_folders import MAX_CONFIG, ModelFolder
from artifactlab.models.transformers_folder import transformers_model_folder

OWN_NAME = "artifactlab.safetensors"
"""What artifactlab's own weights are called in a folder, where neither library looks for it."""


def own_weights(out: Path, target: Path) -> Path:
    """Where artifactlab's own weights go: to what was typed, or into it where a folder becomes a folder.

    >>> own_weights(Path("fixed.safetensors"), Path("4x-foo.pth"))
    PosixPath('fixed.safetensors')
    """
    return out / OWN_NAME if target.is_dir() and out.suffix != ".safetensors" else out


def diffusers_back(made: Fix, source: Source, out: Path) -> tuple[Written, ...]:
    """The fixed model as a folder for diffusers, see `Writer`."""
    folder = diffusers_model_folder(source.path, source.kwargs.get("component"))
    return _folder_back(made, source, out, folder)


def transformers_back(made: Fix, source: Source, out: Path) -> tuple[Written, ...]:
    """The fixed model as a folder for transformers, see `Writer`."""
    return _folder_back(made, source, out, transformers_model_folder(source.path))


def _folder_back(made: Fix, source: Source, out: Path, folder: ModelFolder) -> tuple[Written, ...]:
    """All that the folder describes itself by, and the weights in one file that libraries read rather than pickles."""
    if out.name != OWN_NAME:
        return (Written(f"for a folder that is opened like {source.path}, give the name of a new folder for -o"),)
    try:
        found = held(made, source)
        layout = refilled(folder.read_weights, source.model, found)
    except (FixError, ModelError) as error:
        return (not_held(error, made, source, out),)
    described = {path.name: read_regular(path, MAX_CONFIG) for path in _descriptions(folder)}
    files = {**described, folder.safe_name: layout.to_bytes(safe=True)}
    sentence = f"{out.parent} is opened like {folder.path}: {found.likeness}"
    return (Written(sentence, {out.parent / name: content for name, content in files.items()}, found.psnr),)


def _descriptions(folder: ModelFolder) -> list[Path]:
    """The configurations of model and image processor; not which of several files a weight is in."""
    return [path for path in sorted(folder.path.glob("*.json")) if ".index" not in path.name]
