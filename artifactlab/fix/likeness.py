"""How much of an output is as it was before a fix, the lattice that went aside."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor

from artifactlab.attribution.artifact_words import DIRECTIONS, words_for
from artifactlab.attribution.repair.lattice_removal import remove_lattice
from artifactlab.metrics.gradients import gradient

SAME_IMAGE_DB = 35.0
"""PSNR of the two outputs, away from lattice and border, from which on the image counts as the same: an rms difference
of 4.5/255, about that of a grid which one in four notices who are not looking for it (docs/decisions.md, *From where on
it shows was not ours to say*)."""
MAY_LOSE_DB = 1.0
"""How much further from the old output than the repaired one a cure may be: of two gross defects that were
planted, the healthy nets, which are cures by construction, are within .1 dB of it (docs/decisions.md, *What a perfect
cure could keep*)."""
LEAST_DB = 32.0
"""PSNR below which no image is the same, whatever a repair keeps: a net that enlarges by 8 was cured to the eye at 32.2
dB, and the demo's net at 26.2, as its repair, has other colours."""
SAME_BORDER_DB = 15.0
"""PSNR likewise along the border, lower as an old layer may have read zeros there and a new one repeats pixels
(docs/decisions.md, *Borders are not compared*)."""
MIN_DETAIL = 0.6
"""Share of the old output's gradients, lattice aside, that must remain, since a blur is no cure: a Gaussian of 1.5
pixels leaves .53 to .64 of those of three photos, one of 1 pixel .66 to .75."""
DERIVATIVE_SIGMA = 0.7
"""Sigma in pixels of the derivatives whose energy is detail: the sharpest Gaussian that is not aliased by sampling."""
BORDER_PERIODS = 2
"""Periods of the site along the border that are compared by themselves, as far as a 3x3 kernel and the layers behind it
carry what the old layer read beyond the border."""


class Likeness:
    """How much of the image is as it was, with the lattice notched out of both outputs."""

    def __init__(self, before: list[Tensor], after: list[Tensor], period: tuple[int, ...], data_range: float) -> None:
        self.whole = f"the {words_for(DIRECTIONS[len(period)]).outputs.removesuffix('s')}"
        pairs = [(remove_lattice(a, period), remove_lattice(b, period)) for a, b in zip(before, after, strict=True)]
        errors = [((a - b) / data_range).double().square() for a, b in pairs]
        middles = [inside(error, period) for error in errors]
        total, total_count = _sum_and_count(errors)
        middle, middle_count = _sum_and_count(middles)
        self.psnr = _decibels(middle / middle_count)
        self.border = _decibels(max(0.0, total - middle) / (total_count - middle_count))
        detail_before = sum(_gradient_energy(inside(a, period)) for a, _ in pairs)
        detail_after = sum(_gradient_energy(inside(b, period)) for _, b in pairs)
        self.detail = math.sqrt(detail_after / detail_before) if detail_before else 1.0

    def losses(self, possible: float = math.inf) -> list[str]:
        """What is not as it was, in words.

        Args:
            possible: PSNR of what a perfect cure would keep. A gross defect has moved what later layers make of an
                image, so that taking it out changes more than the lattice.
        """
        found = []
        if not self.psnr >= max(LEAST_DB, min(SAME_IMAGE_DB, possible - MAY_LOSE_DB)):
            found.append(f"{self.whole} changed ({self})")
        if not self.border >= SAME_BORDER_DB:
            found.append(f"the border changed ({self.border:.1f} dB)")
        if not self.detail >= MIN_DETAIL:
            found.append(f"detail was lost ({self.detail:.0%} of the gradients are left)")
        return found

    def __str__(self) -> str:
        return f"{self.psnr:.1f} dB to the old output, lattice and border aside"


def _sum_and_count(parts: Sequence[Tensor]) -> tuple[float, int]:
    return sum(float(part.sum()) for part in parts), sum(part.numel() for part in parts)


def _decibels(error: float) -> float:
    return -10 * math.log10(error) if error > 0 else math.nan if math.isnan(error) else math.inf


def _gradient_energy(image: Tensor) -> float:
    """Energy of the image's Gaussian derivatives."""
    return sum(float(part.double().square().sum()) for part in derivatives(image))


def derivatives(images: Tensor) -> list[Tensor]:
    """Gaussian derivatives of (N, C, *space) along each axis, blurred along no more than one other."""
    if images.ndim == 3:  # a signal is an image of one row, which a filter repeats above and below
        return [_gradient(images[:, :, None])[1]]
    if images.ndim == 5:  # slices across the first axis hold the other two; its own lies in the slices across rows
        return [*_gradient(images), _gradient(images.movedim(2, -1))[1]]
    return [*_gradient(images)]


def _gradient(images: Tensor) -> tuple[Tensor, Tensor]:
    """Of the planes of the last two axes."""
    return gradient(images.reshape(-1, 1, *images.shape[-2:]), DERIVATIVE_SIGMA)


def inside(image: Tensor, period: tuple[int, ...]) -> Tensor:
    """Without the outermost pixels of the site, where an old layer may have read zeros and a new one repeats pixels."""
    for axis, p in enumerate(period, 2):
        border = min(BORDER_PERIODS * p, (image.shape[axis] - 1) // 2)  # few frames of a video stay a few
        image = image.narrow(axis, border, image.shape[axis] - 2 * border)
    return image
