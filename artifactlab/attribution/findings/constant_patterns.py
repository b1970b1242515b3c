"""A grid that is the same whatever the input, as biases and embeddings of positions draw it, and which of them it is.

A pattern that follows the content is gone, or another, on inputs without content; a constant one stays. It is looked
for on two constant inputs, the mean of a given one and half of it. Then the parameters that could draw it are set to
zero in turn: biases of sites whose output has a lattice on a constant input, and embeddings of positions.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from artifactlab.attribution.records import Finding
from artifactlab.attribution.sites.watch import Visit, watch
from artifactlab.metrics import spectral_images
from artifactlab.metrics.bands import baseband, blocks
from artifactlab.metrics.visible import VISIBLE_GRID
from artifactlab.models.calls import Call, constant_call
from artifactlab.models.runner import Runner
from artifactlab.models.torch_internals import own_buffers, own_parameters
from artifactlab.scoring.periods import lattice_period
from artifactlab.scoring.severity import Severity

SEARCHED, SIDE = 2, 256
"""outputs, and pixels per side of their middle, in which periods are searched that no site has"""
MOST_OF_IT = 0.9
"""of the grids' power, that the named period holds with its divisors"""
LEAST_HEIGHT = 1 / 3
"""of the pattern, that stands on both constant inputs: later layers pass more or less of it"""
LEVELS = (1.0, 0.5)
"""of the mean; a black input is outside of what many nets were trained on, and an output of 0 may be clipped"""
ALIKE = 0.7
"""correlation of the patterns: half of their power"""
MOST_TRIED = 8
"""parameters that are set to zero, at a forward pass each"""
NAMED = 0.5
"""of the pattern, that must go without a parameter, so that it is named"""
LOCKED, FAINT = 0.1, 1e-3
"""share of a site's variation on a constant input, and of its size, that a lattice of its own has; padding and rounding
draw the rest"""
SMALLEST_MAP = 8
"""per side: smaller spatial parameters are kernels"""

Lattice = tuple[int, int]


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
        runner: of the model, entered.
        calls: its inputs; constant ones are made of the first.
        outputs: what it makes of them.
        before: their severity.
        lattice: that it was measured at.
        data_range: of the outputs.

    Raises:
        ModelError: if the model fails on a constant input. CaptureError: if its output then holds NaN or Inf.
    """
    own, others = _own_grid(before, lattice), _other_grids(outputs, lattice, data_range)
    shown = ([own] if own else []) + others
    if not shown:
        return ()
    mean, darker = (constant_call(calls[0], level) for level in LEVELS)
    on_mean, biases = _flat_run(runner, mean)
    flat = on_mean, runner.run(darker).cpu()
    found = []
    for period in shown:
        of_sites = lattice if period in others else (1, 1)
        pattern = torch.stack([_foreign(phase_pattern(image, period), of_sites) for image in outputs]).mean(0)
        height = min(_height(_foreign(phase_pattern(image, period), of_sites), pattern) for image in flat)
        amplitude = height * _rms(pattern) / data_range
        if height < LEAST_HEIGHT or amplitude < VISIBLE_GRID:
            continue
        cause = _cause(runner, mean, on_mean, period, biases)
        if cause or period in others:
            found.append(_finding(period, amplitude, cause))
    return tuple(found)


@dataclass(frozen=True)
class Cause:
    """The parameter that draws a pattern."""

    name: str
    """qualified"""
    share: float
    """of the pattern that goes without it"""
    bias: bool
    """whether it is a bias; an embedding otherwise"""


def _own_grid(before: Severity, lattice: Lattice) -> Lattice | None:
    """The smallest lattice of the sites' that holds nearly all of the constant grids; None where they do not show."""
    power = {p: float(r.power.grid * r.found.grid) for p, r in before.found.items()}
    total = sum(power.values())
    if total < VISIBLE_GRID**2:
        return None
    held = {period: sum(of for p, of in power.items() if period % p == 0) for period in power}
    period = min(period for period, of in held.items() if of >= MOST_OF_IT * total)
    return math.gcd(period, lattice[0]), math.gcd(period, lattice[1])


def _other_grids(outputs: Sequence[Tensor], lattice: Lattice, data_range: float) -> list[Lattice]:
    """Periods of no site at which all of the first outputs show a grid."""
    found: set[int] | None = None
    for output in outputs[:SEARCHED]:
        top, left = (max(0, size - SIDE) // 2 for size in output.shape[2:])
        reading = spectral_images(output[:1, :, top : top + SIDE, left : left + SIDE].float() / data_range)
        period = int(reading.period[0]) if float(reading.grid[0]) >= VISIBLE_GRID else 0
        found = {period} if found is None else found & {period}
    return [(period, period) for period in sorted(found or ()) if period and any(side % period for side in lattice)]


def phase_pattern(image: Tensor, lattice: Lattice) -> Tensor:
    """The mean (C, ph, pw) of what an (N, C, H, W) image has at each phase of a lattice, over what is smooth.

    Of its middle, as padding draws rings along the border; the phase is that of the whole image.
    """
    residual = image.float() - baseband(image.float(), max(lattice))
    for axis, period in zip((2, 3), lattice, strict=True):
        aside = -(-image.shape[axis] // (4 * period)) * period
        if image.shape[axis] - 2 * aside >= period:
            residual = residual.narrow(axis, aside, image.shape[axis] - 2 * aside)
    phases = blocks(residual, lattice).mean((0, 2, 4))
    return phases - phases.mean((1, 2), keepdim=True)


def _foreign(pattern: Tensor, lattice: Lattice) -> Tensor:
    """A pattern (C, ph, pw) without what it has at the phases of a lattice: a multiple of a period shows it as well."""
    _, height, width = pattern.shape
    vertical, horizontal = math.gcd(height, lattice[0]), math.gcd(width, lattice[1])
    cells = pattern.unflatten(1, (-1, vertical)).unflatten(3, (-1, horizontal))
    return (cells - cells.mean((1, 3), keepdim=True)).flatten(3).flatten(1, 2)


def _height(pattern: Tensor, of: Tensor) -> float:
    """How much of one pattern stands in another, 1 for all of it; 0 if the other is another pattern."""
    product, power = float((pattern * of).sum()), float(of.square().sum())
    return product / power if product >= ALIKE * (power * float(pattern.square().sum())) ** 0.5 > 0 else 0.0


def _rms(pattern: Tensor) -> float:
    return float(pattern.square().mean().sqrt())


def _flat_run(runner: Runner, call: Call) -> tuple[Tensor, list[str]]:
    """The output on a constant input, and the biases behind each site that has a lattice then, in the order they run.

    Those of the module that makes the call, and of the one with parameters that ran before it, as before a shuffle. A
    transposed convolution has none that could draw a grid.
    """
    names = {module: name for name, module in runner.model.named_modules()}
    last, biases = [runner.model], dict[str, None]()

    def ran(module: nn.Module, args: Any, output: Any) -> None:
        last[0] = module

    def look(visit: Visit) -> None:
        if visit.key.op == "conv_transpose2d":  # one value for all phases, before and after: its kernel draws the grid
            return
        if _has_lattice(visit.growth.output.detach(), lattice_period(visit.growth.scale)):
            for owner in (runner.model.get_submodule(visit.key.name), last[0]):
                added = (name for name, p in own_parameters(owner).items() if _is_bias(name, p))
                biases.update(dict.fromkeys(_joined(names[owner], name) for name in added))

    with ExitStack() as stack:
        for module in names:
            if own_parameters(module) and not isinstance(module, torch.jit.ScriptModule):
                stack.callback(module.register_forward_hook(ran).remove)
        stack.enter_context(watch(runner.model, look))
        return runner.run(call).cpu(), list(biases)


def _is_bias(name: str, parameter: Tensor | None) -> bool:
    """Whether a parameter is one value per channel that is added; those of a norm or a PReLU multiply."""
    return parameter is not None and parameter.ndim == 1 and name != "weight"


def _has_lattice(activation: Tensor, lattice: Lattice) -> bool:
    """Whether an activation that has no content varies with the phase of a lattice."""
    if max(lattice) == 1 or any(size < 2 * period for size, period in zip(activation.shape[2:], lattice, strict=True)):
        return False
    middle = [size // 4 for size in activation.shape[2:]]
    inside = activation[..., middle[0] : -middle[0], middle[1] : -middle[1]].float()
    size, varies = _rms(inside), _rms(inside - inside.mean((2, 3), keepdim=True))
    pattern = _rms(phase_pattern(activation, lattice))
    return pattern >= FAINT * size and pattern**2 >= LOCKED * varies**2 and pattern > 0


def _cause(runner: Runner, call: Call, output: Tensor, lattice: Lattice, biases: Sequence[str]) -> Cause | None:
    """The bias, or embedding of positions, without which most of the pattern goes that an output has."""
    pattern = phase_pattern(output, lattice)
    embeddings = [name for name, tensor in _named_tensors(runner.model) if _is_map(tensor, output)]
    tried = []
    for name in [*biases, *embeddings][:MOST_TRIED]:
        with _without(runner.model, name):
            left = phase_pattern(runner.run(call).cpu(), lattice)
        share = 1 - float((left * pattern).sum() / pattern.square().sum())
        tried.append(Cause(name, share, name in biases))
    best = max(tried, key=lambda cause: cause.share, default=None)
    return best if best and best.share >= NAMED else None


def _named_tensors(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Parameters and buffers that are no weights of torch's own layers, but of its embeddings."""
    for prefix, module in model.named_modules():
        if isinstance(module, nn.Embedding) or not type(module).__module__.startswith("torch.nn"):
            own = {**own_parameters(module), **own_buffers(module)}
            yield from ((_joined(prefix, name), tensor) for name, tensor in own.items() if tensor is not None)


def _is_map(tensor: Tensor, output: Tensor) -> bool:
    """Whether a parameter has a value for each place of a grid that covers the output, as a map or as tokens."""
    if not tensor.is_floating_point() or tensor.ndim < 2:
        return False
    height, width = output.shape[2:]
    ratios = [r for r in range(1, min(height, width) // 2 + 1) if height % r == 0 and width % r == 0]
    sides = {(height // r, width // r) for r in ratios}
    if tensor.ndim > 2 and tuple(tensor.shape[-2:]) in sides:
        return min(tensor.shape[-2:]) >= SMALLEST_MAP
    return any(tensor.shape[-2] - extra in {h * w for h, w in sides} for extra in (0, 1))  # one may be a class token


@contextmanager
def _without(model: nn.Module, name: str) -> Iterator[None]:
    """A context in which a parameter or buffer is 0 while the model runs; nothing is written to it."""
    path, _, leaf = name.rpartition(".")
    owner = model.get_submodule(path)
    is_parameter = leaf in own_parameters(owner)
    place: dict[str, Any] = own_parameters(owner) if is_parameter else own_buffers(owner)
    kept: list[Any] = []

    def before(module: nn.Module, args: Any) -> None:
        kept.append(place[leaf])
        zero = torch.zeros_like(kept[-1])
        place[leaf] = nn.Parameter(zero, requires_grad=False) if is_parameter else zero

    def after(module: nn.Module, args: Any, output: Any) -> None:
        if kept:
            place[leaf] = kept.pop()

    handles = [model.register_forward_pre_hook(before), model.register_forward_hook(after, always_call=True)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _joined(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name


def _finding(lattice: Lattice, amplitude: float, cause: Cause | None) -> Finding:
    vertical, horizontal = (float(period) if period > 1 else 0.0 for period in lattice)
    spacing = f"{lattice[0]}" if lattice[0] == lattice[1] else f"{lattice[0]}x{lattice[1]}"
    text = f"a grid of period {spacing} ({255 * amplitude:.1f}/255 rms) is the same whatever the input"
    if cause is None:
        text += ": constant inputs show it as well. No site has that period, and no bias or embedding alone draws it."
    else:
        text += f", and {min(1.0, cause.share):.0%} of it goes without {cause.name}. "
        text += OF_BIAS if cause.bias else OF_EMBEDDING
    return Finding("constant pattern", cause.name if cause else "output", (vertical, horizontal), (0.0, 0.0), text)


OF_BIAS = "Give it one value for all phases of a pixel, or leave it out (bias=False)."
OF_EMBEDDING = "Smooth it over positions, or train on shifted crops, so that no place can be told by it."
