"""Did it work: what the output shows before and after a fix, and whether the image is still the same."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor, nn

from artifactlab.capture import unwrap
from artifactlab.errors import FixError
from artifactlab.evidence import lattice_period
from artifactlab.images import MIN_SIDE
from artifactlab.metrics.gradients import gradient
from artifactlab.metrics.visible import VISIBLE_STEPS
from artifactlab.records import Site, plain
from artifactlab.repair import remove_lattice
from artifactlab.runner import Runner, as_calls
from artifactlab.severity import VISIBLE, Severity, measure_severity, pool, smallest_side

ENOUGH = 0.8
"""share of an artifact's energy that must be gone"""
WORSE = 0.3
"""severity by which an artifact may grow, within the noise of measuring it"""
SAME_IMAGE = 35.0
"""decibels between the two outputs, away from the lattice, from which on the image counts as the same"""
SAME_BORDER = 15.0
"""likewise along the border, where an old layer may have read zeros and a new one repeats pixels"""
SAME_DETAIL = 0.6
"""share of the old output's gradients, lattice aside, that must be left: a blur is no cure"""
OTHER_PERIODS = (8, 3)
"""lattices that a fix must not draw instead; what they contain, 2 and 4, is measured along"""
SLOPE_SCALE = 0.7
"""pixels: sigma of those derivatives"""
RIM = 2
"""periods along the border that are compared by themselves"""


@dataclass(frozen=True)
class FixCheck:
    """The output before and after a fix; pairs are (before, after)."""

    site: str
    """what was replaced"""
    period: tuple[int, int]
    """of its lattice, in output pixels"""
    lattice_amplitude: tuple[float, float]
    """rms of the grid at that period, as a fraction of the data range"""
    edge_jaggedness: tuple[float, float]
    """in pixels"""
    severity: tuple[float, float]
    """grid at that period and stair-steps together; 1 just shows"""
    energy_drop: float | None
    """share of the lattice's energy that is gone; None where there was none"""
    steps_drop: float | None
    """likewise, of the stair-steps' severity"""
    psnr: float
    """between the two outputs with the lattice notched out of both, but for the border, in dB"""
    cured: bool
    """whether what showed is gone, and the image is the same"""
    verdict: str
    """in a sentence"""

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return plain(asdict(self))


def check_fix(
    old: nn.Module,
    new: nn.Module,
    site: Site,
    inputs: Any,
    *,
    output: str | int | None = None,
    data_range: float = 1.0,
    seed: int = 0,
) -> FixCheck:
    """Compare a model's outputs before and after a site was replaced.

    It is a cure if 80% of the energy of what showed is gone, grid and stair-steps each, if no grid of any period and no
    stair-steps came up instead, and if the image is the same: lattice aside, the two outputs are within 35 dB, 15 dB
    along the border, and 60% of the gradients are left.

    Args:
        old, new: the model before and after.
        site: what was replaced, as `capture` or `diagnose` listed it in the old model.
        inputs: as for `diagnose`; better not those that the fix was trained on.
        output: key, attribute or index of the output to judge.
        data_range: distance between the output's darkest and brightest value.
        seed: of the random state every forward pass starts from.

    Raises:
        InputError: if there are no usable inputs.
        FixError: if the outputs differ in size, or are too small for the site's period.

    >>> import copy, torch
    >>> from artifactlab import capture
    >>> from artifactlab.fix import replace_upsampler
    >>> old = nn.Sequential(nn.ConvTranspose2d(1, 1, 4, 2, 1))
    >>> photo = torch.rand(1, 1, 32, 32)
    >>> with capture(old) as cap:
    ...     _ = old(photo)
    >>> new = copy.deepcopy(old)
    >>> _ = replace_upsampler(new, "0")
    >>> check_fix(old, new, cap.sites[0].site, photo).period
    (2, 2)
    """
    calls = as_calls(inputs)
    before, after = (_outputs(model, calls, output, seed) for model in (old, new))
    period = lattice_period(site.period)
    for a, b in zip(before, after, strict=True):
        if a.shape != b.shape:
            raise FixError(f"the fixed model's output is {tuple(b.shape)}, the old one's is {tuple(a.shape)}")
        if not _fits([a], period):
            raise FixError(f"outputs of {tuple(a.shape)} are too small to measure a grid of period {max(period)}")
    found = [_severity(images, period, data_range) for images in (before, after)]
    grids, steps = zip(*(severity.together() for severity in found), strict=True)
    wider = _wider(period, before)
    drawn = [[_severity(images, p, data_range).together()[0] for images in (before, after)] for p in wider]
    drawn = [[whole - own for whole, own in zip(pair, grids, strict=True)] for pair in drawn]
    kept = _Kept(before, after, period, data_range)
    amplitudes = [severity.amplitude for severity in found]
    cured, verdict = _verdict(site.key, {"grid": grids, "stair-steps": steps}, drawn, kept)
    return FixCheck(
        site=site.key,
        period=period,
        lattice_amplitude=_pair(amplitudes),
        edge_jaggedness=_pair([max(0.0, step) ** 0.5 * VISIBLE_STEPS for step in steps]),
        severity=_pair([grid + step for grid, step in zip(grids, steps, strict=True)]),
        energy_drop=_drop(*(amplitude**2 for amplitude in amplitudes)),
        steps_drop=_drop(*steps),
        psnr=kept.psnr,
        cured=cured,
        verdict=verdict,
    )


def _outputs(model: nn.Module, calls: Sequence[Any], output: str | int | None, seed: int) -> list[Tensor]:
    with Runner(unwrap(model), output, seed) as runner:
        return [runner.run(call).cpu().float() for call in calls]


def _severity(images: list[Tensor], period: tuple[int, int], data_range: float) -> Severity:
    return pool([measure_severity(image, period, data_range) for image in images])


def _fits(images: Sequence[Tensor], period: tuple[int, int]) -> bool:
    """Whether a grid of this period can be measured in outputs of this size, and something is left inside the rim."""
    side = min(min(image.shape[-2:]) for image in images)
    return side >= max(smallest_side(max(period)), 2 * RIM * max(period) + MIN_SIDE)


def _wider(period: tuple[int, int], images: Sequence[Tensor]) -> list[tuple[int, int]]:
    """Lattices that contain the site's own and `OTHER_PERIODS`."""
    wider = [(math.lcm(period[0], other), math.lcm(period[1], other)) for other in OTHER_PERIODS]
    return [both for both in wider if both != period and _fits(images, both)]


class _Kept:
    """How much of the image is as it was, with the lattice notched out of both outputs."""

    def __init__(self, before: list[Tensor], after: list[Tensor], period: tuple[int, int], data_range: float) -> None:
        pairs = [(remove_lattice(a, period), remove_lattice(b, period)) for a, b in zip(before, after, strict=True)]
        errors = [((a - b) / data_range).double().square() for a, b in pairs]
        middles = [inside(error, period) for error in errors]
        whole, middle = (sum(float(e.sum()) for e in parts) for parts in (errors, middles))
        counts = [sum(e.numel() for e in parts) for parts in (errors, middles)]
        self.psnr = _decibels(middle / counts[1])
        self.border = _decibels(max(0.0, whole - middle) / (counts[0] - counts[1]))
        slopes = [sum(_slopes(inside(pair[k], period)) for pair in pairs) for k in (0, 1)]
        self.detail = math.sqrt(slopes[1] / slopes[0]) if slopes[0] else 1.0

    def lost(self) -> list[str]:
        """What is not as it was, in words."""
        found = []
        if not self.psnr >= SAME_IMAGE:
            found.append(f"the image changed ({self})")
        if not self.border >= SAME_BORDER:
            found.append(f"the border changed ({self.border:.1f} dB)")
        if not self.detail >= SAME_DETAIL:
            found.append(f"detail was lost ({self.detail:.0%} of the gradients are left)")
        return found

    def __str__(self) -> str:
        return f"{self.psnr:.1f} dB to the old output, lattice and border aside"


def _decibels(error: float) -> float:
    return -10 * math.log10(error) if error > 0 else math.nan if math.isnan(error) else math.inf


def _slopes(image: Tensor) -> float:
    """Energy of the image's Gaussian derivatives."""
    return sum(float(part.double().square().sum()) for part in gradient(image.flatten(0, 1)[:, None], SLOPE_SCALE))


def inside(image: Tensor, period: tuple[int, int]) -> Tensor:
    """Without the outermost pixels of the site, where an old layer may have read zeros and a new one repeats pixels."""
    (top, left), (height, width) = (RIM * period[0], RIM * period[1]), image.shape[-2:]
    return image[..., top : height - top, left : width - left]


def _drop(before: float, after: float) -> float | None:
    return 1 - after / before if before > 0 else None


def _verdict(
    site: str, parts: dict[str, Sequence[float]], drawn: Sequence[Sequence[float]], kept: _Kept
) -> tuple[bool, str]:
    """Whether to claim success, and a sentence that says so or why not; pairs of severities are (before, after)."""
    shown = {name: 1 - after / before for name, (before, after) in parts.items() if before >= VISIBLE}
    wrong = [f"{gone:.0%} of the {name} went" for name, gone in shown.items() if gone < ENOUGH]
    wrong += [f"the output now shows {name}" for name, pair in parts.items() if name not in shown and _is_worse(*pair)]
    wrong += ["the output now shows a grid of another period"] if any(_is_worse(*pair) for pair in drawn) else []
    wrong += kept.lost()
    if wrong:
        return False, f"Not fixed: {'; '.join(wrong)}."
    if not shown:
        return False, f"Nothing to fix: the output showed neither grid nor stair-steps at {site}'s period ({kept})."
    gone = " and ".join(f"{min(1.0, share):.0%} of the {name}" for name, share in shown.items())
    return True, f"Fixed: {gone} went, and the image is the same ({kept})."


def _is_worse(before: float, after: float) -> bool:
    return after >= VISIBLE and after > before + WORSE


def _pair(values: Sequence[float]) -> tuple[float, float]:
    before, after = values
    return before, after
