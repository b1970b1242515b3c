"""What a command runs models on, as a frozen record: files, probes, noise, what a function yields."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import nn

from artifactlab.cli.verbosity import note
from artifactlab.errors import InputError
from artifactlab.inputs.arrangements import ARRANGEMENTS
from artifactlab.inputs.crops import Size
from artifactlab.inputs.model_inputs import RANGES, load_inputs
from artifactlab.inputs.noise import Noise, draw_noise
from artifactlab.models.calls import Call, as_calls
from artifactlab.models.completion import completed, from_file
from artifactlab.models.generators import inputs_from
from artifactlab.models.image_needs import ImageNeeds, guessed_needs, needs_of, suited
from artifactlab.models.typed_arguments import TypedArgument

DEFAULT_RANGE = "0,1"
"""What black and white are in the input where nobody said it."""
NOISE_COUNT = 8
"""Inputs that are drawn, taken from a function, or single frames of each file, by default: enough for an interval, and
few passes."""


@dataclass(frozen=True)
class InputOptions:
    """What a command runs models on, and what values mean in it and in the models' outputs."""

    inputs: Sequence[str]
    """Files, folders and glob patterns."""
    probes: Sequence[str]
    """Names of synthetic images."""
    inputs_from: str | None
    """A function of the user that yields inputs, as `package.module:function` or `path/to/file.py:function`."""
    noise: Sequence[Noise]
    """Arguments that are random numbers."""
    count: int | None
    """Number of inputs that are drawn or yielded, or of single frames; None for `NOISE_COUNT`."""
    arguments: Sequence[TypedArgument]
    """Other arguments of forward, the same in every call."""
    value_range: str | None
    """What black and white are to the models, a key of `RANGES`; None for 0 to 1, of which the output need not be."""
    data_range: float | None
    """Distance between black and white in the output; None where it is that of `value_range`, or read off it."""
    gray: bool
    """Whether images have one channel instead of three."""
    crop: int | None
    """Side of the centred square crop in pixels; None for all there is, or for `size`."""
    size: Size | None
    """Size of the centred crop along the last axes; None for all there is, or for `crop`."""
    output: str | None
    """Key, index or path of the output to judge; None where the model has but one image among its outputs."""
    input_layout: str | None = None
    """What videos and volumes are to the models, one of `ARRANGEMENTS`; None as they are read."""
    layout: str | None = None
    """What the axes of the output are, a letter each; None where the model or its shape tells."""

    def of(self, inputs: Sequence[str], probes: Sequence[str] = ()) -> InputOptions:
        """The same treatment of other files and probes."""
        named = [noise for noise in self.noise if noise.name is not None]
        return replace(self, inputs=inputs, probes=probes, inputs_from=None, noise=named, count=None)

    @property
    def given(self) -> bool:
        """Whether there is an input by position: a file, a probe, what a function yields, noise."""
        return bool(self.inputs or self.probes or self.inputs_from or any(one.name is None for one in self.noise))

    def load(self, seed: int, every_crop: bool = False) -> list[Call]:
        """Read, draw or fetch the inputs; `for_model` makes them what a model takes.

        Args:
            seed: of the noise, and of what a function draws.
            every_crop: whether to go on with the crops beside the centred ones.

        Raises:
            InputError: if there are none, one cannot be read, or one is too small.
            ModelError: if the function that yields them cannot be imported.
        """
        self._refuse_contradictions()
        calls = self._first_arguments(seed, every_crop)
        drawn = draw_noise(self.noise, len(calls), seed)
        return [
            Call((*call.args, *args), {**call.kwargs, **kwargs})
            for call, (args, kwargs) in zip(calls, drawn, strict=True)
        ]

    def for_model(self, model: nn.Module, calls: Sequence[Call], other: nn.Module | None = None) -> list[Call]:
        """The calls as a model takes them, with all arguments; sides also as another one does.

        Raises:
            InputError: if its forward takes others, or black and white are something else to it than --range says.
        """
        needs = needs_of(model) or guessed_needs(model)
        if needs is not None:
            self._refuse_other_range(needs)
        if needs is not None and (self.inputs or self.probes):
            calls = suited(needs.with_those_of(None if other is None else needs_of(other)), calls, note)
        if self.inputs:
            names = [noise.name for noise in self.noise if noise.name is not None]
            calls = [from_file(model, call, names, note) for call in calls]
        return completed(model, calls, self.arguments)

    def _refuse_other_range(self, needs: ImageNeeds) -> None:
        if self.value_range and needs.value_range not in (None, self.value_range):
            taken = needs.value_range
            raise InputError(
                f"{needs.name} is opened so that black and white are {taken}, whatever they are inside; give --range"
                f" {taken} and not {self.value_range}, or leave it out"
            )

    def _first_arguments(self, seed: int, every_crop: bool) -> list[Call]:
        """A call for every input, without what is drawn or typed."""
        count = self.count or NOISE_COUNT
        if self.inputs_from:
            return as_calls(inputs_from(self.inputs_from, count, seed))
        if not (self.inputs or self.probes) and (self.noise or self.arguments):  # these are all that forward takes
            return [Call()] * (count if self.noise else 1)
        return as_calls(
            load_inputs(
                *(self.inputs, self.probes),
                value_range=RANGES[self.value_range or DEFAULT_RANGE],
                gray=self.gray,
                crop=self.size or self.crop,
                every_crop=every_crop,
                arrangement=self.input_layout or ARRANGEMENTS[0],
                count=count,
                say=note,
            )
        )

    def _refuse_contradictions(self) -> None:
        """Raise an InputError for options of which only one can be meant."""
        if self.crop and self.size:
            raise InputError(f"--crop {self.crop} and --size {self.size} contradict each other; give one of them")
        sources = {
            "--input or --probe": bool(self.inputs or self.probes),
            "--inputs": self.inputs_from is not None,
            "--noise without a name": any(one.name is None for one in self.noise),
        }
        given = [name for name, is_given in sources.items() if is_given]
        if len(given) > 1:
            raise InputError(f"{given[0]} and {given[1]} are both the first argument; give one, or --noise NAME=SHAPE")
        if self.count and not (self.noise or self.inputs_from or self.input_layout == "NCHW"):
            raise InputError(
                "--count says how many inputs are drawn, and nothing is: give --noise or --inputs, or for single frames"
                " --input-layout NCHW"
            )

    @property
    def output_range(self) -> float | None:
        """Distance between black and white in the output; None where nobody said it, and it is read off the output."""
        if self.data_range or not self.value_range:
            return self.data_range
        low, high = RANGES[self.value_range]
        return high - low
