"""How much of an output is as it was before a fix, the lattice that went aside."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor

from artifactlab.attribution.artifact_words import DIRECTIONS, words_for
from artifactlab.attribution.repair.lattice_removal import remove_lattice
from artifactlab.metrics import remove_spectral_images
from artifactlab.metrics.bands import baseband
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
"""PSNR below which no image is the same, however little a repair keeps: a net that enlarges by 8 was cured to the eye
at 32.2 dB, and the demo's net at 26.2, as its repair, has other colours."""
SAME_BORDER_DB = 15.0
"""PSNR likewise along the border, lower as an old layer may have read zeros there and a new one repeats pixels
(docs/decisions.md, *Borders are not compared*)."""
MAX_BLUR_DB = 0.1
"""Energy of edges and texture, lattice aside, that a cure may lose, of what the old output has or its repair keeps,
whichever is less: a Gaussian of half a pixel loses .1 to .45 dB of that of photos and texture, and of 14 healthy nets
that leave the image the same 13 lose less (docs/decisions.md, *No fix wins by blur*)."""
FAINT_LOSS = (0.5 / 255) ** 2
"""Energy of edges and texture, in squared data ranges per pixel, whose loss nobody sees, however large a share it is:
half a step of 8 bits. Of a flat image rounding is most of it."""
COARSE = 8
"""Period above which content is coarse, whose contrast is compared: a blur of a pixel leaves it."""
MAX_CONTRAST = 1.25
"""Times that the contrast may change and still be called that."""
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
        cut = [(inside(a, period), inside(b, period)) for a, b in pairs]
        energies = [sum(_gradient_energy(pair[k]) for pair in cut) / middle_count / data_range**2 for k in (0, 1)]
        self.detail = energies[0], energies[1] / _contrast(cut) ** 2
        """Energy of edges and texture before and after, in squared data ranges per pixel, at the contrast before."""

    def sharpness(self, possible: Possible) -> float:
        """Edges and texture after the fix in dB over those that a perfect cure keeps; 0 where there are none.

        Those of the old output are too many where stair-steps are among them, which a repair takes; those of its repair
        where the repair leaves some, or adds. So the fewer of the two count.
        """
        kept = min(self.detail[0], possible.detail)
        return _decibels(kept / self.detail[1]) if self.detail[1] and kept else -math.inf if kept else 0.0

    def losses(self, possible: Possible) -> list[str]:
        """What is not as it was, in words."""
        found = []
        if not self.psnr >= min(SAME_IMAGE_DB, possible.psnr):
            found.append(f"{self.whole} changed ({self})")
        if not self.border >= SAME_BORDER_DB:
            found.append(f"the border changed ({self.border:.1f} dB)")
        lost = min(self.detail[0], possible.detail) - self.detail[1]
        if not (lost <= FAINT_LOSS or self.sharpness(possible) >= -MAX_BLUR_DB):
            found.append(f"detail was lost ({self.sharpness(possible):.1f} dB of edges and texture)")
        return found

    def __str__(self) -> str:
        return f"{self.psnr:.1f} dB to the old output, lattice and border aside"


class Possible:
    """What a perfect cure could keep of the old output, by two estimates of one.

    A gross defect has moved what later layers make of an image, so that taking it out changes more than the lattice.
    How much, the repair of the sites shows where later layers take it well. Stair-steps are more than a lattice, too:
    the old output with its spectral images taken out has nothing else changed, and no cure is nearer than that.

    Args:
        before: the old outputs.
        repaired: with the sites repaired.
        period: of the lattice along each axis.
        data_range: of the outputs.
    """

    def __init__(
        self, before: list[Tensor], repaired: list[Tensor], period: tuple[int, ...], data_range: float
    ) -> None:
        cleaned = [
            remove_spectral_images(remove_lattice(image, period), period, data_range=data_range) for image in before
        ]
        by_repair, by_cleaning = (Likeness(before, made, period, data_range) for made in (repaired, cleaned))
        self.psnr = min(max(LEAST_DB, by_repair.psnr - MAY_LOSE_DB), by_cleaning.psnr - MAY_LOSE_DB)
        """PSNR to the old output, lattice and border aside, that can be asked of a cure."""
        self.detail = by_repair.detail[1]
        """Energy of edges and texture that the repair keeps; cleaning takes a quarter of a decibel of photos."""


def _sum_and_count(parts: Sequence[Tensor]) -> tuple[float, int]:
    return sum(float(part.sum()) for part in parts), sum(part.numel() for part in parts)


def _decibels(error: float) -> float:
    return -10 * math.log10(error) if error > 0 else math.nan if math.isnan(error) else math.inf


def _contrast(pairs: Sequence[tuple[Tensor, Tensor]]) -> float:
    """How much more coarse content varies after than before: a layer without its grid is often a little paler.

    What is paler all over is no blur, which takes fine content alone. Beyond `MAX_CONTRAST` the image changed.
    """
    both = before = 0.0
    for pair in pairs:
        a, b = (_centred(baseband(image, COARSE)) for image in pair)
        both, before = both + float((a * b).sum()), before + float(a.square().sum())
    return min(MAX_CONTRAST, max(1 / MAX_CONTRAST, both / before)) if before else 1.0


def _centred(image: Tensor) -> Tensor:
    """Every channel less its mean."""
    return (image - image.mean(tuple(range(2, image.ndim)), keepdim=True)).double()


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
