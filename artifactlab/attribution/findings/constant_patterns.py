"""Grids that are the same whatever the input, as biases and embeddings of positions draw them.

A pattern that follows the content is gone, or another, on inputs without content; a constant one stays. It is looked
for on two constant inputs, the mean of a given one and half of it. Then the parameter that draws it is looked for, see
`artifactlab.attribution.findings.pattern_causes`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from artifactlab.attribution.artifact_words import amplitude_text, period_text, words_for
from artifactlab.attribution.findings.pattern_causes import Cause, find_cause, run_with_biases
from artifactlab.attribution.findings.phase_patterns import Lattice, foreign_part, height_in, phase_pattern, rms
from artifactlab.attribution.findings.pictures import constant_input, output_layout
from artifactlab.attribution.records import Finding
from artifactlab.metrics import spectral_images
from artifactlab.metrics.visible import visible_grid
from artifactlab.models.calls import Call
from artifactlab.models.runner import Runner
from artifactlab.scoring.severity import VISIBLE, Severity

SEARCHED = 2
"""Number of outputs in which periods are searched that no site has. A constant pattern is in both; what is in one of
them only belongs to its content."""
SIDE = 256
"""Pixels per side of the middle of an output in which they are searched: sixteen times the longest period."""
MOST_OF_IT = 0.9
"""Share of the grids' power that the named period holds with its divisors; a tenth may be an error of the readings."""
LEAST_HEIGHT = 1 / 3
"""Least height of a pattern on both constant inputs, as a share of that on the given ones: later layers pass more or
less of it. See docs/decisions.md, "A constant pattern stands on constant inputs"."""
LEVELS = (1.0, 0.5)
"""Levels of the two constant inputs, as multiples of a given input's mean. A black input would be outside of what many
nets were trained on, and found 3 of 14 (docs/decisions.md, as above); an output of 0 may be clipped."""
OF_BIAS = "Give it one value for all phases of a pixel, or leave it out (bias=False)."
OF_EMBEDDING = (
    "If it has a value for each position, smooth it over them, or train on shifted crops, so that no place can be told"
    " by it; one of classes or times draws a grid through the layers behind it, which is theirs to unlearn."
)


def constant_patterns(
    runner: Runner,
    calls: Sequence[Call],
    outputs: Sequence[Tensor],
    before: Severity,
    lattice: Lattice,
    data_range: float,
) -> tuple[Finding, ...]:
    """The output's grids that are the same whatever the input, with the bias or embedding that draws them.

    Where the outputs show no grid, no pass is run; else two, and one for each parameter that is tried. A grid that is
    constant and due to no such parameter is its site's, and reported only if no site has its period.

    Args:
        runner: runs the model; it is entered already.
        calls: the inputs; constant ones are made of the first.
        outputs: what the model makes of the inputs.
        before: severity of the outputs.
        lattice: the lattice that severity was measured at.
        data_range: distance between the darkest and the brightest value of outputs.

    Raises:
        ModelError: if the model fails on a constant input. CaptureError: if its output then holds NaN or Inf.
    """
    own, others = _own_grid(before, lattice), _other_grids(outputs, lattice, data_range)
    periods = ([own] if own else []) + others
    if not periods:
        return ()
    layout, nothing = output_layout(runner, outputs[0]), (1,) * len(lattice)
    mean, darker = (constant_input(calls[0], layout, level) for level in LEVELS)
    on_mean, biases = run_with_biases(runner, mean)
    on_constant = on_mean, runner.run(darker).cpu()
    found = []
    for period in periods:
        amplitude = _constant_amplitude(outputs, on_constant, period, lattice if period in others else nothing)
        if amplitude / data_range < visible_grid(max(period)):
            continue
        cause = find_cause(runner, mean, on_mean, period, biases)
        if cause or period in others:
            found.append(_finding(period, amplitude / data_range, cause, layout.names))
    return tuple(found)


def _constant_amplitude(
    outputs: Sequence[Tensor], on_constant: Sequence[Tensor], period: Lattice, of_sites: Lattice
) -> float:
    """The rms at which the outputs' pattern stands on constant inputs, too, less what the sites' lattice has of it."""
    patterns = [foreign_part(phase_pattern(image, period), of_sites) for image in outputs]
    pattern = torch.stack(patterns).mean(0)
    height = min(height_in(foreign_part(phase_pattern(image, period), of_sites), pattern) for image in on_constant)
    return height * rms(pattern) if height >= LEAST_HEIGHT else 0.0


def _own_grid(before: Severity, lattice: Lattice) -> Lattice | None:
    """The smallest lattice of the sites' that holds nearly all of the constant grids; None where they do not show."""
    power = {p: float(r.power.grid * r.found.grid) for p, r in before.found.items()}
    if sum(of / visible_grid(period) ** 2 for period, of in power.items()) < VISIBLE:
        return None
    total = sum(power.values())
    held = {period: sum(of for p, of in power.items() if period % p == 0) for period in power}
    period = min(period for period, of in held.items() if of >= MOST_OF_IT * total)
    return tuple(math.gcd(period, spacing) for spacing in lattice)


def _other_grids(outputs: Sequence[Tensor], lattice: Lattice, data_range: float) -> list[Lattice]:
    """Periods of no site at which all of the first outputs show a grid."""
    found: set[int] = set()
    for output in outputs[:SEARCHED]:
        reading = spectral_images(_middle(output[:1]).float() / data_range)
        period = int(reading.period[0])
        shows = period and float(reading.grid[0]) >= visible_grid(period) and any(side % period for side in lattice)
        if not shows:
            return []  # and the others need not be searched, which takes a sixth of a small diagnosis
        found.add(period)
    return [(period,) * len(lattice) for period in found] if len(found) == 1 else []


def _middle(output: Tensor) -> Tensor:
    """At most `SIDE` pixels a side."""
    for axis in range(2, output.ndim):
        size = output.shape[axis]
        output = output.narrow(axis, max(0, size - SIDE) // 2, min(SIDE, size))
    return output


def _finding(lattice: Lattice, amplitude: float, cause: Cause | None, names: Sequence[str]) -> Finding:
    periods = tuple(float(period) if period > 1 else 0.0 for period in lattice)
    what = f"{words_for(names).one_lattice} of period {period_text(lattice, names)}"
    text = f"{what} ({amplitude_text(amplitude, names)} rms) is the same whatever the input"
    if cause is None:
        text += ": constant inputs show it as well. No site has that period, and no bias or embedding alone draws it."
    else:
        text += f", and {min(1.0, cause.share):.0%} of it goes without {cause.name}. "
        text += OF_BIAS if cause.bias else OF_EMBEDDING
    return Finding("constant pattern", cause.name if cause else "output", periods, (0.0,) * len(periods), text)
