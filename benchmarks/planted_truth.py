"""What planted defects really do to the output, from the model alone: no measure of artifactlab has a say in it.

A case is run with everything planted, with one defect really taken out, and with nothing planted. What a defect adds
to the output is partly no grid and no stair-step: the net answers to it with other grays, and with detail that is lost.
So what counts is the energy at the lattice's own frequencies, where spectral images are, and whether that shows is for
two published models of seeing to say: FLIP, which hardly sees period 2, and ColorVideoVDP. What neither detects is
hidden, and naming anybody for it is wrong; what lies between is there, but most viewers do not notice it.

A net in which nothing is planted may replicate, with no layer behind that smooths it. That is asked about in the same
way, with bilinear resizes in the place of its own replication.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from content import Image
from planted_cases import DECOY, Case
from planted_nets import Upsampler
from planting import upsampler, with_planted
from torch import Tensor, nn
from validity_content import eight_bit
from visibility_models import (
    JUST_SEEN_FLIP,
    JUST_SEEN_JOD,
    PIXELS_PER_DEGREE,
    THRESHOLD_JOD,
    color_video_vdp,
    flip,
)

NEAR = 1 / 8
"""of the spacing of a lattice's frequencies, that a frequency may be off: images of content, which has most of its
energy at low frequencies, lie there; of detail that a defect takes or adds anywhere, it is a sixteenth"""
CLEAR = 2.0
"""how far the true first is ahead of the second where the offender is clear"""


@dataclass(frozen=True)
class Truth:
    """What is planted does this to the outputs of one set of images."""

    effects: dict[int, float]
    """site -> energy that goes when its defect is taken out, in squared data ranges; signed"""
    whole: float
    """energy of everything that is planted, at the frequencies of the coarsest lattice, which holds all others'"""
    shows: bool
    """whether a model of seeing says that it is noticed in the median image"""
    hidden: bool
    """whether none of them says that it could be detected there"""

    @property
    def first(self) -> int | None:
        """The site with the largest effect; None where nothing is planted."""
        return max(self.effects, key=lambda site: self.effects[site]) if self.effects else None

    @property
    def clear(self) -> int | None:
        """The site that causes what shows, and at least twice as much of it as any other; None where no one does."""
        first = self.first
        if first is None or not self.shows or self.effects[first] <= 0:
            return None
        others = [effect for site, effect in self.effects.items() if site != first]
        return first if self.effects[first] >= CLEAR * max(others, default=0.0) else None

    def share(self, site: int) -> float:
        """A site's effect as a fraction of everything that is planted."""
        return self.effects[site] / self.whole


def truth_of(case: Case, number: int) -> Truth:
    """The truth on the case's images of one number."""
    images = case.images(number)
    if not case.planted:
        return Truth(
            {}, 0.0, *seen(_outputs(case.base, images), _outputs(_bilinear(case), images), max(case.periods.values()))
        )
    # without decoys, too: they are defects, and what comes through of them is an artifact like any other. The places
    # made for them stay, so that nothing but defects is told from nothing
    healthy, everything = _outputs(case.base, images), _outputs(case.model, images)
    effects = {}
    for site in case.planted:
        # at its own period in both terms: coarser bands than a site's lattice are no artifact of that site
        period, without = case.periods[site], _outputs(case.without(site), images)
        effects[site] = energy(everything, healthy, period) - energy(without, healthy, period)
    # the coarsest lattice's, which has the lattices of all other defects above it; decoys are hidden, and theirs would
    # let through grays that no defect's lattice draws
    coarsest = max(case.periods[site] for site, name in case.names.items() if name != DECOY)
    return Truth(effects, energy(everything, healthy, coarsest), *seen(everything, healthy, coarsest))


def _bilinear(case: Case) -> nn.Module:
    """The net with bilinear resizes where it replicates by itself."""
    ups = {site: upsampler(case.base, site) for site in range(len(case.base.ups))}
    replicate = {site: up for site, up in ups.items() if up.style in ("nearest", "expand")}
    return with_planted(case.base, {site: Upsampler("bilinear", up.channels) for site, up in replicate.items()})


def energy(outputs: Sequence[Image], healthy: Sequence[Image], period: int) -> float:
    """Mean square of what sets outputs apart from the healthy ones, at the frequencies of a lattice."""
    # of the outputs as they are, not in 8 bits: these are what is diagnosed
    pairs = zip(outputs, healthy, strict=True)
    return float(np.mean([np.square(at_lattice(o - h, period)).mean() for o, h in pairs]))


def seen(outputs: Sequence[Image], healthy: Sequence[Image], period: int) -> tuple[bool, bool]:
    """Whether the difference at a lattice's frequencies shows in the median image, and whether it is hidden there."""
    pairs = [(eight_bit(h), eight_bit(o)) for h, o in zip(healthy, outputs, strict=True)]
    pairs = [(h, np.clip(h + at_lattice(o - h, period), 0, 1)) for h, o in pairs]
    error, lost = (float(np.median([number(h, o) for h, o in pairs])) for number in _seeing())
    shows = error >= JUST_SEEN_FLIP or lost >= JUST_SEEN_JOD
    return shows, not shows and lost < THRESHOLD_JOD


def at_lattice(added: Image, period: int) -> Image:
    """The part of a difference that is near a multiple of 1 / period along both axes, and not near none along both."""
    near, none = [], []
    for size in added.shape[:2]:
        cycles = np.fft.fftfreq(size) * period
        near.append(np.abs(cycles - np.round(cycles)) <= NEAR)
        none.append(np.round(cycles) == 0)
    mask = np.outer(*near) & ~np.outer(*none)
    mask = mask.reshape(mask.shape + (1,) * (added.ndim - 2))  # of each color by itself
    return np.fft.ifft2(np.fft.fft2(added, axes=(0, 1)) * mask, axes=(0, 1)).real.astype(np.float32)


def without_base(healthy: Image, defective: Image, period: int) -> Image:
    """The healthy output with that part alone of what the defect adds that is above a lattice's base band."""
    return healthy + above_base(defective - healthy, period)


def above_base(added: Image, period: int) -> Image:
    """A difference less its mean over one period around each pixel."""
    return added - cv2.blur(added, (period, period), borderType=cv2.BORDER_REPLICATE)


@functools.cache
def _seeing() -> tuple[Callable[[Image, Image], float], ...]:
    return flip(PIXELS_PER_DEGREE), color_video_vdp(PIXELS_PER_DEGREE)


def _outputs(model: nn.Module, images: Tensor) -> list[Image]:
    """One image (H, W) or, of colors, (H, W, 3) for each input."""
    with torch.no_grad():
        outputs = model(images)
    return list((outputs[:, 0] if outputs.shape[1] == 1 else outputs.permute(0, 2, 3, 1)).numpy())
