"""Time-synchronous averaging: blocks added up in step with a lattice, and what chance would make of the sums.

Chance is measured and not modelled: the blocks are added up again, turned by two and more cycles over the image, which
are neighbouring frequencies that no lattice of the image has.

Literature: cyclostationary processes, W. Gardner, "Exploitation of spectral redundancy in cyclostationary signals",
IEEE Signal Processing Magazine 8(2), 1991.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from artifactlab.metrics.bands import SPATIAL
from artifactlab.metrics.synchronous import TINY, SynchronousSums, divisor, real_components

MAX_LEAKAGE = 0.1
"""Share of a lattice's power that may leak into a neighbouring frequency from how content is spread over the image. A
frequency that takes more would count the lattice itself as chance. See docs/decisions.md, "Chance is measured beside
the lattice"."""
MIN_USABLE = 0.8
"""Share of the neighbouring frequencies that must be usable for chance to be told. Content on two lines, as the sides
of a lone rectangle, leaves only those at which the two lines cancel, and chance would read far too low there."""
MIN_NEIGHBOURS = 6
"""Fewest neighbouring frequencies that chance is told from. Six already raise it to 2.3 times, see `CHANCE_CORRECTION`;
with fewer, no estimate of it is worth more than `INCOHERENT`."""
INCOHERENT = 4.0
"""Times the power that the blocks would have out of step, taken as chance where they are too few to tell it. Blocks
that are all in step have that power once per block, so evidence is a quarter of their number at most, which proves
nothing."""
CHANCE_CORRECTION = 8.0
"""Chance that is estimated from n frequencies is raised by 8 / n, as it may be larger than its estimate: from 8 on it
is known to a factor of two. It is an F distribution's tail against a normal one's, at one in 10,000."""
ROUNDING_VARIANCE = (1 / 255) ** 2 / 12
"""Variance of 8-bit rounding, in squared data ranges. Chance is never less than what rounding would do, as what nobody
could see anyway proves nothing."""


class _Layout(NamedTuple):
    """Which lattice each of the frequencies belongs to, that lie one lattice's behind the other's."""

    multiplicity: Tensor
    """For how many frequencies each stands, 1 or 2, (frequencies,)."""
    member: Tensor
    """1 where a frequency is one of the lattice's, (frequencies, lattices)."""
    lengths: list[int]
    """How many frequencies each lattice has."""
    share: Tensor
    """Weight of each frequency in the mean over its lattice's, (frequencies, lattices)."""


def synchronous_sums(
    halves: tuple[Tensor, Tensor],
    weights: tuple[Tensor, Tensor],
    squares: Tensor,
    multiplicities: Sequence[Sequence[int]],
    without_drift: Sequence[bool] = (),
) -> list[SynchronousSums]:
    """The sums of two halves over all blocks, of each of several lattices.

    Args:
        halves: `(N, C, *blocks, frequencies)` complex: each block's sums, one lattice's frequencies behind the other's.
        weights: what the halves are divided by, block by block, `(N, *blocks, lattices)`.
        squares: `(N, lattices)` squares of what samples were multiplied by, added up: what rounding to 8 bits adds to
            chance.
        multiplicities: of each lattice's frequencies, 2 where the conjugate is left out, 1 for one that is its own,
            which is real.
        without_drift: of which lattices to leave out the drift, which only confirms; by default of none.
    """
    first, second = halves
    both = first + second
    dims = _block_axes(both)
    layout = _layout(multiplicities, both.real)
    spectrum = _power(torch.fft.fftn(both, dim=dims)).mean(1).flatten(1, len(dims))
    chance, best = _chance(both, spectrum, (weights[0] + weights[1]).detach(), squares, layout)
    first_weight, second_weight = (weight.flatten(1, len(dims)).sum(1) for weight in weights)
    parts = (first.sum(dims), second.sum(dims), chance, spectrum[:, 0], both, layout.multiplicity)
    by_lattice = zip(*(part.split(layout.lengths, -1) for part in parts), strict=True)
    found = []
    for k, (one, other, by_chance, power, blocks, multiplicity) in enumerate(by_lattice):
        if without_drift and without_drift[k]:
            drift, drift_weight = power.new_zeros(len(power), len(dims)), power.new_zeros(len(power))
        else:
            drift, drift_weight = _drift(blocks, power, by_chance, multiplicity)
        pairs = by_chance[:, multiplicity == 2]
        found.append(
            SynchronousSums(
                first=real_components(one, multiplicity),
                second=real_components(other, multiplicity),
                first_weight=first_weight[:, k],
                second_weight=second_weight[:, k],
                chance=torch.cat([pairs, pairs, by_chance[:, multiplicity == 1]], 1),
                best_neighbour=best[:, k] * (first_weight + second_weight)[:, k],
                drift=drift * drift_weight[:, None],
                drift_weight=drift_weight,
            )
        )
    return found


def _block_axes(fields: Tensor) -> tuple[int, ...]:
    """The axes of `(N, C, *blocks, frequencies)` that count blocks."""
    return tuple(range(SPATIAL, fields.ndim - 1))


def _layout(multiplicities: Sequence[Sequence[int]], like: Tensor) -> _Layout:
    lengths = [len(own) for own in multiplicities]
    multiplicity = like.new_tensor([count for own in multiplicities for count in own])
    lattices = torch.eye(len(lengths)).to(multiplicity)
    member = lattices.repeat_interleave(torch.tensor(lengths).to(multiplicity.device), 0)
    share = member * multiplicity[:, None] / multiplicity.new_tensor([sum(own) for own in multiplicities])
    return _Layout(multiplicity, member, lengths, share)


def _chance(both: Tensor, spectrum: Tensor, weight: Tensor, squares: Tensor, layout: _Layout) -> tuple[Tensor, Tensor]:
    """Chance of each frequency, (N, frequencies), and the evidence of the best neighbouring one, (N, lattices).

    `spectrum` is the power of the blocks `both` at all cycles over the image, `(N, cycles, frequencies)`.
    """
    of_lattice = layout.member.T
    dims = _block_axes(both)
    neighbours = _neighbours(weight).flatten(1, len(dims))
    count = neighbours.sum(1)
    known_from = count.clamp_min(1)
    mean = (spectrum * (neighbours @ of_lattice)).sum(1) / (known_from @ of_lattice)
    chance = mean + (ROUNDING_VARIANCE * squares) @ of_lattice + TINY
    chance = chance * (1 + CHANCE_CORRECTION / known_from @ of_lattice)
    best = ((spectrum / chance[:, None]) @ layout.share * neighbours).amax(1)
    possible = _off_lattice(both.shape[SPATIAL:-1], both.device).sum()
    known = (count >= MIN_NEIGHBOURS) & (count >= MIN_USABLE * possible)
    if not bool(known.all()):
        incoherent = INCOHERENT * _power(both).mean(1).flatten(1, len(dims)).sum(1) + TINY
        chance = torch.where(known.to(of_lattice) @ of_lattice > 0, chance, incoherent)
        best = torch.where(known, best, 1.0)
    return chance, best


def _power(spectra: Tensor) -> Tensor:
    """Squared magnitudes."""
    return spectra.real.square() + spectra.imag.square()


def _neighbours(weight: Tensor) -> Tensor:
    """Which cycles over the image are neighbouring frequencies that tell chance, `(N, *blocks, lattices)` of 0 and 1.

    Two or more along some axis; and content that lies on few lines, as a single edge does, cannot tell some of them
    from none.
    """
    axes = weight.ndim - 2
    off_lattice = _off_lattice(weight.shape[1:-1], weight.device)[..., None]
    leakage = _power(torch.fft.fftn(weight, dim=tuple(range(1, axes + 1))))
    on_lattice = leakage.flatten(1, axes)[:, 0].view(len(weight), *[1] * axes, -1)
    return (off_lattice & (leakage <= MAX_LEAKAGE * on_lattice)).to(weight.dtype)


def _off_lattice(counts: torch.Size, device: torch.device) -> Tensor:
    """Which cycles over so many blocks are two or more along some axis."""
    off_lattice = torch.zeros(counts, dtype=torch.bool, device=device)
    for axis, count in enumerate(counts):
        cycles = torch.fft.fftfreq(count, 1 / count, device=device).abs()
        off_lattice |= (cycles > 1).view([-1 if a == axis else 1 for a in range(len(counts))])
    return off_lattice


def _drift(both: Tensor, power: Tensor, chance: Tensor, multiplicity: Tensor) -> tuple[Tensor, Tensor]:
    """Squared cycles (N, axes) that the phase turns from end to end, less what chance adds to them, and their weight.

    Blocks in step with a lattice have their sum's phase, however strong each is; the part at a right angle to it must
    not follow the blocks' position.
    """
    strength = power / chance * (multiplicity - 1)  # a real frequency has no phase to turn
    weight = strength.sum(1)
    drifts = [
        _drift_along(both, axis, strength) / divisor(weight) if both.shape[axis] > 1 else torch.zeros_like(weight)
        for axis in _block_axes(both)
    ]
    return torch.stack(drifts, 1), weight


def _drift_along(both: Tensor, axis: int, strength: Tensor) -> Tensor:
    """The drift along one axis of blocks, added up over frequencies by their `strength`, (N,)."""
    count = both.shape[axis]
    position = (torch.arange(count, device=both.device, dtype=strength.dtype) + 0.5) / count - 0.5
    moment = position.square().mean()
    others = tuple(other for other in _block_axes(both) if other != axis)
    lines = both.sum(others) if others else both
    in_step = both.sum(_block_axes(both))
    across = ((lines * position[:, None]).sum(SPATIAL) * in_step.conj()).imag.sum(1)
    square = divisor(in_step.abs().square().sum(1))
    cycles = across / (square * 2 * math.pi * moment)
    by_chance = 1 / (2 * divisor(strength) * (2 * math.pi) ** 2 * moment)
    return (strength * cycles.square() - strength * by_chance).sum(1)
