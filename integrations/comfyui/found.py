"""What was found, as nodes put it out: words, a picture, a number, and whether that passes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from matplotlib import colormaps
from torch import Tensor

from artifactlab import Diagnosis
from artifactlab.attribution.artifact_words import IMAGE, artifact_text, levels_text
from artifactlab.attribution.records import SeverityMeasures
from artifactlab.metrics import SpectralImages, spectral_images, spectral_images_map
from artifactlab.metrics.visible import VISIBLE_GRID
from artifactlab.scoring.limits import visible_limits
from artifactlab.scoring.severity import VISIBLE

UNSURE = "Cannot tell"
"""How verdicts begin that say so."""
IN_STEP = "what is in step with the lattice"
"""What a map shows that blames no layer."""
BRIGHTEST = 0.995
"""Quantile that is drawn as the brightest colour: a few pixels may stand out."""


class Found(NamedTuple):
    """The outputs of a node."""

    verdict: str
    """In plain words."""
    map: Tensor
    """Where it is, (B, H, W, 3)."""
    severity: float
    """1 just shows."""
    passed: bool
    """Whether it is told that nothing shows."""


def of_diagnosis(diagnosis: Diagnosis, remarks: Sequence[str] = ()) -> Found:
    """What a diagnosis says; where its first offender acts, or what its outputs hold where there is none."""
    severity = diagnosis.output.severity
    passed = severity < VISIBLE and not diagnosis.heading.startswith(UNSURE)
    offender = next((site.site.key for site in diagnosis.offenders if site.verified), None)
    if offender is not None:
        shown = f"how far repairing {offender} moves each pixel"
        maps = [diagnosis.artifact_map(offender, number) for number in range(len(diagnosis.examples))]
    else:  # what repairing the innocent moves is no artifact
        shown = IN_STEP
        maps = [in_step(example.output[None], diagnosis.config.period) for example in diagnosis.examples]
    picture, scale = pictures(maps)
    verdict = " ".join([diagnosis.verdict, *(f"{remark[0].upper()}{remark[1:]}." for remark in remarks)])
    return Found(f"{verdict}\nMap: {shown}; {scale}", picture, severity, passed)


def of_images(images: Sequence[Tensor]) -> Found:
    """What images (1, C, H, W) show by themselves."""
    found = [spectral_images(image) for image in images]
    severities = [_severity(one) for one in found]
    passed = all(bool(one.told) and value < VISIBLE for one, value in zip(found, severities, strict=True))
    texts = [_text(one, value) for one, value in zip(found, severities, strict=True)]
    lines = [f"Image {number}: {text}" for number, text in enumerate(texts, 1)] if len(texts) > 1 else texts
    picture, scale = pictures([spectral_images_map(image).total[0, 0] for image in images])
    return Found(
        "\n".join([*lines, f"Map: what is in step with the lattice; {scale}"]), picture, max(severities), passed
    )


def in_step(image: Tensor, period: tuple[int, ...] | None = None) -> Tensor:
    """The local rms (*space) of what an image (1, C, *space) holds in step with a lattice, by default any."""
    if period is not None and max(period) == 1:  # there is none that could be measured
        return image.new_zeros(image.shape[2:], dtype=torch.float32)
    return spectral_images_map(image.float(), period).total[0, 0]


def pictures(maps: Sequence[Tensor]) -> tuple[Tensor, str]:
    """Maps (H, W), in fractions of the data range, as images (B, H, W, 3) of one scale, and what that is.

    Of video, whose maps are (T, H, W), each pixel is the largest of all frames.

    What does not show is drawn dark: the scale reaches at least as far as a grid that just shows.
    """
    values = torch.stack([_flat(one).float().cpu() for one in maps])
    most = max(VISIBLE_GRID, *(_quantile(one) for one in values))
    colours = colormaps["magma"]((values / most).clamp(0, 1).numpy())
    return torch.from_numpy(colours[..., :3]).float(), f"black is none, and the brightest {255 * most:.1f}/255."


def _quantile(values: Tensor) -> float:
    """Nearly the largest; by sorting, as torch's own quantile takes no more than 16 million values."""
    ordered = values.flatten().sort().values
    return float(ordered[math.ceil(BRIGHTEST * (len(ordered) - 1))])


def _flat(change: Tensor) -> Tensor:
    """A map (H, W)."""
    return change if change.ndim == 2 else change.amax(tuple(range(change.ndim - 2)))


def _severity(found: SpectralImages) -> float:
    """The squares of all three forms over what just shows of each at this period."""
    if not int(found.period):
        return 0.0
    limits = visible_limits(int(found.period))
    return float(limits.of_grids(found.grid**2, found.modulation**2) + found.warp**2 / limits.warp)


def _text(found: SpectralImages, severity: float) -> str:
    """What an image shows."""
    if not bool(found.told):
        return f"{UNSURE}: what shows could hide in the noise and texture of this image, or it is too small."
    grid = math.hypot(float(found.grid), float(found.modulation))
    measures = SeverityMeasures(severity, grid, float(found.warp))
    if severity < VISIBLE:
        return f"Clean: {levels_text(measures, IMAGE)}; neither shows (severity {severity:.2f})."
    shown = artifact_text(measures, IMAGE)
    return f"It shows {shown}, in step with a lattice of {int(found.period)} px (severity {severity:.1f})."
