"""What `fix_site` and its steps can be told, in two records: how to train the new layer, and how to judge outputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, TypeVar

from artifactlab.errors import InputError

LATTICE_WEIGHT = 2.0
"""The weight of the lattice's term: 82% of a trained net's grid went at 37 dB with it, 69% at 39 dB without
(docs/decisions.md, *A term for the lattice*)."""


@dataclass(frozen=True)
class TrainingOptions:
    """How the new layer is trained, by `fix_site` and `distil`.

    >>> from artifactlab.fix import fix_site
    >>> brief = TrainingOptions(steps=100, neighbours=True)  # fix_site(model, images, distil_on=more, training=brief)
    """

    neighbours: bool | None = None
    """Whether the layers with weights right before and right after the site are trained as well. None leaves that to
    the mode: with "weights" and "icnr" `fix_site` trains them, else not."""
    steps: int = 600
    """How many steps are done at most, but for the last line search: passes forward and back over one input. 0 trains
    nothing."""
    seconds: float = 600.0
    """Seconds after which no step begins; a third at most is for the old model's outputs, perhaps not of all inputs."""
    lattice_weight: float = LATTICE_WEIGHT
    """How much the error's phase pattern counts; raise it where the grid stays, lower it where the image changes."""
    checkpoint: Path | None = None
    """The file that a killed training goes on from, written after every round; None keeps no such file."""


@dataclass(frozen=True)
class JudgingOptions:
    """Which outputs are looked at and in which units, by all steps of a fix.

    >>> signed = JudgingOptions(data_range=2.0)  # of a model whose images are from -1 to 1
    """

    output: str | int | None = None
    """The key, attribute or index of the output to judge; None takes the first that is an image."""
    data_range: float | None = None
    """The distance between the darkest and the brightest value of the output; None takes what `diagnose` takes it for:
    that of pixels where values run as theirs do, or else their own spread."""
    seed: int = 0
    """The seed of everything random: what models draw in a forward pass, and the order of the training inputs."""


Options = TypeVar("Options", TrainingOptions, JudgingOptions)


def with_fields(options: Options, given: Mapping[str, Any]) -> Options:
    """The options with those of the given fields that they have."""
    own = {field.name for field in fields(options)} & given.keys()
    return replace(options, **{name: given[name] for name in own})


def refuse_unknown(given: Mapping[str, Any], *kinds: type[TrainingOptions] | type[JudgingOptions]) -> None:
    """Raise a TypeError, as Python does, for a keyword that is a field of none of these records."""
    known = [field.name for kind in kinds for field in fields(kind)]
    for name in given:
        if name not in known:
            raise TypeError(f"there is no option {name!r}; expected one of {', '.join(known)}")


def refuse_out_of_range(training: TrainingOptions, judging: JudgingOptions) -> None:
    """Raise an InputError for a number that no training can work with."""
    positive = (training.seconds, *(() if judging.data_range is None else (judging.data_range,)))
    others = (training.steps, training.lattice_weight)
    if not all(number > 0 for number in positive) or not all(number >= 0 for number in others):
        raise InputError(
            "seconds and data_range must be positive, and steps and lattice_weight not negative, got"
            f" {', '.join(map(str, (*positive, *others)))}"
        )
