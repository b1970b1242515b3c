"""The loss that trains stair-steps and grids away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from artifactlab.attribution.diagnosis import Diagnosis
from artifactlab.errors import InputError
from artifactlab.fix.loss_terms import edge_distances, lattice_distance
from artifactlab.metrics.inputs import check_reduction, reduce
from artifactlab.scoring.periods import lattice_period

PERIODS = (2, 4)
"""The lattices of the last two sites of a decoder that doubles the size each time."""
WEIGHTS = {"direction": 2.0, "raggedness": 0.6, "lattice": 0.5}
"""The weights of the terms beside an L1 of weight 1, balanced on validation photos (docs/decisions.md, *How its terms
are balanced*)."""


class EdgeAwareLoss(nn.Module):
    """How differently an output's edges run from the target's, and how much of a grid it has that the target has not.

    Add it to the loss that you have; it does not replace one, as it hardly sees colours. Where the input settles the
    output (super-resolution, denoising) `loss_weight` may be 10 to 90. Where many outputs would be right (another
    font), 1 can already be too much in a training from scratch, as flat images are the safer guess: raise it from 0
    over the first half of the steps. Its terms are

    - `direction`: gradient directions on the target's edges, see `direction_distance`;
    - `raggedness`: how much more the output varies along these edges, see `excess_raggedness`;
    - `lattice`: what of the error keeps step with the periods, see `lattice_distance`.

    Edges are those of the mean over channels, so where channels add up to a constant (softmax) only `lattice` is left.
    In volumes and video they are looked at in all slices across each of the three axes; signals have no edge
    directions, so that of them, too, only `lattice` is left.
    It runs in float32 (float64 for float64) whatever autocast says, has no buffers, takes any number of channels, any
    range of values, and compiles in one graph. The target is taken as given: no gradient flows into it.

    Args:
        loss_weight: times which the sum of the terms is returned.
        data_range: distance between the darkest and the brightest possible value.
        reduction: "mean", "sum" or "none" over the batch.
        periods: lattice spacings in pixels of the output to look for, each one number or one per axis, such as
            (vertical, horizontal); default is 2 and 4. `from_diagnosis` takes those of the layers found guilty.
        weights: of the terms by their names; those that are left out keep their own, see `WEIGHTS`; 0 switches a term
            off.

    `forward(output, target)` takes two (N, C, H, W), (N, C, L) or (N, C, D, H, W) and returns a scalar, or (N,) for
    reduction "none". Afterwards `terms` holds each term alone, unweighted, averaged over the batch and detached, for
    logging.

    Raises:
        InputError: if an argument is out of range; from `forward`, if output and target are no two tensors of one
            shape, or the periods have other axes.

    What looks similar and is not: a loss on gradient magnitudes does not see direction; total variation along the axes
    finds a stair-step no longer than the edge that it replaces, and rewards flat steps within; the coarser levels of a
    pyramid that samples `[::2]` depend on the grid's phase; a spectrum that was detached has no gradient.

    >>> import torch
    >>> loss = EdgeAwareLoss()
    >>> output, target = torch.rand(2, 3, 64, 64, requires_grad=True), torch.rand(2, 3, 64, 64)
    >>> (torch.nn.functional.l1_loss(output, target) + loss(output, target)).backward()
    >>> sorted(loss.terms)
    ['direction', 'lattice', 'raggedness']
    """

    terms: dict[str, Tensor]

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
        self.periods = _as_periods(PERIODS if periods is None else periods)
        self.weights = WEIGHTS | dict(weights)
        if not any(self.weights.values()):
            raise InputError("all weights are 0, so there is nothing to train on; leave one term")
        self.terms = {}

    @classmethod
    def from_diagnosis(cls, diagnosis: Diagnosis, **settings: Any) -> EdgeAwareLoss:
        """The loss that looks for the lattices of a diagnosis' offenders, in the data range of the diagnosis.

        Args:
            diagnosis: what `artifactlab.diagnose` returned; told its `data_range`, as otherwise it is a guess.
            settings: other arguments of the class.

        Raises:
            InputError: if the diagnosis has no offender with a fixed lattice, or `settings` names its periods.

        >>> import artifactlab
        >>> from artifactlab.demo.unet import broken
        >>> from artifactlab.demo.run import noisy_photo
        >>> found = artifactlab.diagnose(broken(), noisy_photo()[..., :256, :256], data_range=1.0)
        >>> EdgeAwareLoss.from_diagnosis(found).periods
        ((4, 4),)
        """
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
        """The weighted sum of the terms."""
        _check_pair(output, target)
        with torch.autocast(output.device.type, enabled=False):
            dtype = torch.float64 if output.dtype == torch.float64 else torch.float32
            terms = self._distances(*(self._in_unit_range(images.to(dtype)) for images in (output, target.detach())))
            loss = sum((self.weights[name] * value for name, value in terms.items()), output.new_zeros(1, dtype=dtype))
            self.terms = {name: value.detach().mean() for name, value in terms.items()}
            return reduce(self.loss_weight * loss.expand(len(output)), self.reduction)

    def _in_unit_range(self, images: Tensor) -> Tensor:
        return images if self.data_range == 1 else images / self.data_range

    def _distances(self, output: Tensor, target: Tensor) -> dict[str, Tensor]:
        """The terms (N,) whose weight is not 0."""
        terms, axes = {}, output.ndim - 2
        if axes > 1 and (self.weights["direction"] or self.weights["raggedness"]):
            terms["direction"], terms["raggedness"] = edge_distances(output, target)
        if self.weights["lattice"]:
            terms["lattice"] = lattice_distance(output, target, _along(self.periods, axes))
        elif axes == 1:
            raise InputError("of a signal, 'lattice' is the only term, and its weight is 0; give it one")
        return {name: value for name, value in terms.items() if self.weights[name]}

    def extra_repr(self) -> str:
        """The settings."""
        return (
            f"loss_weight={self.loss_weight}, data_range={self.data_range}, reduction={self.reduction!r},"
            f" periods={self.periods}, weights={self.weights}"
        )


def _as_periods(periods: Sequence[int | tuple[int, ...]]) -> tuple[int | tuple[int, ...], ...]:
    if not isinstance(periods, Sequence) or isinstance(periods, str) or not periods:
        raise InputError(f"periods must be a sequence of lattice spacings, such as (2, 4), got {periods!r}")
    return tuple(dict.fromkeys(map(_as_period, periods)))


def _as_period(period: int | tuple[int, ...]) -> int | tuple[int, ...]:
    """One number for all axes, or one for each."""
    spacings = tuple(period) if isinstance(period, (tuple, list)) else (period,)
    whole = all(isinstance(p, int) and not isinstance(p, bool) and p >= 1 for p in spacings)
    if not whole or not 1 <= len(spacings) <= 3:
        raise InputError(f"each of periods must be a positive integer or one per axis, got {period!r}")
    if max(spacings) == 1:
        raise InputError("a period of 1 is no lattice; leave it out, or give the spacing in pixels of the output")
    return spacings if isinstance(period, (tuple, list)) else period


def _along(periods: Sequence[int | tuple[int, ...]], axes: int) -> list[tuple[int, ...]]:
    """A spacing for each axis of the output, of every period once."""
    lattices = dict.fromkeys(period if isinstance(period, tuple) else (period,) * axes for period in periods)
    for lattice in lattices:
        if len(lattice) != axes:
            raise InputError(
                f"the period {lattice} has {len(lattice)} axes, and the output has {axes}; give one number, or one for"
                " each axis of (N, C, *space)"
            )
    return list(lattices)


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
