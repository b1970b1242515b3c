"""Did it work: what the output shows before and after a fix, and whether the image is still the same."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from artifactlab.capture import unwrap
from artifactlab.errors import FixError
from artifactlab.evidence import lattice_period
from artifactlab.records import Site, plain
from artifactlab.repair import remove_lattice
from artifactlab.runner import Runner, as_calls
from artifactlab.severity import VISIBLE, VISIBLE_GRID, VISIBLE_STEPS, measure_severity, pool, smallest_side

ENOUGH = 0.8
"""share of an artifact that must be gone"""
SAME_IMAGE = 35.0
"""decibels between the two outputs, away from the lattice, from which on the image counts as the same"""
RIM = 2
"""periods along the border that are not compared"""


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

    An artifact counts as gone if 80% of its energy is, or if it no longer shows; the image as the same if the two
    outputs, lattice aside, are within 35 dB.

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
    """
    calls = as_calls(inputs)
    before, after = (_outputs(model, calls, output, seed) for model in (old, new))
    period = lattice_period(site.period)
    for a, b in zip(before, after, strict=True):
        if a.shape != b.shape:
            raise FixError(f"the fixed model's output is {tuple(b.shape)}, the old one's is {tuple(a.shape)}")
        if min(a.shape[-2:]) < smallest_side(max(period)):
            raise FixError(f"outputs of {tuple(a.shape)} are too small to measure a grid of period {max(period)}")
    grids, steps = zip(*(_severity(images, period, data_range) for images in (before, after)), strict=True)
    psnr = _psnr(before, after, period, data_range)
    drops = [_drop(*parts) for parts in (grids, steps)]
    cured, verdict = _verdict(site.key, grids, steps, psnr)
    return FixCheck(
        site=site.key,
        period=period,
        lattice_amplitude=_pair([max(0.0, grid) ** 0.5 * VISIBLE_GRID for grid in grids]),
        edge_jaggedness=_pair([max(0.0, step) ** 0.5 * VISIBLE_STEPS for step in steps]),
        severity=_pair([grid + step for grid, step in zip(grids, steps, strict=True)]),
        energy_drop=drops[0],
        steps_drop=drops[1],
        psnr=psnr,
        cured=cured,
        verdict=verdict,
    )


def _outputs(model: nn.Module, calls: Sequence[Any], output: str | int | None, seed: int) -> list[Tensor]:
    with Runner(unwrap(model), output, seed) as runner:
        return [runner.run(call).cpu().float() for call in calls]


def _severity(images: list[Tensor], period: tuple[int, int], data_range: float) -> tuple[float, float]:
    return pool([measure_severity(image, period, data_range) for image in images]).together()


def _psnr(before: list[Tensor], after: list[Tensor], period: tuple[int, int], data_range: float) -> float:
    """Of all outputs together, away from the border; where they are equal, infinity."""
    pairs = zip(before, after, strict=True)
    errors = [inside(remove_lattice(a, period) - remove_lattice(b, period), period).flatten() for a, b in pairs]
    error = float(torch.cat(errors).double().square().mean())
    return 10 * math.log10(data_range**2 / error) if error else math.inf


def inside(image: Tensor, period: tuple[int, int]) -> Tensor:
    """Without the outermost pixels of the site, where an old layer may have read zeros and a new one repeats pixels."""
    (top, left), (height, width) = (RIM * period[0], RIM * period[1]), image.shape[-2:]
    return image[..., top : height - top, left : width - left]


def _drop(before: float, after: float) -> float | None:
    return 1 - after / before if before > 0 else None


def _verdict(site: str, grids: Sequence[float], steps: Sequence[float], psnr: float) -> tuple[bool, str]:
    """Whether to claim success, and a sentence that says so or why not."""
    shown = [
        (name, before, after)
        for name, (before, after) in (("grid", grids), ("stair-steps", steps))
        if before >= VISIBLE
    ]
    left = [
        f"{1 - after / before:.0%} of the {name} went"
        for name, before, after in shown
        if after >= VISIBLE and after > (1 - ENOUGH) * before
    ]
    new = [
        name
        for name, (before, after) in (("grid", grids), ("stair-steps", steps))
        if before < VISIBLE <= after and after > 2 * max(before, 0.5)
    ]
    image = f"{psnr:.1f} dB to the old output, lattice aside"
    if psnr < SAME_IMAGE:
        left.append(f"the image changed ({image})")
    left += [f"the output now shows {name}" for name in new]
    if left:
        return False, f"Not fixed: {'; '.join(left)}."
    if not shown:
        return False, f"Nothing to fix: the output showed neither grid nor stair-steps at {site}'s period ({image})."
    gone = " and ".join(f"{min(1.0, 1 - after / before):.0%} of the {name}" for name, before, after in shown)
    return True, f"Fixed: {gone} went, and the image is the same ({image})."


def _pair(values: Sequence[float]) -> tuple[float, float]:
    before, after = values
    return before, after
