"""`artifactlab compare MODEL_A MODEL_B`: where two variants of one model part."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import click
import torch

import artifactlab
from artifactlab.cli.options import JsonObject, built_model, image_options
from artifactlab.cli.progress import progress_bar
from artifactlab.cli.verbosity import describe_inputs
from artifactlab.errors import InputError
from artifactlab.inputs.model_inputs import RANGES, load_inputs
from artifactlab.inputs.probes import PROBES
from artifactlab.models.checkpoint import sha256

T = TypeVar("T")
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16, "float64": torch.float64}
FACTORY = re.compile(r".+:[A-Za-z_]\w*")


def is_model(argument: str) -> bool:
    """Whether an argument names a model, and no file or folder: `package.module:factory`, `file.py:factory`."""
    return FACTORY.fullmatch(argument) is not None and not Path(argument).exists()


@dataclass(frozen=True)
class ModelOptions:
    """What `compare` is told about two models; what has one value is of both, two are of the first and the second."""

    inputs: Sequence[str]
    probes: Sequence[str]
    kwargs: Sequence[dict[str, Any]]
    checkpoint: Sequence[Path]
    device: Sequence[str]
    dtype: Sequence[str]
    value_range: str
    data_range: float | None
    gray: bool
    crop: int | None
    output: str | None


def model_pair_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of two models: those of one, and which may be given twice."""
    twice = "Of both models; twice: of the first, then of the second."
    options = [
        click.option("--input", "inputs", multiple=True, metavar="PATH...", help="Images that both models are run on."),
        click.option("--probe", "probes", multiple=True, type=click.Choice(list(PROBES)), help="Synthetic input."),
        click.option("--kwargs", multiple=True, metavar="JSON", type=JsonObject(), help=f"For the factory. {twice}"),
        click.option("--checkpoint", multiple=True, type=click.Path(path_type=Path), help=f"Weights. {twice}"),
        click.option("--device", multiple=True, help=f"Where to run it, e.g. cuda. {twice}"),
        click.option("--dtype", multiple=True, type=click.Choice(list(DTYPES)), help=f"Its precision. {twice}"),
        *image_options("the models"),
        click.option("--output", metavar="KEY_OR_INDEX", help="Which of the models' outputs to compare."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def compared_models(targets: tuple[str, str], options: ModelOptions, seed: int) -> artifactlab.ModelComparison:
    """Both models, built and compared."""
    low, high = RANGES[options.value_range]
    tensors = load_inputs(options.inputs, options.probes, value_range=(low, high), gray=options.gray, crop=options.crop)
    describe_inputs(tensors)
    kwargs, checkpoints = _both(options.kwargs, "--kwargs", {}), _both(options.checkpoint, "--checkpoint", None)
    devices, dtypes = _both(options.device, "--device", "cpu"), _both(options.dtype, "--dtype", None)
    with redirect_stdout(sys.stderr):  # what the models print must not mix with the data on stdout
        models = [built_model(*made) for made in zip(targets, kwargs, checkpoints, devices, strict=True)]
        models = [m if dtype is None else m.to(DTYPES[dtype]) for m, dtype in zip(models, dtypes, strict=True)]
        with progress_bar("comparing") as progress:
            comparison = artifactlab.compare_models(
                models[0],
                models[1],
                tensors,
                output=options.output,
                data_range=options.data_range or high - low,
                seed=seed,
                progress=progress,
            )
    differ = [
        *(_named("--kwargs", [json.dumps(one) for one in kwargs]), _named("--checkpoint", checkpoints)),
        *(_named("--device", devices), _named("--dtype", dtypes)),
    ]
    sources = (" ".join((target, *(one[side] for one in differ if one[side]))) for side, target in enumerate(targets))
    digests = (None if path is None else sha256(path) for path in checkpoints)
    first, second = map(_origin, sources, digests)
    return replace(comparison, model=(first, second))


def _origin(source: str, digest: str | None) -> dict[str, str | None]:
    return {"source": source, "sha256": digest}


def _named(option: str, values: Sequence[Any]) -> tuple[str, str]:
    """An option as it would be typed for each model, where it is what they differ in."""
    first, second = ("" if value is None else f"{option} {value}" for value in values)
    return (first, second) if first != second else ("", "")


def _both(values: Sequence[T], option: str, default: Any) -> tuple[T, T]:
    """Of the first and of the second model."""
    if len(values) > 2:
        raise InputError(f"{option} was given {len(values)} times: give it once for both models, or once for each")
    given = list(values) or [default]
    return given[0], given[-1]
