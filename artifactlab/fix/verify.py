"""Whether a fix worked: the artifact in the output before and after, and whether the image is still the same."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from artifactlab.attribution.artifact_words import DIRECTIONS, words_for
from artifactlab.attribution.repair.trials import repaired_output
from artifactlab.attribution.sites.records import Site
from artifactlab.errors import FixError
from artifactlab.fix.common_period import common_period
from artifactlab.fix.fix_verdict import Form, fix_verdict
from artifactlab.fix.judged_range import with_range
from artifactlab.fix.likeness import BORDER_PERIODS, Likeness, Possible
from artifactlab.fix.local_check import WindowChange, check_windows
from artifactlab.fix.may_stay import Change, may_stay
from artifactlab.fix.options import JudgingOptions, refuse_unknown, with_fields
from artifactlab.inputs.images import MIN_SIDE
from artifactlab.metrics.visible import VISIBLE_STEPS
from artifactlab.models.calls import Call, as_calls
from artifactlab.models.runner import Runner
from artifactlab.models.wrappers import unwrap
from artifactlab.scoring.periods import lattice_period, smallest_side
from artifactlab.scoring.severity import Severity, measure_severity, pool
from artifactlab.serialize import json_data

OTHER_PERIODS = (8, 3)
"""Lattices that a fix must not draw instead; 8 contains 2 and 4, so that the common scales are all measured."""


@dataclass(frozen=True)
class FixCheck:
    """The output before and after a fix; pairs are (before, after)."""

    sites: tuple[str, ...]
    """The keys of the sites that were replaced."""
    period: tuple[int, ...]
    """The period of the lattice that the sites draw together along each axis of the output, in pixels: the least common
    multiple of theirs, or the largest that can be measured; 1 along an axis where there is none."""
    lattice_amplitude: Change
    """The rms of the grid at that period, as a fraction of the data range."""
    edge_jaggedness: Change
    """The rms by which stair-steps of that period displace edges, in pixels."""
    severity: Change
    """The severity of grid and stair-steps at that period together; 1 just shows."""
    energy_drop: float | None
    """The share of the grid's energy that is gone, each period weighed as severity does; None where there was none."""
    steps_drop: float | None
    """The share of the stair-steps' energy that is gone; None where there were none."""
    psnr: float
    """The PSNR in dB between the two outputs, with the lattice notched out of both and without the border."""
    cured: bool
    """Whether what showed is gone, and the image is the same."""
    verdict: str
    """What came of it, in one sentence."""
    sharpness: float = 0.0
    """Energy of edges and texture after the fix, lattice and border aside, in dB over what a perfect cure keeps."""
    worst_window: Change | None = None
    """The severity of the worst window of 64 pixels before, and of the worst after, as `score` has it; None where
    outputs hold none."""
    window: WindowChange | None = None
    """The window that speaks most against the fix: a lattice that shows came up in it, or stayed; None without one."""

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return json_data(asdict(self))


def check_fix(
    old: nn.Module,
    new: nn.Module,
    sites: Site | Sequence[Site],
    inputs: Any,
    *,
    judging: JudgingOptions | None = None,
    **fields: Any,
) -> FixCheck:
    """Compare a model's outputs before and after sites were replaced.

    It is a cure if 80% of the energy of what showed is gone and what is left does not show, grid and stair-steps each;
    if no grid of any period and no stair-steps came up instead; if the same holds in each window of 64 pixels; and if
    the image is the same: lattice aside, the two outputs are within 35 dB (or within 1 dB of what the repair of the
    sites in the old model keeps, where a defect is so gross that this is less, but not below 32, or of the old output
    without its spectral images, where these are more than a lattice), 15 dB along the border, and no more than .1 dB of
    the energy of edges and texture is lost. What stays where the sites of the old model are repaired is not theirs, and
    may stay.

    Args:
        old, new: the model before and after.
        sites: what was replaced, as `capture` or `diagnose` listed it in the old model; several are judged together.
        inputs: as for `diagnose`; better not those that the fix was trained on.
        judging: which output to judge, see `JudgingOptions`.
        fields: fields of that record by name, such as `data_range=2.0`; the record is preferred, as type checkers see
            into it.

    Raises:
        InputError: if there are no usable inputs.
        FixError: if the outputs differ in size, or are too small for the sites' period.
        TypeError: if `fields` has a name that the record does not have.

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
    refuse_unknown(fields, JudgingOptions)
    judging = with_fields(judging or JudgingOptions(), fields)
    calls, sites = as_calls(inputs), [sites] if isinstance(sites, Site) else list(sites)
    judging = with_range(judging, old, calls)
    before, after = (_outputs(model, calls, judging) for model in (old, new))
    period = _measurable(before, after, [lattice_period(site.period) for site in sites])
    data_range = judging.data_range or 1.0
    repaired = _outputs(old, calls, judging, sites)
    knows = not all(map(torch.equal, before, repaired))  # else nothing was repaired, and it says nothing of a cure
    (grid, steps), amplitude = _by_form(before, after, period, data_range)
    left = _severity(repaired, period, data_range).together() if knows else (0.0, 0.0)
    likeness = Likeness(before, after, period, data_range)
    possible = Possible(before, repaired, period, data_range)
    words = words_for(DIRECTIONS[len(period)])
    keys = tuple(site.key for site in sites)
    forms = Form(words.level, grid, left[0]), Form(words.steps, steps, left[1])
    of_others = [form.name for form in forms if may_stay(form.severity[0], form.repaired)]
    windows = check_windows(before, after, repaired if knows else None, data_range, of_others)
    other_grids = _other_grids(before, after, period, grid, data_range)
    cured, verdict = fix_verdict(keys, forms, other_grids, windows.against, likeness, possible)
    return FixCheck(
        sites=keys,
        period=period,
        lattice_amplitude=amplitude,
        edge_jaggedness=_jaggedness(steps),
        severity=(grid[0] + steps[0], grid[1] + steps[1]),
        energy_drop=_drop(*grid),
        steps_drop=_drop(*steps),
        psnr=likeness.psnr,
        cured=cured,
        verdict=verdict,
        sharpness=likeness.sharpness(possible),
        worst_window=windows.worst,
        window=windows.against,
    )


def _outputs(
    model: nn.Module, calls: Sequence[Call], judging: JudgingOptions, repaired: Sequence[Site] = ()
) -> list[Tensor]:
    """The outputs, with some sites repaired as `diagnose` repairs them."""
    with Runner(unwrap(model), judging.output, judging.seed) as runner:
        return [repaired_output(runner, call, repaired).cpu().float() for call in calls]


def _measurable(
    before: Sequence[Tensor], after: Sequence[Tensor], periods: Sequence[tuple[int, ...]]
) -> tuple[int, ...]:
    """The common period of the sites, as far as outputs are long enough; a FixError where nothing can be compared."""
    for a, b in zip(before, after, strict=True):
        if a.shape != b.shape:
            raise FixError(f"the fixed model's output is {tuple(b.shape)}, the old one's is {tuple(a.shape)}")
        for period in periods:
            if a.ndim - 2 != len(period):
                raise FixError(
                    f"outputs are {tuple(a.shape)}, and the site's lattice lies along {len(period)} axes; name the"
                    " output that it was found in (output=...)"
                )
    measurable = common_period(periods, lambda axis, period: _fits(before, axis + 2, period))
    if max(measurable) == 1:
        shape = tuple(before[0].shape)
        raise FixError(f"outputs of {shape} are too small to measure a grid of period {max(map(max, periods))}")
    return measurable


def _by_form(
    before: list[Tensor], after: list[Tensor], period: tuple[int, ...], data_range: float
) -> tuple[tuple[Change, Change], Change]:
    """The severity of the grid, that of the stair-steps, and the grid's amplitude."""
    old, new = _severity(before, period, data_range), _severity(after, period, data_range)
    grid, steps = zip(old.together(), new.together(), strict=True)
    return (grid, steps), (old.amplitude, new.amplitude)


def _severity(images: list[Tensor], period: tuple[int, ...], data_range: float) -> Severity:
    return pool([measure_severity(image, period, data_range) for image in images])


def _fits(images: Sequence[Tensor], axis: int, period: int) -> bool:
    """Whether outputs are long enough along an axis for a grid of this period, and for some of it off the border."""
    size = min(image.shape[axis] for image in images)
    return size >= max(smallest_side(period), 2 * BORDER_PERIODS * period + MIN_SIDE)


def _other_grids(
    before: list[Tensor], after: list[Tensor], period: tuple[int, ...], own: Change, data_range: float
) -> list[Change]:
    """The severities of grids of the site's and another period together, less the site's own."""
    found = []
    for other in OTHER_PERIODS:
        together = [math.lcm(p, other) for p in period]
        axes = zip(period, together, strict=True)
        common = tuple(c if _fits(before, axis, c) else p for axis, (p, c) in enumerate(axes, 2))
        if common != period:
            (grid, _), _ = _by_form(before, after, common, data_range)
            found.append((grid[0] - own[0], grid[1] - own[1]))
    return found


def _jaggedness(severity: Change) -> Change:
    """The rms displacement of edges, in pixels, that severities of stair-steps stand for."""
    before, after = severity
    return max(0.0, before) ** 0.5 * VISIBLE_STEPS, max(0.0, after) ** 0.5 * VISIBLE_STEPS


def _drop(before: float, after: float) -> float | None:
    return 1 - after / before if before > 0 else None
