"""Whether sums in step with a lattice prove one: more than chance, and neither texture nor a pattern that stands still.

Several relations are judged together: evidence is averaged over all of their frequencies.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from artifactlab.metrics.inputs import total
from artifactlab.metrics.synchronous import SynchronousSums, divisor

SIGNIFICANCE = 3.7
"""Standard deviations of a normal variable that chance exceeds once in 10,000 times. An image is asked at some 60
lattices and forms, and is to be accused by chance in less than a hundredth of all cases."""
MIN_EVIDENCE = 2.0
"""Least ratio of power and chance, however many frequencies are averaged. The quantile for independent frequencies goes
to 1 as their number grows, and theirs are not quite independent. What becomes of estimates below it: docs/decisions.md,
"What may be chance counts less its chance"."""
MIN_PROMINENCE = 1.25
"""Least evidence of a lattice over that of the best frequency beside it: regular texture has a neighbour that is
better. See docs/decisions.md, "False friends"."""
MAX_DRIFT = 0.03
"""Squared cycles by which the phase may turn over the image. A lattice's phase does not turn, that of texture of a
similar spacing does. What turns by less than a sixth of a cycle (.17 squared) cannot be told from a lattice. See
docs/decisions.md, "False friends"."""
MIN_AGREEMENT = 0.4
"""Least share of the power that the two halves must confirm. A true relation has 1, a pattern that stands still beside
edges has a negative product, and noise in both takes some of it. See docs/decisions.md, "Two halves that see different
content"."""


def evidence(relations: Sequence[SynchronousSums]) -> Tensor:
    """Power over chance, averaged over the frequencies of all relations, (N,); around 1 where there is no lattice."""
    ratios = [sums.over_chance() for sums in relations]
    return (ratios[0] if len(ratios) == 1 else torch.cat(ratios, 1)).mean(1)


def least_ratio(count: int, deviations: float = SIGNIFICANCE) -> float:
    """The ratio of power and chance, averaged over `count` real components, that chance does not reach."""
    # Wilson & Hilferty 1931: the quantile of a mean of `count` squared normal variables
    quantile = (1 - 2 / (9 * count) + deviations * math.sqrt(2 / (9 * count))) ** 3
    return max(MIN_EVIDENCE, quantile)


def significant(relations: Sequence[SynchronousSums], deviations: float = SIGNIFICANCE) -> Tensor:
    """Whether there is more than chance in several relations together, (N,), be it a lattice or regular texture."""
    return evidence(relations) > least_ratio(sum(sums.chance.shape[1] for sums in relations), deviations)


def confirmed(
    relations: Sequence[SynchronousSums],
    deviations: float = SIGNIFICANCE,
    prominence: float = MIN_PROMINENCE,
    agreement: float = MIN_AGREEMENT,
) -> Tensor:
    """Whether several relations together show what chance, texture and standing patterns do not explain, (N,)."""
    certain = significant(relations, deviations)
    return certain & like_a_lattice(relations, prominence, agreement) if certain.any() else certain


def like_a_lattice(
    relations: Sequence[SynchronousSums], prominence: float = MIN_PROMINENCE, agreement: float = MIN_AGREEMENT
) -> Tensor:
    """Whether several relations together are no texture and no standing pattern, (N,); they may be chance."""
    measured = torch.stack([sums.weight for sums in relations]).amin(0) > 0
    return measured & _prominent(relations, prominence) & _in_phase(relations) & _halves_agree(relations, agreement)


def _prominent(relations: Sequence[SynchronousSums], prominence: float) -> Tensor:
    """Whether the lattice's evidence stands out from that of the best neighbouring frequencies, (N,)."""
    counts = [sums.chance.shape[1] for sums in relations]
    neighbours = total(
        count * sums.best_neighbour / divisor(sums.weight) for count, sums in zip(counts, relations, strict=True)
    )
    return evidence(relations) > prominence * neighbours / sum(counts)


def _in_phase(relations: Sequence[SynchronousSums]) -> Tensor:
    """Whether the phase is the same all over the image, (N,)."""
    drift = torch.stack([sums.drift for sums in relations]).sum(0)
    weight = torch.stack([sums.drift_weight for sums in relations]).sum(0)
    return drift.amax(1) <= MAX_DRIFT * weight


def _halves_agree(relations: Sequence[SynchronousSums], agreement: float) -> Tensor:
    """Whether the two halves confirm enough of what they hold together, (N,)."""
    agreed = total(sums.agreement()[0] for sums in relations)
    both = total(sums.agreement()[1] for sums in relations)
    return agreed > agreement * both
