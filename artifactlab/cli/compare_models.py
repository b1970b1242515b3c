"""`artifactlab compare MODEL_A MODEL_B`: where two variants of one model part."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import click

import artifactlab
from artifactlab.cli.declaring import declared
from artifactlab.cli.input_options import InputOptions
from artifactlab.cli.options import input_options
from artifactlab.cli.param_types import JsonObject
from artifactlab.cli.progress import progress_bar
from artifactlab.cli.records import DTYPES, ModelOptions
from artifactlab.cli.verbosity import describe_inputs, prints_to_stderr
from artifactlab.errors import InputError
from artifactlab.inputs.probes import PROBES
from artifactlab.models.formats import format_of
from artifactlab.models.hub import ADD, is_id

T = TypeVar("T")
FACTORY = re.compile(r".+:[A-Za-z_]\w*")


def is_model(argument: str, download: bool) -> bool:
    """Whether an argument names a model: `package.module:factory`, `file.py:factory`, a file of a format, or an id.

    Raises:
        InputError: if it looks like an id, and nobody said that it is to be fetched.
    """
    path = Path(argument)
    if path.exists():
        return format_of(path) is not None
    if is_id(argument) and not download:
        raise InputError(f"{argument}: no such file or folder; {ADD}")
    return is_id(argument) or FACTORY.fullmatch(argument) is not None


@dataclass(frozen=True)
class ModelPairOptions:
    """How two models are built and run: what has one value is of both, two are of the first and the second."""

    kwargs: tuple[dict[str, Any], ...]
    """Arguments of the factories; empty for none."""
    checkpoint: tuple[Path, ...]
    """Files of the weights; empty where the models are taken as the factories return them."""
    checkpoint_key: tuple[str, ...]
    """Which of the weights in those files; empty where they are found."""
    device: tuple[str, ...]
    """Devices that the models run on; empty for the CPU."""
    dtype: tuple[str, ...]
    """Names of the models' precisions, keys of `DTYPES`; empty where they keep what they have."""
    download: bool
    """Whether targets that are ids are fetched."""
    fail_on_difference: bool
    """Whether the exit code is 1 if the lattices of the two part, and 2 if that cannot be told."""

    def of(self, targets: tuple[str, str]) -> tuple[ModelOptions, ModelOptions]:
        """The options of each of the two models.

        Raises:
            InputError: if one was given more than twice.
        """
        kwargs = _both(self.kwargs, "--kwargs", {})
        checkpoints = _both(self.checkpoint, "--checkpoint", None)
        keys = _both(self.checkpoint_key, "--checkpoint-key", None)
        devices = _both(self.device, "--device", "cpu")
        dtypes = _both(self.dtype, "--dtype", None)
        ids = [self.download and is_id(target) for target in targets]
        first, second = map(ModelOptions, targets, kwargs, checkpoints, keys, ids, devices, dtypes)
        return first, second


TWICE = "Of both models; twice: of the first, then of the second."
model_pair_options = declared(
    [
        click.option(
            "--input",
            "inputs",
            multiple=True,
            metavar="PATH...",
            help="What both models are run on: files, folders, globs.",
        ),
        click.option("--probe", "probes", multiple=True, type=click.Choice(list(PROBES)), help="Synthetic input."),
        click.option("--kwargs", multiple=True, metavar="JSON", type=JsonObject(), help=f"For the factory. {TWICE}"),
        click.option("--checkpoint", multiple=True, type=click.Path(path_type=Path), help=f"Weights. {TWICE}"),
        click.option("--checkpoint-key", multiple=True, metavar="NAME", help=f"Which weights in it. {TWICE}"),
        click.option("--download", is_flag=True, help="Fetch the models that are ids from the Hugging Face Hub."),
        click.option("--device", multiple=True, help=f"Where to run it, e.g. cuda. {TWICE}"),
        click.option("--dtype", multiple=True, type=click.Choice(list(DTYPES)), help=f"Its precision. {TWICE}"),
        input_options("the models"),
        click.option("--output", metavar="PATH", help="Which of the models' outputs to compare."),
    ]
)
"""The options of two models: those of one, and which may be given twice."""


def compared_models(
    targets: tuple[str, str], options: ModelPairOptions, inputs: InputOptions, seed: int
) -> artifactlab.ModelComparison:
    """Build both models and compare them."""
    calls = inputs.load(seed)
    describe_inputs(calls)
    models = options.of(targets)
    with prints_to_stderr():
        first, second = [model.build() for model in models]
        with progress_bar("comparing") as progress:
            comparison = artifactlab.compare_models(
                first,
                second,
                inputs.for_model(first, calls, second),
                output=inputs.output,
                data_range=inputs.output_range,
                seed=seed,
                progress=progress,
            )
    return replace(comparison, model=_origins(models))


def _origins(models: tuple[ModelOptions, ModelOptions]) -> tuple[dict[str, str | None], dict[str, str | None]]:
    """Where each model comes from: its target and those options in which the two differ, as they would be typed."""
    first, second = models
    differing = [(one, other) for one, other in zip(_typed(first), _typed(second), strict=True) if one != other]
    return (
        _origin(first, [one for one, _ in differing]),
        _origin(second, [other for _, other in differing]),
    )


def _origin(model: ModelOptions, typed: Sequence[str]) -> dict[str, str | None]:
    return {"source": " ".join([model.target, *filter(None, typed)]), "sha256": model.digest()}


def _typed(model: ModelOptions) -> tuple[str, ...]:
    """Every option of a model as it would be typed; empty where it is left out."""
    return (
        f"--kwargs {json.dumps(model.kwargs)}",
        "" if model.checkpoint is None else f"--checkpoint {model.checkpoint}",
        "" if model.checkpoint_key is None else f"--checkpoint-key {model.checkpoint_key}",
        f"--device {model.device}",
        "" if model.dtype is None else f"--dtype {model.dtype}",
    )


def _both(values: Sequence[T], option: str, default: T) -> tuple[T, T]:
    """The value for the first model and that for the second."""
    if len(values) > 2:
        raise InputError(f"{option} was given {len(values)} times: give it once for both models, or once for each")
    given = list(values) or [default]
    return given[0], given[-1]
