"""Which of the weights in a file are those of a model: trainers write several networks, each under its own name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from artifactlab.errors import ModelError, shown
from artifactlab.models.checkpoint import (
    NESTED_KEYS,
    listed,
    plain_weights,
    read_checkpoint,
    refuse_missing,
    refuse_other_suffix,
)
from artifactlab.models.model_folders import say
from artifactlab.models.torch_file import read_torch_file

OPTION = "--checkpoint-key"
NETWORKS = (
    *("ema", "ema_model", "model_ema", "net_g_ema", "netG_ema", "generator_ema"),
    *("net_g", "netG", "generator", "G", "net", "network", "model", "module", "student"),
)
"""What trainers call the network that makes images, means over the training first, as they are what is shipped."""


def read_part(path: Path, key: str | None) -> dict[str, Tensor]:
    """The weights in a file, or those of them that a user names.

    Args:
        path: the file.
        key: names of dicts inside the file and of modules, with dots in between, as `state_dict.generator`; None for
            what is found without. Of several networks, each in a dict of a name that is not known, all are: `of_model`
            tells which they are, as the dicts' names stand before those of the weights.

    Raises:
        ModelError: if the file cannot be read as data, or there is nothing of that name.
    """
    if path.suffix == ".safetensors":
        weights = read_checkpoint(path)
        return weights if key is None else _under(weights, key, key, path)
    refuse_missing(path)
    refuse_other_suffix(path)
    content: Any = read_torch_file(path)
    if key is None:
        return _of_networks(content, path) or plain_weights(content, path)
    rest = key
    while isinstance(content, Mapping) and rest:
        inside = next((name for name in _starts(rest) if isinstance(content.get(name), Mapping)), None)
        if inside is None:
            break
        content, rest = content[inside], rest[len(inside) + 1 :]
    weights = plain_weights(content, path)
    return _under(weights, rest, key, path) if rest else weights


def _of_networks(content: Any, path: Path) -> dict[str, Tensor]:
    """The weights of the networks in a dict of state dicts, each under its own name; none in a file of another kind."""
    if not isinstance(content, Mapping) or any(isinstance(content.get(key), Mapping) for key in NESTED_KEYS):
        return {}
    networks = {name: state for name, state in content.items() if isinstance(name, str) and _is_state(state)}
    return {
        f"{name}.{inside}": value
        for name, state in networks.items()
        for inside, value in plain_weights(state, path).items()
    }


def _is_state(value: Any) -> bool:
    """Whether it is a dict of tensors by name."""
    named = isinstance(value, Mapping) and len(value) > 0
    return named and all(isinstance(name, str) and isinstance(inside, Tensor) for name, inside in value.items())


def _starts(key: str) -> Iterable[str]:
    """`a.b`, then `a`, of `a.b`."""
    parts = key.split(".")
    return (".".join(parts[:count]) for count in range(len(parts), 0, -1))


def _under(weights: Mapping[str, Tensor], prefix: str, key: str, path: Path) -> dict[str, Tensor]:
    found = under(weights, prefix)
    if not found:
        names = sorted({name.partition(".")[0] for name in weights})
        raise ModelError(f"checkpoint {path} has nothing under {shown(key)}; it has {listed(names, 8)}")
    return found


def under(weights: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Those whose names start with a prefix and a dot, by the rest of their names."""
    start = f"{prefix}."
    return {name.removeprefix(start): value for name, value in weights.items() if name.startswith(start)}


def of_model(wanted: Iterable[str], weights: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    """Those weights that have a model's names after one prefix; all of them where they have no other names, or none do.

    Args:
        wanted: names of the model's weights.
        weights: of the file.
        path: the file, for messages.

    Raises:
        ModelError: if several prefixes do.
    """
    names = set(wanted)
    if not names or not names.isdisjoint(weights):
        return weights
    some = f".{min(names)}"
    prefixes = sorted(name.removesuffix(some) for name in weights if name.endswith(some))
    parts = {prefix: part for prefix in prefixes if names <= (part := under(weights, prefix)).keys()}
    if len(parts) > 1:
        raise ModelError(
            f"checkpoint {path} has weights of these names under {listed(list(parts), 8)}; choose one of them, as"
            f" {OPTION} {next(iter(parts))}"
        )
    for prefix, part in parts.items():
        say_part(path, prefix, len(weights) - len(part))
        return part
    return weights


def networks_in(weights: Mapping[str, Tensor]) -> list[str]:
    """Prefixes that trainers put before the names of a network's weights, likeliest first."""
    found = set()
    for name in weights:
        parts = name.split(".")[:-1]
        known = next((depth for depth, part in enumerate(parts) if part not in NETWORKS), len(parts))
        found |= {tuple(parts[: depth + 1]) for depth in range(min(known, 3))}
    return [".".join(parts) for parts in sorted(found, key=lambda parts: (len(parts), *map(NETWORKS.index, parts)))]


def say_part(path: Path, prefix: str, others: int) -> None:
    """Tell which of the weights in a file are taken, where that leaves some."""
    if others:
        say(f"of {path}, the weights under {shown(prefix)} are taken, and {others} others are not")
