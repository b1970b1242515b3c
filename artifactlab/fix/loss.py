"""The loss that trains stair-steps and grids away."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from artifactlab.attribution.diagnosis import Diagnosis, as_diagnosis
from artifactlab.errors import InputError
from artifactlab.fix.gradient_watch import IneffectiveLossWarning, watched
from artifactlab.fix.lattice_terms import LatticePower, holds, lattice_power
from artifactlab.fix.loss_periods import along, as_periods, coarsest
from artifactlab.metrics.bands import SPATIAL
from artifactlab.metrics.inputs import check_reduction, reduce, total
from artifactlab.scoring.periods import lattice_period

PERIODS = (2, 4)
"""The lattices of the last two sites of a decoder that doubles the size each time."""
TERMS = ("edges", "grid", "steps")
WEIGHTS = dict.fromkeys(TERMS, 1.0)
"""The weights of the terms' powers: all are mean squares of gray values, which are seen alike."""
SCALE = 3.0
"""The norm of the gradient of grid and steps on the output, in those of an L1's: three times as much takes
more steps in two tasks of five, fewer in three, and costs .5 and 1.1 dB in two (docs/decisions.md, *Edges are a root,
too*)."""
EDGES = 3.0
"""Times which the rms of the differences counts, in the same entry. Its gradient is 6.7 L1s for noise in an image, at
most 8.5, and less for what is smooth."""
SILENT = 1e-3
"""Rms, in data ranges, below which the gradient fades out instead of keeping its norm: a quarter of a gray level."""
CHECK_EVERY = 100
"""Forward passes between two looks at whether the loss does anything: the waiting for the device is not felt."""

HALF, PATIENCE = 0.5, 1000
"""Agreement up to which an output is only on its way to its target's content, and forward passes after which that is
told."""


class EdgeAwareLoss(nn.Module):
    """How wrong an output's edges are, and how much of its error keeps step with a decoder's lattices.

    Add it, as it is, to the loss that you have; it does not replace one, as it hardly sees colours. It is the sum of
    two root mean squares in the images' own units: of the first of these terms, and of the two others together.

    - `edges`: the error's differences between neighbouring samples, which is what edges are off by;
    - `grid`: the error that is alike in all cells of the lattice, everywhere or in proportion to the content;
    - `steps`: the error that follows the content's slopes, as of edges moved back and forth by the phase.

    Texture that the target has costs nothing; to grid and steps neither does what is smooth across cells (blur,
    brightness) or alike in all phases. The gradient of a root has a bounded norm whatever the error's height: that of
    three L1s for grid and steps, of up to nine for edges; below a quarter of a gray level it fades out. So a weight of
    1 is right beside an L1. Beside other losses (squared errors, sums) `balanced` finds the weight that is. An image
    counts by how far its output has the target's content yet: where that is to be found first (another font), edges and
    artifacts have to wait, or a flat image would be the safer guess.

    It works on signals, images and volumes, runs in float32 (float64 for float64) whatever autocast says, has no
    buffers, takes any number of channels, and compiles in one graph. The target is taken as given: no gradient flows
    into it. Every 100 forward passes it compares its gradient with that of the other losses (not when compiled), and
    warns once where it does nothing.

    Args:
        loss_weight: times which the sum of both roots is returned.
        data_range: distance between the darkest and the brightest possible value.
        reduction: "mean", "sum" or "none" over the batch.
        periods: lattice spacings in pixels of the output to look for, each one number or one per axis, such as
            (vertical, horizontal); default is 2 and 4. `from_diagnosis` takes those of the layers found guilty. A
            period that divides another is looked for with it.
        weights: of the terms' squares by their names; those that are left out keep 1; 0 switches a term off.

    `forward(output, target)` takes two (N, C, H, W), (N, C, L) or (N, C, D, H, W) and returns a scalar, or (N,) for
    reduction "none". Afterwards `terms` holds each term alone, unweighted, averaged over the batch and detached, for
    logging: rms in the images' units.

    Raises:
        InputError: if an argument is out of range; from `forward`, if output and target are no two tensors of one
            shape, or the periods have other axes.

    What looks similar and is not: a loss on gradients alone does not tell an artifact from detail, and leaves twice the
    stair-steps; one on their magnitudes takes an edge a pixel off for a whole edge; total variation along the axes
    finds a stair-step no longer than the edge that it replaces, and rewards flat steps within; the coarser levels of a
    pyramid that samples `[::2]` depend on the grid's phase.

    >>> import torch
    >>> loss = EdgeAwareLoss()
    >>> output, target = torch.rand(2, 3, 64, 64, requires_grad=True), torch.rand(2, 3, 64, 64)
    >>> (torch.nn.functional.l1_loss(output, target) + loss(output, target)).backward()
    >>> sorted(loss.terms)
    ['edges', 'grid', 'steps']
    """

    terms: dict[str, Tensor]
    _agreement: Tensor

    def __init__(
        self,
        loss_weight: float = 1.0,
        data_range: float = 1.0,
        reduction: str = "mean",
        periods: Sequence[int | tuple[int, ...]] | None = None,
        weights: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__()
        check_number("loss_weight", loss_weight, 0.0)
        check_number("data_range", data_range)
        check_reduction(reduction)
        weights = {} if weights is None else weights
        if unknown := set(weights) - set(WEIGHTS):
            raise InputError(f"weights has {', '.join(map(repr, sorted(unknown)))}; the terms are {', '.join(WEIGHTS)}")
        for name, weight in weights.items():
            check_number(f"weights[{name!r}]", weight, 0.0)
        self.loss_weight, self.data_range, self.reduction = loss_weight, data_range, reduction
        self.periods = as_periods(PERIODS if periods is None else periods)
        self.weights = WEIGHTS | dict(weights)
        if not any(self.weights.values()):
            raise InputError("all weights are 0, so there is nothing to train on; leave one term")
        self.terms = {}
        self._agreement = torch.zeros(())
        self._passes, self._warned = 0, False

    @classmethod
    def from_diagnosis(cls, diagnosis: Diagnosis | str | Path, **settings: Any) -> EdgeAwareLoss:
        """The loss that looks for the lattices of a diagnosis' offenders, in the data range of the diagnosis.

        Args:
            diagnosis: what `artifactlab.diagnose` returned, or the `diagnosis.json` of a report; told its `data_range`,
                as otherwise it is a guess.
            settings: other arguments of the class.

        Raises:
            InputError: if the diagnosis has no offender with a fixed lattice, or `settings` names its periods.

        >>> import artifactlab
        >>> from artifactlab.demo.unet import broken
        >>> from artifactlab.demo.run import noisy_photo
        >>> found = artifactlab.diagnose(broken(), noisy_photo()[..., :256, :256], data_range=1.0, fast=True)
        >>> EdgeAwareLoss.from_diagnosis(found).periods
        ((4, 4),)
        """
        diagnosis = as_diagnosis(diagnosis)
        lattices = {lattice_period(found.site.period) for found in diagnosis.offenders}
        periods = [lattice for lattice in sorted(lattices) if max(lattice) > 1]
        if not periods:
            raise InputError(
                "the diagnosis names no offender with a lattice to aim at; EdgeAwareLoss() looks for those of the last"
                f" two sites, EdgeAwareLoss(periods=...) for any. It says: {diagnosis.heading}"
            )
        if "periods" in settings:
            raise InputError(
                "from_diagnosis takes the periods from the diagnosis; EdgeAwareLoss(periods=...) takes yours"
            )
        return cls(periods=periods, **{"data_range": diagnosis.config.data_range, **settings})

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """The weighted sum of both roots."""
        _check_pair(output, target)
        lattices = coarsest(along(self.periods, output.ndim - SPATIAL))
        if not torch.compiler.is_compiling():  # a compiled graph has neither warnings nor hooks
            output = self._looked_after(output, lattices)
        with torch.autocast(output.device.type, enabled=False):
            dtype = torch.float64 if output.dtype == torch.float64 else torch.float32
            output, target = (self._in_unit_range(images.to(dtype)) for images in (output, target.detach()))
            error = output - target
            powers = [lattice_power(error, target, lattice) for lattice in lattices]
            power = LatticePower(*(torch.stack(each).mean(0) for each in zip(*powers, strict=True)))
            terms = {
                "edges": _differences(error),
                "grid": power.grid + power.modulation,
                "steps": power.steps,
            }
            self.terms = {name: self.data_range * value.detach().sqrt().mean() for name, value in terms.items()}
            self._agreement = power.agreement.mean()
            rms = EDGES * self._root(terms, "edges") + SCALE * self._root(terms, "grid", "steps")
            # agreement is a constant factor, so that no output earns by it
            return reduce(self.loss_weight * self.data_range * power.agreement * rms, self.reduction)

    def balanced(self, main: Tensor, output: Tensor, target: Tensor) -> Tensor:
        """The main loss plus this one, which counts beside it as it would beside an L1.

        The weight is the norm of the main loss' gradient on the output over that of a mean absolute error: 1 beside
        an L1, twice the rms error beside a mean squared error. (VQGAN's adaptive weight does so at the last layer's
        weights: P. Esser et al., CVPR 2021.) It costs another backward pass of the main loss, as far as the output.
        Under DDP each process takes the norm of its own images, so that gradients are .5% off those of the whole batch.

        Args:
            main: a scalar computed from `output`.
            output, target: as of `forward`.

        Raises:
            InputError: if the reduction is not "mean", or `main` does not depend on `output`.

        >>> import torch
        >>> output, target = torch.rand(2, 1, 32, 32, requires_grad=True), torch.rand(2, 1, 32, 32)
        >>> main = torch.nn.functional.mse_loss(output, target)
        >>> EdgeAwareLoss().balanced(main, output, target).backward()
        """
        if self.reduction != "mean":
            raise InputError(f"balanced needs the reduction 'mean', as main is a scalar, got {self.reduction!r}")
        if not (main.requires_grad and output.requires_grad):
            return main + self(output, target)
        (gradient,) = torch.autograd.grad(main, output, retain_graph=True, allow_unused=True)
        if gradient is None:
            raise InputError("main does not depend on output; compute it from the very tensor that is passed here")
        weight = gradient.to(torch.float32).norm() * math.sqrt(output.numel())
        return main + weight * self(output, target)

    def _in_unit_range(self, images: Tensor) -> Tensor:
        return images if self.data_range == 1 else images / self.data_range

    def _root(self, terms: Mapping[str, Tensor], *names: str) -> Tensor:
        """Of the weighted sum of some terms, (N,)."""
        parts = [self.weights[name] * terms[name] for name in names]
        return (torch.stack(parts).sum(0) + SILENT**2).sqrt() - SILENT

    def _looked_after(self, output: Tensor, lattices: Sequence[tuple[int, ...]]) -> Tensor:
        """The output, watched for whether the loss does anything where it is time to."""
        space = output.shape[SPATIAL:]
        if not any(holds(space, lattice) for lattice in lattices):
            self._warn(f"an output of {tuple(space)} has no two periods of {lattices[0]}: it is always 0")
        due = self._passes % CHECK_EVERY == 0 and not self._warned and bool(self.loss_weight)
        self._passes += 1
        return watched(output, self._ineffective) if due and output.requires_grad else output

    def _ineffective(self, share: float) -> None:
        if all(float(term) < SILENT * self.data_range for term in self.terms.values()):
            return  # there is nothing left to do
        if self._agreement > HALF:
            self._warn(
                f"its gradient is {share:.2g} of that of the other losses; raise loss_weight, or use"
                " balanced(main_loss, output, target), which finds the weight"
            )
        elif self._passes > PATIENCE:
            self._warn(
                f"after {PATIENCE} passes, outputs still do not show what their targets show (R^2 of means over cells"
                f" {float(self._agreement):.2g}), so no artifact can follow it; are the pairs registered?"
            )

    def _warn(self, why: str) -> None:
        if not self._warned:
            self._warned = True
            warnings.warn(f"EdgeAwareLoss does nothing here: {why}", IneffectiveLossWarning, stacklevel=2)

    def extra_repr(self) -> str:
        """The settings."""
        return (
            f"loss_weight={self.loss_weight}, data_range={self.data_range}, reduction={self.reduction!r},"
            f" periods={self.periods}, weights={self.weights}"
        )


def _differences(error: Tensor) -> Tensor:
    """Mean square of the differences between neighbouring samples, the axes' sum, (N,)."""
    powers = []
    for axis in range(SPATIAL, error.ndim):
        count = error.shape[axis] - 1
        apart = (error.narrow(axis, 1, count) - error.narrow(axis, 0, count)).flatten(1)
        # a norm reads them once, forward and backward: 4/5 of the time of `square().mean(1)`
        powers.append(torch.linalg.vector_norm(apart, dim=1).square() / max(1, apart.shape[1]))
    return total(powers)


def check_number(name: str, value: float, least: float | None = None) -> None:
    """Raise an InputError unless it is finite, and at least `least`, or above 0."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < float("inf")
    if not number or (value <= 0 if least is None else value < least):
        raise InputError(
            f"{name} must be a {'positive number' if least is None else 'number of at least 0'}, got {value!r}"
        )


def _check_pair(output: Tensor, target: Tensor) -> None:
    for name, images in (("output", output), ("target", target)):
        if not isinstance(images, Tensor) or images.ndim not in (3, 4, 5) or images.is_complex():
            given = (
                f"shape {tuple(images.shape)}, {images.dtype}" if isinstance(images, Tensor) else type(images).__name__
            )
            raise InputError(
                f"{name} must be a real tensor of shape (N, C, H, W), (N, C, L) or (N, C, D, H, W), got {given}"
            )
    if output.shape != target.shape or output.numel() == 0:
        raise InputError(
            f"output and target must have one shape and at least one pixel, got {tuple(output.shape)} and"
            f" {tuple(target.shape)}"
        )
    if not output.is_floating_point():
        raise InputError(f"output must be of a floating type, which gradients need, got {output.dtype}")
