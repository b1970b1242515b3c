"""Whose lattice it is: what the input brings along, told from what the model draws itself.

A repair at a site takes out whatever lattice passes there, so that a site is blamed for what came in with the input.
Two experiments tell, each where the other cannot:

- Input and output have one size: the input is shifted, and the shift undone in the output. What the input brings moves
  along, what the model draws stands still, and averages out over several shifts ("cycle spinning", R. R. Coifman and
  D. L. Donoho, "Translation-invariant de-noising", 1995).
- The output is an enlarged picture of the input: an input that is aliased has steps of one sample, and enlarged they
  keep step with the model's own lattice, however it is shifted. Its anti-aliased twin, a little blurred, has none; what
  steps are left are the model's. The blur takes details as well, and with them what a model draws of details alone; so
  an input is said to bring no more than plain interpolation of it explains.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from artifactlab.attribution.artifact_words import IMAGE, words_for
from artifactlab.attribution.findings.pictures import SPACE, output_layout, pictures, with_pictures
from artifactlab.attribution.records import Finding
from artifactlab.attribution.repair.effects import REPAIR_ERROR_OF_SEVERITY
from artifactlab.metrics.gradients import gaussian
from artifactlab.models.calls import Call
from artifactlab.models.layout import Layout
from artifactlab.models.runner import Runner
from artifactlab.scoring.data_range import spread
from artifactlab.scoring.severity import VISIBLE, Severity, measure_severity, pool

MOST_INPUTS = 2
"""Number of inputs that are tried, those whose outputs show most. A twin takes one more forward pass each; shifts,
which only inputs need that carry a lattice themselves, take two for each period that shows."""
BLUR = 0.7
"""Standard deviation in input samples of the Gaussian that makes a twin. Of what aliased drawings and photos read after
bilinear, bicubic and trained enlargement a seventh or less is left, of nearest replication all (docs/decisions.md, "An
anti-aliased twin tells what a shift cannot")."""
PICTURE_CORRELATION = 0.9
"""Correlation with the reduced output from which on an input is a small picture of it, and no noise and no latent
(docs/decisions.md, as above)."""
AMPLIFIED = 4
"""Most that an input may bring, in multiples of what bilinear enlargement of it shows; trained upscalers show up to 3
times as much, a branch that replicates details 6 times and more (docs/decisions.md, "An input brings no more than plain
interpolation shows")."""
LEAST_PART = 0.05
"""Share of the severity that a period must hold to be tried, at two passes each; less is within what repairs are off
by."""
LARGE_PART = 0.2
"""Share of the severity that an input must bring to be mentioned: the same as a repair must take, see
`artifactlab.attribution.verdicts.LARGE_SHARE`."""


@dataclass(frozen=True)
class Origin:
    """What the outputs of some inputs show, and how much of it is the model's own."""

    test: Literal["shift", "twin"]
    """The experiment by which that was found out."""
    severity: float
    """Severity of the outputs as they are."""
    own: float
    """The part of `severity` that the model draws."""
    period: tuple[int, ...]
    """The lattice that severity was measured at."""
    grid: float = 0.0
    """The part of `severity` that are grids."""
    own_grid: float = 0.0
    """The part of `own` that are grids."""

    @property
    def brought(self) -> float:
        """Share of the severity that came in with the inputs, 0 to 1."""
        return min(1.0, max(0.0, 1 - self.own / self.severity))

    @property
    def explains(self) -> bool:
        """Whether nobody is to blame: what the model draws would not show, or is within what repairs are off by.

        So of grids alone as well: strong steps that an input brings hide no grid from sight.
        """
        parts = (self.severity, self.own), (self.grid, self.own_grid)
        innocent = all(own < max(VISIBLE, REPAIR_ERROR_OF_SEVERITY * total) for total, own in parts)
        return self.brought >= LARGE_PART and innocent

    def findings(self, names: Sequence[str] = IMAGE) -> tuple[Finding, ...]:
        """In words, where it is enough to be mentioned; `names` are those of the output's directions."""
        if self.brought < LARGE_PART:
            return ()
        text, words = SHIFTED if self.test == "shift" else BLURRED, words_for(names)
        text = text.format(share=f"{self.brought:.0%}", words=words)
        period, nothing = tuple(map(float, self.period)), (0.0,) * len(self.period)
        return (Finding("input", "input", period, nothing, text),)


SHIFTED = (
    "the inputs carry {words.one_lattice} of their own: {share} of what shows moves along when the input is shifted, "
    "as nothing does that the model draws. Train on inputs that carry none, or filter them before."
)
BLURRED = (
    "the inputs are aliased: {share} of what shows vanishes with an anti-aliased twin of the input, as no "
    "{words.steps} do that the model draws. Train on aliased inputs, or filter them before (a Gaussian of "
    f"{BLUR:g} input {{words.pixels}})."
)


def origin_of(
    runner: Runner,
    calls: Sequence[Call],
    outputs: Sequence[Tensor],
    parts: Sequence[Severity],
    period: tuple[int, ...],
    data_range: float,
) -> Origin | None:
    """Tell what the inputs bring from what the model draws; None where nothing shows, or it cannot be told.

    Args:
        runner: runs the model; it is entered already.
        calls: the inputs. Where they hold no picture of the output, nothing can be told.
        outputs: what the model makes of them, on the CPU.
        parts: severities of the outputs.
        period: the lattice that severities were measured at.
        data_range: distance between the darkest and the brightest value of outputs.

    Raises:
        ModelError: if the model fails on a changed input. CaptureError: if its output then holds NaN or Inf.
    """
    most = sorted(range(len(parts)), key=lambda k: -sum(parts[k].together()))[:MOST_INPUTS]
    before = pool([parts[k] for k in most])
    severity = sum(before.together())
    if severity < VISIBLE:
        return None
    # what a few inputs alone are too little to confirm is not acquitted by them
    unconfirmed = max(0.0, sum(pool(parts).together()) - severity)
    chosen, layout = [(calls[k], outputs[k]) for k in most], output_layout(runner, outputs[0])
    if all(_carries_lattice(call, output, layout, period) for call, output in chosen):
        own, own_grid = _standing_still(runner, chosen, layout, before, data_range, period)
        return Origin("shift", severity + unconfirmed, own + unconfirmed, period, before.together()[0], own_grid)
    if all(_picture(call, output, layout) is not None for call, output in chosen):
        after = pool([_measured(_of_twin(runner, *one, layout), period, data_range) for one in chosen])
        bilinear = sum(pool([_measured(_enlarged(*one, layout), period, data_range) for one in chosen]).together())
        if bilinear < VISIBLE:  # the input has no steps, and what a twin takes along is what the model makes of details
            return None
        own = max(sum(after.together()), severity - AMPLIFIED * bilinear)
        # where the twin lacks the content to show steps, their absence says nothing
        if own >= VISIBLE or after.content_wanted <= 1:
            grids = before.together()[0], after.together()[0]
            return Origin("twin", severity + unconfirmed, own + unconfirmed, period, *grids)
    return None


def _measured(image: Tensor, period: tuple[int, ...], data_range: float) -> Severity:
    return measure_severity(image.cpu(), period, data_range)


def _carries_lattice(call: Call, output: Tensor, layout: Layout, period: tuple[int, ...]) -> bool:
    """Whether all pictures that go in have the output's size, and anything at all is found in one of them.

    A filter amplifies a lattice along with the content that hides it: what is not found in the input, the model drew.
    """
    images = pictures(call, layout)
    if not images or any(image.shape[SPACE:] != output.shape[SPACE:] for image in images):
        return False
    found = (measure_severity(image.cpu(), period, spread(image) or 1.0) for image in images)
    return any(sum(severity.together()) > 0 for severity in found)


def _standing_still(
    runner: Runner,
    chosen: Sequence[tuple[Call, Tensor]],
    layout: Layout,
    before: Severity,
    data_range: float,
    period: tuple[int, ...],
) -> tuple[float, float]:
    """What the model draws itself, and its grids alone, period by period: what is lost in the mean over shifts."""
    severity, own, own_grid = sum(before.together()), 0.0, 0.0
    axes = [axis for axis, spacing in enumerate(period, SPACE) if spacing > 1]
    for p in before.sums:
        grid, steps = _at(before, p)
        if grid + steps < LEAST_PART * severity:
            continue
        spun = [_spun(runner, *one, layout, p // 2, axes) for one in chosen]
        after = _at(pool([_measured(image, period, data_range) for image in spun]), p)
        lost = 1 - _remaining_power(p, p // 2, len(axes))
        own += max(0.0, grid + steps - sum(after)) / lost
        own_grid += max(0.0, grid - after[0]) / lost
    return own, own_grid


def _at(severity: Severity, period: int) -> tuple[float, float]:
    """The grids and steps of a severity that stand at a period's own frequencies."""
    return severity.at(period).together()


def _remaining_power(period: int, step: int, axes: int = 2) -> float:
    """Power that what stands still keeps in the mean of an image and its shifts along so many axes.

    Of images a ninth for even periods, whose own frequencies half a period turns over. Of others the most that any of
    theirs keeps: the model's part is rather read too large than acquitted.
    """
    own = (k for k in range(1, period) if math.gcd(k, period) == 1)
    still = (axes**2 + 1 + 2 * axes * math.cos(2 * math.pi * k * step / period) for k in own)
    return max(still) / (axes + 1) ** 2


def _spun(runner: Runner, call: Call, output: Tensor, layout: Layout, step: int, axes: Sequence[int]) -> Tensor:
    """The mean of an output and those on inputs shifted along axes, shifts undone, less the frame that came around."""
    mean = output.float() / (len(axes) + 1)
    for axis in axes:
        shifted = runner.run(with_pictures(call, layout, partial(torch.roll, shifts=step, dims=axis)))
        mean = mean + shifted.cpu().float().roll(-step, axis) / (len(axes) + 1)
    for axis in axes:
        mean = mean.narrow(axis, step, mean.shape[axis] - 2 * step)
    return mean


def _picture(call: Call, output: Tensor, layout: Layout) -> Tensor | None:
    """The first picture that goes in of which the output is an enlarged one; None where there is none."""
    return next((image for image in pictures(call, layout) if _is_picture(image, output)), None)


def _is_picture(image: Tensor, output: Tensor) -> bool:
    """Whether the output, reduced to an image's size, is that image, but for contrast."""
    sides = list(zip(output.shape[SPACE:], image.shape[SPACE:], strict=True))
    grown = any(large > small for large, small in sides) and not any(large % small for large, small in sides)
    if not grown or output.shape[:SPACE] != image.shape[:SPACE]:
        return False
    reduced = F.interpolate(output.float(), image.shape[SPACE:], mode="area")  # the mean of each block
    space = tuple(range(SPACE, image.ndim))
    a, b = ((x - x.mean(space, keepdim=True)).flatten() for x in (image.float().cpu(), reduced))
    return float(a @ b) >= PICTURE_CORRELATION * float(a.norm() * b.norm()) > 0


def _enlarged(call: Call, output: Tensor, layout: Layout) -> Tensor:
    """The picture among the inputs, enlarged by plain interpolation and brought to the output's contrast."""
    image = next(filter(partial(_is_picture, output=output), pictures(call, layout))).float().cpu()
    mode = ("linear", "bilinear", "trilinear")[output.ndim - SPACE - 1]
    contrast = float(output.float().std()) / float(image.std())
    return contrast * F.interpolate(image, output.shape[SPACE:], mode=mode, align_corners=False)


def _of_twin(runner: Runner, call: Call, output: Tensor, layout: Layout) -> Tensor:
    """What the model makes of the input with its pictures anti-aliased."""
    twin = with_pictures(call, layout, lambda image: _blurred(image, output) if _is_picture(image, output) else image)
    return runner.run(twin)


def _blurred(image: Tensor, output: Tensor) -> Tensor:
    """An anti-aliased twin: blurred by a Gaussian of `BLUR` along what is enlarged, its border repeated."""
    blurred, kernel = image.float(), gaussian(BLUR, image.float()).tolist()
    radius = len(kernel) // 2
    for axis in range(SPACE, image.ndim):
        size = image.shape[axis]
        if output.shape[axis] > size:
            place = torch.arange(-radius, size + radius, device=image.device).clamp(0, size - 1)
            around = blurred.index_select(axis, place)
            blurred = torch.stack([k * around.narrow(axis, n, size) for n, k in enumerate(kernel)]).sum(0)
    return blurred.to(image.dtype)
