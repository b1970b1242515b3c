"""Models that a class of a known library makes of a description, and that a file of weights fills."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from artifactlab.errors import ModelError, shown
from artifactlab.models.bounds import bounded, offline, refuse_numbers
from artifactlab.models.checkpoint import fit, read_weights

STARTS = ("pretrained", "encoder_weights", "weights_backbone")
"""Arguments by which classes fetch the weights that a training starts from; the file has those of its end."""
OUTSIDE = ("pretrained", "checkpoint", "weights", "path", "url", "file", "dir")
"""Words in names of arguments that lead out of the folder."""


def filled(kind: Any, arguments: Mapping[str, Any], weights: Path, place: Path) -> nn.Module:
    """A model of a class, in evaluation mode, with the weights of a file; nothing is fetched and no other file read.

    Args:
        kind: the class, which the caller has found to be one of the library.
        arguments: of it, as the description has them: numbers, texts, and lists and dicts of such.
        weights: the file.
        place: the description, for messages.

    Raises:
        ModelError: if an argument leads out of the folder, the model is far larger than its weights, or they do not
            fit.
    """
    refuse_numbers(dict(arguments), place)
    starts = dict.fromkeys((name for name in STARTS if name in inspect.signature(kind).parameters), None)
    starts |= {"pretrained": False} if "pretrained" in starts else {}
    given = {**arguments, **starts}
    for name, value in given.items():
        if value and name not in starts and isinstance(value, str) and (_leads_out(name) or "://" in value):
            raise ModelError(f"{place} names {shown(value)} as {name}, which is never fetched or read; leave it out")
    with offline(place), bounded(place, weights.stat().st_size):
        model: nn.Module = kind(**given)
    fit(model, read_weights(weights), weights)
    return model.eval()


def _leads_out(name: str) -> bool:
    return any(word in name.lower().split("_") for word in OUTSIDE)
