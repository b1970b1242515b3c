"""Fixed models as files: the weights, and in the header what was replaced by what, so that they load again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from artifactlab.errors import FixError, InputError, ModelError, first_line
from artifactlab.files import followed, refuse_unwritable, write_files, write_folder
from artifactlab.fix.post_filter import POST, PostFilter
from artifactlab.fix.replacement import Replacement, put
from artifactlab.models.checkpoint import refuse_misfit, without_prefix
from artifactlab.models.wrappers import unwrap

HEADER = "artifactlab.fix"
"""The key of the header entry: a JSON list of replacements, in the order they were made."""
Change = Replacement | PostFilter
"""What a fix does to a model's modules: a layer in another one's place, or a filter behind the output."""
MAX_REPLACEMENTS = 1000
"""More than any model has upsamplers, and fixes of them; each takes milliseconds to make."""


def save_fixed(path: Path, model: nn.Module, replacements: Sequence[Change]) -> None:
    """Write a model's weights, and what was replaced in it, as safetensors: completely or not at all.

    Args:
        path: ends in `.safetensors`.
        model: the fixed one; what wraps it, such as DataParallel, leaves no trace in the file.
        replacements: all that were made to the model as its own code builds it, first to last; none where only weights
            changed.

    Raises:
        FixError: if the file cannot be written.

    >>> import tempfile
    >>> from artifactlab.fix import replace_upsampler
    >>> model = nn.Sequential(nn.ConvTranspose2d(1, 1, 4, 2, 1))
    >>> swap = replace_upsampler(model, "0")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_fixed(Path(folder) / "fixed.safetensors", model, [swap.replacement])
    """
    refuse_unwritable_file(path)
    write_for_fix({followed(path): fixed_bytes(path, model, replacements)})


def fixed_bytes(path: Path, model: nn.Module, replacements: Sequence[Change]) -> bytes:
    """What `save_fixed` writes to `path`."""
    try:
        weights = unwrap(model).state_dict()  # by the names that the model's own code gives them
        # copies, as safetensors refuses weights that share memory
        tensors = {name: value.detach().cpu().contiguous().clone() for name, value in weights.items()}
        # where only weights changed there is nothing to build
        built = [made for made in replacements if not (isinstance(made, Replacement) and made.is_refit)]
        return save(tensors, metadata={HEADER: json.dumps([made.to_dict() for made in built])})
    except (SafetensorError, AttributeError, TypeError) as error:
        raise FixError(f"cannot write {path}: {error}") from error


def write_for_fix(contents: Mapping[Path, bytes], folder: Path | None = None) -> None:
    """`write_files`, or `write_folder` where all of them go into a new folder, with the error of a fix."""
    try:
        if folder is None:
            write_files(contents)
        else:
            write_folder(folder, {path.name: content for path, content in contents.items()})
    except InputError as error:
        raise FixError(str(error)) from error


def read_replacements(path: Path) -> list[Change]:
    """The replacements and filters that a weights file was saved with; none for any other file.

    Raises:
        ModelError: if it is no readable safetensors file.
        InputError: if the header is damaged.
    """
    if path.suffix != ".safetensors" or not path.is_file():
        return []
    try:
        with safe_open(path, framework="pt") as file:
            header = (file.metadata() or {}).get(HEADER, "[]")
        listed = json.loads(header)
    except (SafetensorError, OSError, ValueError, RecursionError) as error:
        raise ModelError(f"checkpoint {path} is no readable safetensors file: {first_line(error)}") from error
    if not isinstance(listed, list) or not all(isinstance(item, dict) for item in listed):
        raise ModelError(f"checkpoint {path}: its list of replacements is damaged")
    if len(listed) > MAX_REPLACEMENTS:
        raise ModelError(f"checkpoint {path} lists {len(listed)} replacements; expected at most {MAX_REPLACEMENTS}")
    return [PostFilter.from_dict(item) if POST in item else Replacement.from_dict(item) for item in listed]


def install_from(model: nn.Module, path: Path) -> nn.Module:
    """Replace in a model, in place, what had been replaced in the one that a weights file was saved of.

    It is returned, with a filter behind it where that one had one.

    The new modules are made without memory first, and compared with the weights that the file holds: what it says about
    their sizes is not believed.

    Raises:
        ModelError: if the file is damaged, or its weights are not those of what it says was replaced.
        FixError: if the model lacks a module that was replaced.
        InputError: if a replacement cannot be built.
    """
    replacements = read_replacements(path)
    if not replacements:
        return model
    with torch.device("meta"):
        drafts = [made.build() for made in replacements]
    for made, draft in zip(replacements, drafts, strict=True):
        model = installed(model, made, draft)
    refuse_misfit(model.state_dict(), _shapes(path), path)
    kept = set(model.modules())  # what was replaced once more is never made
    real = {draft: made.build() for made, draft in zip(replacements, drafts, strict=True) if draft in kept}
    for name, module in list(model.named_modules(remove_duplicate=False)):
        if module in real:
            put(model, name, real[module])
    return model


def installed(model: nn.Module, made: Change, new: nn.Module) -> nn.Module:
    """The model with what a fix did to another copy of it: itself, or itself with a filter behind it."""
    if isinstance(made, PostFilter):
        return made.install(model, new)
    made.install(model, new)
    return model


def _shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Shapes of the weights in a safetensors file, from its header."""
    with safe_open(path, framework="pt") as file:
        return without_prefix({name: tuple(file.get_slice(name).get_shape()) for name in file.keys()})  # noqa: SIM118


def refuse_unwritable_file(path: Path) -> None:
    """Raise a FixError, before any work is done, where a file cannot be written."""
    if path.suffix != ".safetensors":
        raise FixError(f"{path}: weights are written as .safetensors, got {path.suffix or 'no suffix'!r}")
    try:
        refuse_unwritable(followed(path))
    except InputError as error:
        raise FixError(str(error)) from error
