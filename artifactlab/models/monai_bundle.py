"""MONAI bundles: a network that a configuration names, and its weights, in a folder or a zip of one.

The configuration is a language with expressions (`$`) that MONAI's own reader evaluates as Python. Here it is read as
data: literals and references to them are taken, and anything that would run code is refused.
"""

from __future__ import annotations

import ast
import shutil
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from torch import nn

from artifactlab.errors import ModelError, shown
from artifactlab.inputs.extras import extra
from artifactlab.models.described import filled
from artifactlab.models.formats import ModelFormat, refuse_arguments
from artifactlab.models.image_needs import ImageNeeds, declare
from artifactlab.models.model_folders import MAX_CONFIG, read_description
from artifactlab.models.zip_records import zip_names

CONFIGS = ("configs/inference.json", "configs/train.json")
"""Where bundles describe their network, the first that does."""
WEIGHTS = ("models/model.pt", "models/model.safetensors")
NETWORKS = ("network_def", "network", "net")
"""What configurations call the network; the first of them that names a class."""
TARGET = "_target_"
NETS = "monai.networks.nets"
OPTIONAL = ("_requires_", "_disabled_", "_desc_", "_mode_", "_meta_")
"""Entries beside the arguments of a class, in MONAI's configurations."""
MOST_REFERENCES = 16
"""References from one to the next; those of published bundles are direct, and in a circle they never end."""
MOST_LITERAL = 1000
"""Letters of a literal; Python's parser takes memory for each."""
MOST_UNPACKED = 4
"""Bytes of weights per byte of a zip at most: trained ones deflate by a tenth, constant ones by any factor."""
FACTORY = "name a factory that makes it, as path/to/file.py:factory"


def is_monai_bundle(path: Path) -> bool:
    """Whether a folder, or a zip, holds a configuration and weights where MONAI puts them."""
    if path.is_dir():
        return any((path / name).is_file() for name in CONFIGS) and any((path / name).is_file() for name in WEIGHTS)
    names = {_inside(name) for name in zip_names(path)}
    return not names.isdisjoint(CONFIGS) and not names.isdisjoint(WEIGHTS)


def load_monai_bundle(path: Path, kwargs: Mapping[str, Any]) -> nn.Module:
    """The network of a bundle; no code of the bundle runs, and no expression in it is evaluated.

    Args:
        path: of the folder, or of a zip of it.
        kwargs: none.

    Raises:
        ModelError: if the network is no class of `monai.networks.nets`, an argument is an expression, or the weights
            are not those of the network.
        InputError: if MONAI is not installed.
    """
    refuse_arguments(path, kwargs)
    if path.is_dir():
        return _of_folder(path, path)
    with tempfile.TemporaryDirectory() as name:
        _unpack(path, Path(name))
        return _of_folder(Path(name), path)


def _of_folder(folder: Path, shown_as: Path) -> nn.Module:
    """The network of a folder, which messages call by the path that the user knows."""
    place, config, name = _network(folder, shown_as)
    nets = extra(NETS, "monai", f"the bundle {shown_as}")
    kind = _kind(nets, config[name][TARGET], place)
    found = {key: value for key, value in config[name].items() if key not in (TARGET, *OPTIONAL)}
    arguments = {key: _literal(value, config, place) for key, value in found.items()}
    weights = next(folder / name for name in WEIGHTS if (folder / name).is_file())
    model = filled(kind, arguments, weights, place)
    channels = arguments.get("in_channels")
    if arguments.get("spatial_dims") == 2 and isinstance(channels, int):
        declare(model, ImageNeeds(type(model).__name__, channels))
    return model


def _network(folder: Path, shown_as: Path) -> tuple[Path, Mapping[str, Any], str]:
    """The place of the first configuration that names a class of a network, what it holds, and the network's name."""
    for file in CONFIGS:
        config = read_description(folder / file) or {}
        for name in NETWORKS:
            if isinstance(config.get(name), dict) and TARGET in config[name]:
                return shown_as / file, config, name
    names = " or ".join(NETWORKS)
    raise ModelError(f"{shown_as} names no network: expected a {TARGET} under {names} in {CONFIGS[0]}; {FACTORY}")


def _kind(nets: Any, target: object, place: Path) -> Any:
    """The class of a network, by its name alone or by its whole path in MONAI."""
    module, _, name = target.rpartition(".") if isinstance(target, str) else ("", "", "")
    kind = vars(nets).get(name)
    is_ours = module in ("", NETS) or module == getattr(kind, "__module__", None)
    inside = isinstance(kind, type) and issubclass(kind, nn.Module) and kind.__module__.startswith(f"{NETS}.")
    if not inside or not is_ours:
        raise ModelError(f"{place} names {shown(target)}, which is no class of {NETS} and is never run; {FACTORY}")
    return kind


def _literal(value: Any, config: Mapping[str, Any], place: Path, depth: int = 0) -> Any:
    """A value of the configuration with its references followed."""
    if depth > MOST_REFERENCES:
        raise ModelError(f"{place} has references of more than {MOST_REFERENCES} steps, or in a circle")
    if isinstance(value, list):
        return [_literal(part, config, place, depth + 1) for part in value]
    if isinstance(value, dict):
        if TARGET in value:
            raise ModelError(f"{place} makes an argument of {shown(value[TARGET])}, which is never run; {FACTORY}")
        return {key: _literal(part, config, place, depth + 1) for key, part in value.items()}
    if isinstance(value, str) and value[:1] in ("@", "%"):
        return _literal(_referred(value, config, place), config, place, depth + 1)
    return _evaluated(value, place) if isinstance(value, str) and value.startswith("$") else value


def _referred(reference: str, config: Mapping[str, Any], place: Path) -> Any:
    """What a reference such as `@channels` or `@sizes::0` names."""
    found: Any = config
    for part in reference[1:].replace("#", "::").split("::"):
        within = isinstance(found, list) and part.isdecimal() and len(part) < 9 and int(part) < len(found)
        if not within and not (isinstance(found, dict) and part in found):
            raise ModelError(f"{place} refers to {shown(reference)}, which is not in it; {FACTORY}")
        found = found[int(part)] if isinstance(found, list) else found[part]
    return found


def _evaluated(expression: str, place: Path) -> Any:
    """A literal that is written as an expression, such as `$None` or `$(4, 8)`."""
    try:
        if len(expression) > MOST_LITERAL:
            raise ValueError
        return ast.literal_eval(expression[1:].strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise ModelError(f"{place} has the expression {shown(expression)}, which is never run; {FACTORY}") from error


def _inside(name: str) -> str:
    """A record's name without the folder that a zip was made of."""
    return "/".join(PurePosixPath(name).parts[-2:])


def _unpack(path: Path, folder: Path) -> None:
    """Write what is read of a bundle; its weights are stored or deflated, and never more than a few times their size.

    Raises:
        ModelError: if the zip is damaged, or claims more than it can hold.
    """
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as records:
            for record in records.infolist():
                name = _inside(record.filename)
                if name in (*CONFIGS, *WEIGHTS) and not (folder / name).exists():
                    _copy(records, record, folder / name, MAX_CONFIG if name in CONFIGS else path.stat().st_size)
    except ModelError:
        raise
    except Exception as error:  # zipfile and zlib raise whatever comes of a damaged file
        raise ModelError(f"bundle {path} cannot be read: it is damaged ({type(error).__name__})") from error


def _copy(records: zipfile.ZipFile, record: zipfile.ZipInfo, to: Path, packed: int) -> None:
    """Write a record, unless it becomes more than `MOST_UNPACKED` times what is there."""
    if record.file_size > MOST_UNPACKED * packed:
        raise ModelError(f"{record.filename} claims {record.file_size} bytes, more than weights are packed to")
    to.parent.mkdir(parents=True, exist_ok=True)
    with records.open(record) as content, to.open("wb") as file:
        shutil.copyfileobj(content, file)  # zipfile reads no further than the size that was checked


MONAI = ModelFormat(is_monai_bundle, load_monai_bundle)
"""As `MODEL_FORMATS` has it."""
