"""What replaced sites are trained for: outputs without the lattice, and otherwise as they were; some are held out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from artifactlab.attribution.repair.lattice_removal import remove_lattice
from artifactlab.errors import ArtifactLabError, ModelError, first_line
from artifactlab.fix.likeness import derivatives, inside
from artifactlab.fix.options import JudgingOptions, TrainingOptions
from artifactlab.fix.teacher import RESIDUAL_BLOCKS
from artifactlab.models.calls import Call, on_device
from artifactlab.models.outputs import pick_output
from artifactlab.models.random_state import random_states_kept
from artifactlab.scoring.severity import measure_severity, pool

HELD_OUT_EVERY = 5
"""Every so many inputs one is held out: a fifth, as in five-fold cross-validation."""
MAX_HELD_OUT = 8
"""Held-out inputs at most, so that many inputs do not make evaluating slow."""
MEASURED = 2
"""Held-out outputs whose severity is measured at an evaluation, so that this takes less than the passes do."""


@dataclass(frozen=True)
class Objective:
    """What does not change while it is trained for."""

    model: nn.Module
    """The model with the new layer."""
    weights: Mapping[str, nn.Parameter]
    """The parameters that are trained, by their qualified names."""
    calls: list[Call]
    """The inputs."""
    targets: list[Tensor]
    """What the model is to give for each of the inputs."""
    period: tuple[int, ...]
    """The period, along each axis of the output, of the lattice that the targets are without."""
    options: TrainingOptions
    """How to train."""
    judging: JudgingOptions
    """Which output is compared with the targets, and its range."""
    images: Sequence[int]
    """The number of the image that each of the inputs is, or is cut from."""

    @cached_property
    def held_out(self) -> list[int]:
        """Numbers of the inputs that decide which weights are kept; all of them where there are few."""
        return [number for number in range(len(self.calls)) if self._is_apart(number)][:MAX_HELD_OUT]

    @cached_property
    def used(self) -> list[int]:
        """Numbers of the inputs that are trained on: of all other images, if there are any."""
        return [number for number in range(len(self.calls)) if not self._is_apart(number)] or self.held_out

    def _is_apart(self, number: int) -> bool:
        """Whether an input is of an image that is held out; where there are few images, whether it is itself."""
        if self._apart is not None:
            return self.images[number] in self._apart
        return number % (HELD_OUT_EVERY if len(self.calls) >= HELD_OUT_EVERY else 1) == 0

    @cached_property
    def _apart(self) -> set[int] | None:
        """The images that are held out; None where there are too few."""
        images = list(dict.fromkeys(self.images))
        return set(images[::HELD_OUT_EVERY][:MAX_HELD_OUT]) if len(images) >= HELD_OUT_EVERY else None

    def loss(self, number: int) -> Tensor:
        """The mean square by which one output is off its target: of pixels, of edges, and of what keeps step with the
        lattice; or a ModelError that says what the model did."""
        difference = self.output(number) - self.targets[number].to(self._device)
        planes = inside(difference / self.data_range, self.period).flatten(0, 1)[:, None]
        pattern = planes - remove_lattice(planes, self.period, RESIDUAL_BLOCKS)
        edges = torch.stack([part.square().mean() for part in derivatives(planes)]).sum()
        return planes.square().mean() + edges + self.options.lattice_weight**2 * pattern.square().mean()

    def output(self, number: int) -> Tensor:
        """The model's output on one input, or a ModelError that says what the model did."""
        placed = on_device(self.calls[number], self._device)
        try:
            with random_states_kept(self.judging.seed):
                result = self.model(*placed.args, **placed.kwargs)
            return pick_output(result, self.judging.output).float()
        except ArtifactLabError:
            raise
        except Exception as error:
            raise ModelError(
                f"the model failed with the new layer: {type(error).__name__}: {first_line(error)} (it is called with"
                " features alone: no output_size, and it has none of the old layer's attributes)"
            ) from error

    def held_out_loss(self) -> float:
        """The root of the mean loss over the held-out inputs, in data ranges."""
        with torch.no_grad():
            return float(torch.stack([self.loss(number) for number in self.held_out]).mean().sqrt())

    def shown(self) -> float:
        """The severity of the first held-out outputs at the lattice's period."""
        with torch.no_grad():
            outputs = [self.output(number).cpu() for number in self.held_out[:MEASURED]]
        found = [measure_severity(output, self.period, self.data_range) for output in outputs]
        return sum(pool(found).together())

    def batch(self, first: int, count: int) -> list[int]:
        """Numbers of the inputs of a round: all in a new order each time around, the same after a resumption."""
        return [self._number_at(place) for place in range(first, first + count)]

    def _number_at(self, place: int) -> int:
        around, within = divmod(place, len(self.used))
        generator = torch.Generator().manual_seed(self.judging.seed + around)
        return self.used[int(torch.randperm(len(self.used), generator=generator)[within])]

    @property
    def data_range(self) -> float:
        """Of the output; 1 where nobody said."""
        return self.judging.data_range or 1.0

    @property
    def _device(self) -> torch.device:
        return next(iter(self.weights.values())).device
