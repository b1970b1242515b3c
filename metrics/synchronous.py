"""Sums in step with a lattice, and what chance would make of them.

A field of samples is added up block by block, each sample turned by its phase in the lattice. What keeps step adds up,
everything else does not. Chance is measured and not modelled: the blocks are added up again, turned by two and more
cycles over the image, which are frequencies that no lattice of the image has. Content is in two halves that share no
sample (edges that rise and edges that fall, quiet blocks and busy ones): what both say is no chance, and its product is
unbiased.

Literature: cyclostationary processes, W. Gardner, "Exploitation of spectral redundancy in cyclostationary signals",
IEEE Signal Processing Magazine 8(2), 1991; time-synchronous averaging.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from artifactlab.metrics.inputs import in_full_precision

SPATIAL = 2
MOST_LEAK = 0.1
"""of a lattice's power that would appear at a frequency beside it, from how content is spread over the image"""
LEAST_USABLE = 0.8
"""of the frequencies beside, that must be usable for chance to be told: content on two lines, as the sides of a lone
rectangle, leaves those alone at which the two cancel"""
LEAST_BESIDE = 6
"""frequencies beside the lattice's: from fewer, chance cannot be told"""
UNSURE = 4.0
"""times the power that blocks out of step would have: chance where so few blocks cannot tell it, and prove nothing"""
CHANCE = 3.7
"""standard deviations of a normal variable that chance exceeds once in 10,000 times: an image is asked at some 60
lattices and forms, and is to be accused by chance in less than a hundredth of all cases"""
LEAST_EVIDENCE = 2.0
"""... and however many frequencies are averaged, as theirs are not quite independent"""
ABOVE_OTHERS = 1.25
"""the lattice's evidence over that of the best frequency beside it: regular texture has one that is better"""
MOST_DRIFT = 0.03
"""squared cycles over the image by which the phase may turn: a lattice's does not, a texture's of a similar spacing
does; what turns by less than a sixth of a cycle cannot be told from a lattice"""
UNMEASURED = 1e-15
"""chance of nothing at all: it makes the error of an image without a block large, and nothing else"""
FEW_BESIDE = 8.0
"""frequencies beside from which chance is known to be half of what it may be: an F distribution's tail against a
normal one's, at one in 10,000"""
ROUNDING = (1 / 255) ** 2 / 12
"""variance of 8-bit rounding: chance is never less than what it would do"""
LEAST_AGREEMENT = 0.4
"""of the power of the whole that the two halves must confirm: a pattern that stands still beside edges has a negative
product, a true relation has 1"""
LEAST_BALANCE = 0.02
"""of the weight that the smaller half needs, for the halves to be compared at all"""


class _Sums(NamedTuple):
    """Additive over tiles, crops, images and ranks. K counts real numbers: cosine and sine of a frequency are two."""

    first: Tensor
    """(N, C, K) the first half's sums"""
    second: Tensor
    """(N, C, K) the second half's"""
    first_weight: Tensor
    """(N,) what the first half is divided by"""
    second_weight: Tensor
    """(N,) likewise"""
    chance: Tensor
    """(N, K) square that both halves together have beside the lattice's frequencies, mean over channels"""
    best_beside: Tensor
    """(N,) evidence of the best frequency beside, times the weight"""
    drift: Tensor
    """(N, axes) squared cycles that the phase turns over the image, unbiased, times `drift_weight`"""
    drift_weight: Tensor
    """(N,) evidence behind `drift`"""


class SynchronousSums(_Sums):
    """The same, and what is read off it; that is kept, as most of it is asked for several times."""

    def __add__(self, other: SynchronousSums) -> SynchronousSums:  # type: ignore[override]
        return SynchronousSums(*(a + b for a, b in zip(self, other, strict=True)))

    def pooled(self, counts: Tensor) -> SynchronousSums:
        """Sums over choices of the N items, given as counts (R, N), which take the place of the items."""
        return SynchronousSums(*(pooled_field(field, counts) for field in self))

    def only(self, frequencies: Tensor) -> SynchronousSums:
        """At a choice of the K numbers, given as boolean (K,)."""
        first, second, chance = (f[..., frequencies] for f in (self.first, self.second, self.chance))
        return self._replace(first=first, second=second, chance=chance)

    def alike(self) -> SynchronousSums:
        """Sums that give each of the N items the same weight when they are pooled; none to what was not measured."""
        once = 1 / self.weight.clamp_min(UNMEASURED)
        return self._replace(
            first=self.first * once[:, None, None],
            second=self.second * once[:, None, None],
            first_weight=self.first_weight * once,
            second_weight=self.second_weight * once,
            chance=self.chance * once[:, None].square(),
            best_beside=self.best_beside * once,
        )

    @cached_property
    def weight(self) -> Tensor:
        """(N,) of both halves."""
        return self.first_weight + self.second_weight

    def over_chance(self) -> Tensor:
        """(N, K) squares over those of chance."""
        return self._over_chance

    @cached_property
    def _over_chance(self) -> Tensor:
        return self._squares / _divisor(self.chance)

    def power(self) -> Tensor:
        """(N,) squared coefficients, added up over frequencies, mean over channels; unbiased, so it may be negative."""
        return self._power

    def beyond_chance(self) -> Tensor:
        """(N,) likewise, at least 0, of both halves together, whether or not they agree."""
        return (self.whole() - self.by_chance()).clamp_min(0)

    def whole(self) -> Tensor:
        """(N,) likewise, with chance in it."""
        return self._squares.sum(1) / _divisor(self.weight.square())

    def by_chance(self) -> Tensor:
        """(N,) what chance has in `whole`."""
        return self.chance.sum(1) / _divisor(self.weight.square())

    def coefficients(self) -> tuple[Tensor, Tensor]:
        """(N, C, K) of the regression, and what chance would make of their squares, (N, K)."""
        weight = self.weight.clamp_min(UNMEASURED)[:, None]
        return (self.first + self.second) / weight[..., None], self.chance / weight.square()

    def error(self) -> Tensor:
        """(N,) standard error of `power`."""
        variance = 4 * (self.chance.square() + self.chance * self._squares).sum(1)
        return variance.sqrt() / _divisor(self.weight.square())

    def agreement(self) -> tuple[Tensor, Tensor]:
        """What the halves agree on, (N,), and what they hold together, in squares times the weight."""
        return self._agreement

    @cached_property
    def _agreement(self) -> tuple[Tensor, Tensor]:
        whole = self._squares.sum(1) / _divisor(self.weight)
        return torch.where(self._balanced, self._power * self.weight, whole), whole

    @cached_property
    def _power(self) -> Tensor:
        halves = (self.first * self.second).mean(1).sum(1) / _divisor(self.first_weight * self.second_weight)
        whole = (self._squares - self.chance).sum(1) / _divisor(self.weight.square())
        return torch.where(self._balanced, halves, whole)

    @cached_property
    def _squares(self) -> Tensor:
        return (self.first + self.second).square().mean(1)

    @cached_property
    def _balanced(self) -> Tensor:
        return torch.minimum(self.first_weight, self.second_weight) > LEAST_BALANCE * self.weight


_TINY = 1e-30


@in_full_precision
def pooled_field(field: Tensor, counts: Tensor) -> Tensor:
    """Sums of an (N, ...) field over choices of the N items, given as counts (R, N)."""
    return torch.tensordot(counts.to(field), field, 1)


def significant(relations: Sequence[SynchronousSums], deviations: float = CHANCE) -> Tensor:
    """(N,) whether there is more than chance in several relations together, be it a lattice or regular texture."""
    return evidence(relations) > least_ratio(sum(sums.chance.shape[1] for sums in relations), deviations)


def least_ratio(count: int, deviations: float = CHANCE) -> float:
    """Of power and chance, averaged over so many numbers, that chance does not reach."""
    # Wilson & Hilferty 1931: the quantile of a mean of `count` squared normal variables
    limit = (1 - 2 / (9 * count) + deviations * math.sqrt(2 / (9 * count))) ** 3
    return max(LEAST_EVIDENCE, limit)


def evidence(relations: Sequence[SynchronousSums]) -> Tensor:
    """(N,) power over chance, averaged over the frequencies of all relations; around 1 where there is none."""
    ratios = [sums.over_chance() for sums in relations]
    return (ratios[0] if len(ratios) == 1 else torch.cat(ratios, 1)).mean(1)


def confirmed(
    relations: Sequence[SynchronousSums],
    deviations: float = CHANCE,
    above_others: float = ABOVE_OTHERS,
    agreement: float = LEAST_AGREEMENT,
) -> Tensor:
    """(N,) whether several relations together show what chance, texture and standing patterns do not explain."""
    certain = significant(relations, deviations)
    return certain & like_a_lattice(relations, above_others, agreement) if certain.any() else certain


def like_a_lattice(
    relations: Sequence[SynchronousSums], above_others: float = ABOVE_OTHERS, agreement: float = LEAST_AGREEMENT
) -> Tensor:
    """(N,) whether several relations together are no texture and no standing pattern; it may be chance."""
    counts = [sums.chance.shape[1] for sums in relations]
    beside = sum(n * sums.best_beside / _divisor(sums.weight) for n, sums in zip(counts, relations, strict=True))
    stands_out = evidence(relations) > above_others * beside / sum(counts)
    drift = torch.stack([sums.drift for sums in relations]).sum(0)
    still = drift.amax(1) <= MOST_DRIFT * torch.stack([sums.drift_weight for sums in relations]).sum(0)
    agreed, whole = (sum(part) for part in zip(*(sums.agreement() for sums in relations), strict=True))
    measured = torch.stack([sums.weight for sums in relations]).amin(0) > 0
    return measured & stands_out & still & (agreed > agreement * whole)


def _divisor(weight: Tensor) -> Tensor:
    return weight.clamp_min(_TINY)


def synchronous_sums(
    halves: tuple[Tensor, Tensor],
    weights: tuple[Tensor, Tensor],
    squares: Tensor,
    numbers: Sequence[Sequence[int]],
    searching: Sequence[bool] = (),
) -> list[SynchronousSums]:
    """The sums of two halves over all blocks, of each of several lattices.

    Args:
        halves: `(N, C, *blocks, frequencies)` complex: each block's sums, one lattice's frequencies behind the other's.
        weights: what the halves are divided by, block by block, `(N, *blocks, lattices)`.
        squares: `(N, lattices)` squares of what samples were multiplied by, added up: what rounding to 8 bits adds to
            chance.
        numbers: of each lattice, 2 for a frequency whose conjugate is left out, 1 for one that is its own, which is
            real.
        searching: of which lattices to leave out the drift, which only confirms; by default of none.
    """
    first, second = halves
    both = first + second
    axes = both.ndim - SPATIAL - 1
    dims = tuple(range(SPATIAL, SPATIAL + axes))
    number = both.real.new_tensor([n for own in numbers for n in own])
    lengths = [len(own) for own in numbers]
    member = torch.eye(len(numbers)).to(number).repeat_interleave(torch.tensor(lengths).to(number.device), 0)
    turned = _power(torch.fft.fftn(both, dim=dims)).mean(1).flatten(1, axes)
    here = turned[:, 0]
    counts = both.shape[SPATIAL : SPATIAL + axes]
    beside = _beside((weights[0] + weights[1]).detach()).flatten(1, axes)
    count = beside.sum(1)
    # what a viewer could not see anyway proves nothing: chance is never less than what rounding does
    mean = (turned * (beside @ member.T)).sum(1) / (count.clamp_min(1) @ member.T)
    chance = mean + (ROUNDING * squares) @ member.T + _TINY
    chance = chance * (1 + FEW_BESIDE / count.clamp_min(1) @ member.T)
    share = member * number[:, None] / number.new_tensor([sum(own) for own in numbers])
    best = ((turned / chance[:, None]) @ share * beside).amax(1)
    known = (count >= LEAST_BESIDE) & (count >= LEAST_USABLE * _away(counts, beside.device).sum())
    if not bool(known.all()):
        apart = UNSURE * _power(both).mean(1).flatten(1, axes).sum(1) + _TINY
        chance, best = torch.where(known.to(member) @ member.T > 0, chance, apart), torch.where(known, best, 1.0)
    totals = tuple(weight.flatten(1, axes).sum(1) for weight in weights)
    parts = (t.split(lengths, -1) for t in (first.sum(dims), second.sum(dims), chance, here, both, number))
    found = []
    for k, (one, other, by_chance, square, blocks, own) in enumerate(zip(*parts, strict=True)):
        drift, drift_weight = (here.new_zeros(len(here), axes), here.new_zeros(len(here)))
        if not (searching and searching[k]):
            drift, drift_weight = _drift(blocks, square, by_chance, own)
        found.append(
            SynchronousSums(
                first=_as_real(one, own),
                second=_as_real(other, own),
                first_weight=totals[0][:, k],
                second_weight=totals[1][:, k],
                chance=torch.cat([by_chance[:, own == 2], by_chance[:, own == 2], by_chance[:, own == 1]], 1),
                best_beside=best[:, k] * (totals[0] + totals[1])[:, k],
                drift=drift * drift_weight[:, None],
                drift_weight=drift_weight,
            )
        )
    return found


def no_sums(images: Tensor, channels: int, stands_for: Sequence[int], axes: int) -> SynchronousSums:
    """The sums of images too small to hold a block."""
    count, zero = sum(stands_for), images.new_zeros(len(images))
    nothing = images.new_zeros(len(images), channels, count)
    chance = nothing[:, 0] + UNMEASURED
    return SynchronousSums(nothing, nothing, zero, zero, chance, zero, images.new_zeros(len(images), axes), zero)


def _as_real(spectrum: Tensor, number: Tensor) -> Tensor:
    """Cosines and sines, and what is real, scaled so that their squares add up to the power."""
    pairs = spectrum[..., number == 2] * math.sqrt(2)
    return torch.cat([pairs.real, pairs.imag, spectrum[..., number == 1].real], -1)


def as_numbers(frequencies: Sequence[bool], stands_for: Sequence[int]) -> Tensor:
    """Which of the K real numbers belong to a choice of frequencies."""
    chosen, number = torch.tensor(frequencies), torch.tensor(stands_for)
    return torch.cat([chosen[number == 2], chosen[number == 2], chosen[number == 1]])


def as_spectrum(sums: Tensor, stands_for: Sequence[int]) -> Tensor:
    """The complex frequencies that `SynchronousSums` keeps as real numbers."""
    number = torch.tensor(stands_for, device=sums.device)
    pairs = int((number == 2).sum())
    spectrum = sums.new_zeros(
        *sums.shape[:-1], len(stands_for), dtype=torch.complex64 if sums.dtype == torch.float32 else torch.complex128
    )
    spectrum[..., number == 2] = torch.complex(sums[..., :pairs], sums[..., pairs : 2 * pairs]) / math.sqrt(2)
    spectrum[..., number == 1] = sums[..., 2 * pairs :].to(spectrum.dtype)
    return spectrum


def _power(spectra: Tensor) -> Tensor:
    """Squared magnitudes."""
    return spectra.real.square() + spectra.imag.square()


def _beside(weight: Tensor) -> Tensor:
    """Which cycles over the image `(N, *blocks, lattices)` lie beside the lattice, as 0 and 1.

    Two or more along some axis; and content that lies on few lines, as a single edge does, cannot tell some of them
    from none.
    """
    axes = weight.ndim - 2
    away = _away(weight.shape[1:-1], weight.device)[..., None]
    leaks = _power(torch.fft.fftn(weight, dim=tuple(range(1, axes + 1))))
    of_none = leaks.flatten(1, axes)[:, 0].view(len(weight), *[1] * axes, -1)
    return (away & (leaks <= MOST_LEAK * of_none)).to(weight.dtype)


def _away(counts: torch.Size, device: torch.device) -> Tensor:
    """Which cycles over so many blocks are two or more along some axis."""
    away = torch.zeros(counts, dtype=torch.bool, device=device)
    for axis, count in enumerate(counts):
        cycles = torch.fft.fftfreq(count, 1 / count, device=device).abs()
        away |= (cycles > 1).view([-1 if a == axis else 1 for a in range(len(counts))])
    return away


def _drift(both: Tensor, here: Tensor, chance: Tensor, number: Tensor) -> tuple[Tensor, Tensor]:
    """Squared cycles (N, axes) that the phase turns from end to end, less what chance adds to them, and their weight.

    Blocks in step with a lattice have their sum's phase, however strong each is; the part at a right angle to it must
    not follow the blocks' position.
    """
    axes = both.ndim - SPATIAL - 1
    total = both.sum(tuple(range(SPATIAL, SPATIAL + axes)))
    square = total.abs().square().sum(1).clamp_min(_TINY)
    strength = here / chance * (number - 1)  # a real frequency has no phase to turn
    weight = strength.sum(1)
    drifts = []
    for axis in range(axes):
        count = both.shape[SPATIAL + axis]
        if count == 1:
            drifts.append(torch.zeros_like(weight))
            continue
        position = (torch.arange(count, device=both.device, dtype=here.dtype) + 0.5) / count - 0.5
        moment = position.square().mean()
        others = tuple(SPATIAL + a for a in range(axes) if a != axis)
        lines = both.sum(others) if others else both
        across = ((lines * position[:, None]).sum(SPATIAL) * total.conj()).imag.sum(1)
        cycles = across / (square * 2 * math.pi * moment)
        by_chance = 1 / (2 * strength.clamp_min(_TINY) * (2 * math.pi) ** 2 * moment)
        drifts.append((strength * cycles.square() - strength * by_chance).sum(1) / weight.clamp_min(_TINY))
    return torch.stack(drifts, 1), weight
