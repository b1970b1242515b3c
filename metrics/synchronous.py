"""What is in step with a lattice, as sums that add up, and what is read off them.

A field of samples is added up block by block, each sample turned by its phase in the lattice (time-synchronous
averaging, see `synchronous_averaging`). What keeps step adds up, everything else does not. Content is split into two
halves that share no sample (edges that rise and edges that fall, quiet blocks and busy ones): what both halves say is
no chance, and its product is unbiased.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from artifactlab.metrics.inputs import in_full_precision

MIN_BALANCE = 0.02
"""Share of the weight that the smaller half needs for the two halves to be compared. Below it the product of the halves
is divided by hardly anything, and its noise would exceed what the comparison gains."""
EMPTY_CHANCE = 1e-15
"""Chance of sums in which nothing was measured. It makes the error of an image without a block large, and has no effect
elsewhere, as 8-bit rounding alone is more."""
TINY = 1e-30
"""Least divisor. It is above what float32 rounds to zero, and below every power that is measured."""


class _Sums(NamedTuple):
    """Sums that add up over tiles, crops, images and ranks.

    K counts real components: a complex frequency has two, its cosine and its sine.
    """

    first: Tensor
    """Sums of the first half, (N, C, K)."""
    second: Tensor
    """Sums of the second half, (N, C, K)."""
    first_weight: Tensor
    """What the sums of the first half are divided by, (N,)."""
    second_weight: Tensor
    """What the sums of the second half are divided by, (N,)."""
    chance: Tensor
    """Squares that both halves together have at the neighbouring frequencies, mean over channels, (N, K)."""
    best_neighbour: Tensor
    """Evidence of the strongest neighbouring frequency, times the weight, (N,)."""
    drift: Tensor
    """Squared cycles by which the phase turns over the image, unbiased, times `drift_weight`, (N, axes)."""
    drift_weight: Tensor
    """Evidence that `drift` is based on, (N,)."""


class SynchronousSums(_Sums):
    """Sums in step with a lattice, and what is read off them.

    Readings that are asked for several times are kept.
    """

    def __add__(self, other: SynchronousSums) -> SynchronousSums:  # type: ignore[override]
        return SynchronousSums(*(a + b for a, b in zip(self, other, strict=True)))

    def pooled(self, counts: Tensor) -> SynchronousSums:
        """Sums over choices of the N items, given as counts (R, N); the R choices take the place of the items."""
        return SynchronousSums(*(pooled_field(field, counts) for field in self))

    def selected(self, components: Tensor) -> SynchronousSums:
        """The sums at a choice of the K real components, given as boolean (K,)."""
        return self._replace(
            first=self.first[..., components],
            second=self.second[..., components],
            chance=self.chance[..., components],
        )

    def equally_weighted(self) -> SynchronousSums:
        """Sums that give each of the N items the same weight when they are pooled, and none where nothing was seen."""
        scale = 1 / self.weight.clamp_min(EMPTY_CHANCE)
        return self._replace(
            first=self.first * scale[:, None, None],
            second=self.second * scale[:, None, None],
            first_weight=self.first_weight * scale,
            second_weight=self.second_weight * scale,
            chance=self.chance * scale[:, None].square(),
            best_neighbour=self.best_neighbour * scale,
        )

    @cached_property
    def weight(self) -> Tensor:
        """Weight of both halves, (N,)."""
        return self.first_weight + self.second_weight

    def over_chance(self) -> Tensor:
        """Squares over those of chance, (N, K)."""
        return self._over_chance

    def power(self) -> Tensor:
        """Squared coefficients, added up over frequencies, mean over channels, (N,); unbiased, it may be negative."""
        return self._power

    def beyond_chance(self) -> Tensor:
        """Power of both halves together less that of chance, whether or not the halves agree, at least 0, (N,)."""
        return (self.raw_power() - self.chance_power()).clamp_min(0)

    def raw_power(self) -> Tensor:
        """Power of both halves together, with that of chance in it, (N,)."""
        return self._squares.sum(1) / divisor(self.weight.square())

    def chance_power(self) -> Tensor:
        """The part of `raw_power` that chance has, (N,)."""
        return self.chance.sum(1) / divisor(self.weight.square())

    def coefficients(self) -> tuple[Tensor, Tensor]:
        """Coefficients of the regression, (N, C, K), and what chance would make of their squares, (N, K).

        Where the halves' weights cancel, as those of few edges may, nothing is left to divide by: the coefficients are
        0 then, and chance may make anything of them, a whole sample or data range.
        """
        largest = self.first_weight.abs() + self.second_weight.abs()
        known = (self.weight > (MIN_BALANCE * largest).clamp_min(EMPTY_CHANCE))[:, None]
        weight = torch.where(known, self.weight[:, None], torch.inf)
        return (self.first + self.second) / weight[..., None], torch.where(known, self.chance / weight.square(), 1.0)

    def error(self) -> Tensor:
        """Standard error of `power`, (N,)."""
        variance = 4 * (self.chance.square() + self.chance * self._squares).sum(1)
        return variance.sqrt() / divisor(self.weight.square())

    def agreement(self) -> tuple[Tensor, Tensor]:
        """What the halves agree on and what they hold together, (N,) each, in squares times the weight."""
        return self._agreement

    @cached_property
    def _over_chance(self) -> Tensor:
        return self._squares / divisor(self.chance)

    @cached_property
    def _agreement(self) -> tuple[Tensor, Tensor]:
        both = self._squares.sum(1) / divisor(self.weight)
        return torch.where(self._balanced, self._power * self.weight, both), both

    @cached_property
    def _power(self) -> Tensor:
        """The product of the halves; where one of them has hardly any weight, the square of both less chance."""
        product = (self.first * self.second).mean(1).sum(1) / divisor(self.first_weight * self.second_weight)
        square = (self._squares - self.chance).sum(1) / divisor(self.weight.square())
        return torch.where(self._balanced, product, square)

    @cached_property
    def _squares(self) -> Tensor:
        return (self.first + self.second).square().mean(1)

    @cached_property
    def _balanced(self) -> Tensor:
        return torch.minimum(self.first_weight, self.second_weight) > MIN_BALANCE * self.weight


@in_full_precision
def pooled_field(field: Tensor, counts: Tensor) -> Tensor:
    """Sums of an (N, ...) field over choices of the N items, given as counts (R, N)."""
    return torch.tensordot(counts.to(field), field, 1)


def divisor(weight: Tensor) -> Tensor:
    """The weight, and next to nothing where it is zero."""
    return weight.clamp_min(TINY)


def empty_sums(images: Tensor, channels: int, multiplicities: Sequence[int], axes: int) -> SynchronousSums:
    """The sums of images too small to hold a block."""
    zero = images.new_zeros(len(images))
    nothing = images.new_zeros(len(images), channels, sum(multiplicities))
    return SynchronousSums(
        first=nothing,
        second=nothing,
        first_weight=zero,
        second_weight=zero,
        chance=nothing[:, 0] + EMPTY_CHANCE,
        best_neighbour=zero,
        drift=images.new_zeros(len(images), axes),
        drift_weight=zero,
    )


def real_components(spectrum: Tensor, multiplicity: Tensor) -> Tensor:
    """Cosines, sines and what is real of a spectrum, scaled so that their squares add up to its power.

    `multiplicity` is 2 for a frequency whose conjugate is left out, and 1 for one that is its own, which is real.
    """
    pairs = spectrum[..., multiplicity == 2] * math.sqrt(2)
    return torch.cat([pairs.real, pairs.imag, spectrum[..., multiplicity == 1].real], -1)


def as_spectrum(components: Tensor, multiplicities: Sequence[int]) -> Tensor:
    """The complex frequencies of `real_components`."""
    multiplicity = torch.tensor(multiplicities, device=components.device)
    pairs = int((multiplicity == 2).sum())
    dtype = torch.complex64 if components.dtype == torch.float32 else torch.complex128
    spectrum = components.new_zeros(*components.shape[:-1], len(multiplicities), dtype=dtype)
    cosines, sines = components[..., :pairs], components[..., pairs : 2 * pairs]
    spectrum[..., multiplicity == 2] = torch.complex(cosines, sines) / math.sqrt(2)
    spectrum[..., multiplicity == 1] = components[..., 2 * pairs :].to(dtype)
    return spectrum


def components_of(frequencies: Sequence[bool], multiplicities: Sequence[int]) -> Tensor:
    """Which of the `real_components` belong to a choice of frequencies, boolean (K,)."""
    chosen, multiplicity = torch.tensor(frequencies), torch.tensor(multiplicities)
    return torch.cat([chosen[multiplicity == 2], chosen[multiplicity == 2], chosen[multiplicity == 1]])
