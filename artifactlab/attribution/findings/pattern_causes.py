"""Which parameter draws a constant pattern: those that could are set to zero in turn, while the model runs.

Which one it is cannot be read off activations, where embeddings and biases of all layers mix. See docs/decisions.md,
"A constant pattern stands on constant inputs".
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from artifactlab.attribution.findings.phase_patterns import Lattice, phase_pattern, rms
from artifactlab.attribution.sites.visits import Visit
from artifactlab.attribution.sites.watch import watch
from artifactlab.models.calls import Call
from artifactlab.models.runner import Runner
from artifactlab.models.torch_internals import own_buffers, own_parameters
from artifactlab.scoring.periods import lattice_period

MOST_TRIED = 8
"""Most parameters that are set to zero, at a forward pass each, which bounds what this costs."""
NAMED = 0.5
"""Share of the pattern that must go without a parameter, so that it is named: without half of it, no other parameter
draws more."""
LOCKED = 0.1
"""Share of the power of a site's variation on a constant input that its own lattice holds at least, where it draws one;
padding draws the rest."""
FAINT = 1e-3
"""Share of a site's size that its lattice has at least, where it is no rounding; half precision rounds to 5e-4."""
SMALLEST_MAP = 8
"""Fewest positions per side of a spatial parameter that is an embedding; smaller ones are kernels."""


@dataclass(frozen=True)
class Cause:
    """The parameter that draws a pattern."""

    name: str
    """Qualified name of the parameter."""
    share: float
    """Share of the pattern that goes when the parameter is set to zero."""
    bias: bool
    """Whether it is a bias; it is an embedding otherwise."""


def run_with_biases(runner: Runner, call: Call) -> tuple[Tensor, list[str]]:
    """The output on a constant input, and the biases behind each site that has a lattice then, in the order they run.

    These are the biases of the module that makes the call, and of the one with parameters that ran before it, as before
    a shuffle. A transposed convolution has none that could draw a grid.
    """
    names = {module: name for name, module in runner.model.named_modules()}
    last, biases = [runner.model], dict[str, None]()

    def ran(module: nn.Module, args: Any, output: Any) -> None:
        last[0] = module

    def collect(visit: Visit) -> None:
        # one value for all phases, before and after: its kernel draws the grid
        if visit.key.op.startswith("conv_transpose"):
            return
        if _has_lattice(visit.growth.output.detach(), lattice_period(visit.growth.scale)):
            for owner in (runner.model.get_submodule(visit.key.name), last[0]):
                added = (name for name, p in own_parameters(owner).items() if _is_bias(name, p))
                biases.update(dict.fromkeys(_joined(names[owner], name) for name in added))

    with ExitStack() as stack:
        for module in names:
            if own_parameters(module) and not isinstance(module, torch.jit.ScriptModule):
                stack.callback(module.register_forward_hook(ran).remove)
        stack.enter_context(watch(runner.model, collect))
        return runner.run(call).cpu(), list(biases)


def _is_bias(name: str, parameter: Tensor | None) -> bool:
    """Whether a parameter is one value per channel that is added; those of a norm or a PReLU multiply."""
    return parameter is not None and parameter.ndim == 1 and name != "weight"


def _has_lattice(activation: Tensor, lattice: Lattice) -> bool:
    """Whether an activation that has no content varies with the phase of a lattice."""
    if max(lattice) == 1 or any(size < 2 * period for size, period in zip(activation.shape[2:], lattice, strict=True)):
        return False
    middle = activation.float()
    for axis, size in enumerate(activation.shape[2:], 2):
        middle = middle.narrow(axis, size // 4, size - 2 * (size // 4))
    whole, varies = rms(middle), rms(middle - middle.mean(tuple(range(2, middle.ndim)), keepdim=True))
    pattern = rms(phase_pattern(activation, lattice))
    return pattern >= FAINT * whole and pattern**2 >= LOCKED * varies**2 and pattern > 0


def find_cause(runner: Runner, call: Call, output: Tensor, lattice: Lattice, biases: Sequence[str]) -> Cause | None:
    """The bias, or embedding of positions, without which most of the pattern goes that an output has."""
    pattern = phase_pattern(output, lattice)
    embeddings = [name for name, tensor in _named_tensors(runner.model) if _is_map(tensor, output)]
    tried = []
    for name in [*biases, *embeddings][:MOST_TRIED]:
        with _without(runner.model, name):
            remaining = phase_pattern(runner.run(call).cpu(), lattice)
        share = 1 - float((remaining * pattern).sum() / pattern.square().sum())
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
    sides = _covering(output.shape[2:])
    as_map = next((side for side in sides if tensor.ndim > len(side) and tensor.shape[-len(side) :] == side), None)
    if as_map:
        return min(as_map[-2:]) >= SMALLEST_MAP
    return any(tensor.shape[-2] - extra in set(map(math.prod, sides)) for extra in (0, 1))  # one may be a class token


def _covering(size: Sequence[int]) -> set[tuple[int, ...]]:
    """Sides of the grids of square cells that cover an output; with its frames, or fewer by a factor, as well."""
    ratios = [r for r in range(1, min(size[-2:]) // 2 + 1) if all(side % r == 0 for side in size[-2:])]
    planes = {tuple(side // r for side in size[-2:]) for r in ratios}
    if len(size) < 3:
        return planes
    frames = [size[0] // r for r in range(1, size[0] + 1) if size[0] % r == 0]
    return planes | {(count, *plane) for count in frames for plane in planes}


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
