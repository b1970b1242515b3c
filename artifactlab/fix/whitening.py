"""Coordinates of weights in which a least squares problem is round, so that ten steps do what hundreds do without.

Neighbouring pixels of a smooth feature map say nearly the same, so that the weights on them are hard to tell apart, and
some of a layer's channels count a hundred times as much in the output as others. Both are measured: the covariance of
what goes into a layer, and that of what a noise on the output comes back to it as. They are the two factors of the
Gauss-Newton matrix of a convolution (R. Grosse and J. Martens, "A Kronecker-factored approximate Fisher matrix for
convolution layers", ICML 2016); of other weights its diagonal is measured.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from artifactlab.errors import ModelError
from artifactlab.fix.upsample.spaces import AnyConvolution, Convolution

DAMPING = 1e-2
"""Share of the mean variance that is added to all: what varies less is left about as it is. With a thousandth, and the
ridge of `training`, four development nets came a decibel less near on average."""
LARGEST = 2304
"""Rows of a covariance, those of 256 channels of 3x3, up to which channels and taps are whitened together: to factorise
it takes a second; of 512 channels it would be ten, and there channels are whitened alone."""
PLACES = 4096
"""Places of a feature map that are looked at, at most: of a few inputs, several times as many as there are rows."""


class NoGradients(ModelError):
    """A model through which nothing can be trained."""


@dataclass(frozen=True)
class Block:
    """Weights of one layer as (rows, columns, others), with what whitens rows and columns."""

    names: tuple[str, ...]
    """A weight's name; after that of a convolution perhaps its bias, which is the last column."""
    is_transposed: bool
    """Whether the weight has its columns before its rows."""
    columns: int
    """Their number; 1 of weights that are looked at one by one."""
    left: Tensor
    """The inverse of the rows' Cholesky factor; of weights that are looked at one by one, what scales each."""
    right: Tensor | None
    """The same of the columns; None where nothing whitens them."""

    def joined(self, values: Mapping[str, Tensor]) -> Tensor:
        """The weights, or their gradients, as one tensor of (rows, columns, others)."""
        weight, *biases = (values[name].detach().float() for name in self.names)
        weight = weight.transpose(0, 1) if self.is_transposed else weight
        weight = weight.reshape(len(self.left), self.columns - len(biases), -1)
        return torch.cat([weight, *(bias[:, None, None] for bias in biases)], 1)

    def put(self, values: Mapping[str, Tensor], joined: Tensor) -> None:
        """The inverse of `joined`, in place."""
        for name in self.names[1:]:
            values[name].copy_(joined[:, -1, 0])
            joined = joined[:, :-1]
        weight = values[self.names[0]]
        target = weight.transpose(0, 1) if self.is_transposed else weight
        target.copy_(joined.reshape(target.shape))

    def change(self, place: Tensor) -> Tensor:
        """What coordinates add to the weights."""
        place = place if self.right is None else torch.einsum("rco,cd->rdo", place, self.right)
        return (
            self.left[:, None, None] * place if self.left.ndim == 1 else torch.einsum("sr,sco->rco", self.left, place)
        )

    def gradient(self, of_weights: Tensor) -> Tensor:
        """The gradient of coordinates, from that of the weights."""
        grad = of_weights if self.right is None else torch.einsum("rdo,cd->rco", of_weights, self.right)
        return self.left[:, None, None] * grad if self.left.ndim == 1 else torch.einsum("sr,rco->sco", self.left, grad)


class Whitening:
    """Coordinates of some weights, all zero for the weights as they are when it is made.

    Args:
        model: the model that the weights are of.
        weights: those that are to be found, by their qualified names.
        outputs: the model's output for some inputs, in units of its range; each is made when the last one was used.
        generator: of the noise that is sent back from the outputs.
    """

    def __init__(
        self,
        model: nn.Module,
        weights: Mapping[str, nn.Parameter],
        outputs: Iterable[Tensor],
        generator: torch.Generator,
    ) -> None:
        self.weights = weights
        self.blocks = _blocks(_looked_at(model, weights, outputs, generator), weights)
        self.starts = [block.joined(weights) for block in self.blocks]
        self.coordinates = [nn.Parameter(torch.zeros_like(start)) for start in self.starts]

    def write(self) -> None:
        """Set the weights to what the coordinates say."""
        with torch.no_grad():
            for block, start, place in zip(self.blocks, self.starts, self.coordinates, strict=True):
                block.put(self.weights, start + block.change(place))

    def read_gradients(self, ridge: float) -> float:
        """Give the coordinates the gradient that the weights have, and that of `ridge` times their square, returned."""
        found = {name: torch.zeros_like(p) if p.grad is None else p.grad for name, p in self.weights.items()}
        for block, place in zip(self.blocks, self.coordinates, strict=True):
            place.grad = block.gradient(block.joined(found)) + 2 * ridge * place.detach()
        return ridge * sum(float(place.detach().square().sum()) for place in self.coordinates)


@dataclass
class Layer:
    """What was seen at a convolution."""

    name: str
    module: AnyConvolution
    inputs: list[Tensor] = field(default_factory=list)
    """(rows, places) of each input that was looked at; a last row of ones for the bias."""
    returned: list[Tensor] = field(default_factory=list)
    """(channels, places) of what came back."""

    @property
    def has_whole_kernel(self) -> bool:
        """Whether channels and taps are whitened together."""
        taps = math.prod(self.module.kernel_size)
        return isinstance(self.module, Convolution) and self.module.in_channels * taps <= LARGEST

    def see(self, module: nn.Module, given: tuple[Any, ...], output: Tensor) -> None:
        """A forward hook."""
        if not given:
            return  # called by keyword: its weights are looked at one by one
        axes = output.ndim - 2
        x = given[0].detach().float()
        if self.has_whole_kernel:
            sizes = self.module.kernel_size
            x = nn.functional.pad(x, [size // 2 for size in reversed(sizes) for _ in range(2)])
            for axis, size in enumerate(sizes, 2):
                x = x.unfold(axis, size, 1)
        x = _thinned(x, axes)
        taps = range(2 + axes, x.ndim)
        self.inputs.append(x.permute(1, *taps, 0, *range(2, 2 + axes)).flatten(0, len(taps)).flatten(1))
        if output.requires_grad:
            output.register_hook(self._see_gradient)

    def _see_gradient(self, grad: Tensor) -> None:
        self.returned.append(_thinned(grad.float(), grad.ndim - 2).transpose(0, 1).flatten(1))


@dataclass(frozen=True)
class Look:
    """What was seen of a model."""

    layers: list[Layer]
    """Its convolutions with weights that are to be found."""
    energies: dict[str, Tensor]
    """Of each weight, the mean square over output pixels of what it adds to them."""


def _looked_at(
    model: nn.Module,
    weights: Mapping[str, nn.Parameter],
    outputs: Iterable[Tensor],
    generator: torch.Generator,
) -> Look:
    layers = [Layer(name, part) for name, part in model.named_modules() if _is_whitened(name, part, weights)]
    energies = {name: torch.zeros_like(weight, dtype=torch.float32) for name, weight in weights.items()}
    with ExitStack() as hooks:
        for layer in layers:
            hooks.callback(layer.module.register_forward_hook(layer.see).remove)
        pixels = 0
        for made in outputs:
            noise = torch.randn(made.shape, generator=generator).to(made.device)
            if not made.requires_grad:
                raise NoGradients(
                    "nothing can be trained: the model's forward runs without gradients (no_grad, or detach)"
                )
            found = torch.autograd.grad(made, list(weights.values()), noise, allow_unused=True)
            for energy, grad in zip(energies.values(), found, strict=True):
                if grad is not None:
                    energy += grad.float().square()
            pixels += made.numel()
    return Look(layers, {name: energy / pixels for name, energy in energies.items()})


def _is_whitened(name: str, part: nn.Module, weights: Mapping[str, nn.Parameter]) -> bool:
    """Whether it is an ordinary convolution whose weight is found as it is, or but for a projection."""
    return (
        isinstance(part, AnyConvolution)
        and part.groups == 1
        and max(part.dilation) == 1
        and _parameter(name, part, "weight", weights) is not None
    )


def _parameter(name: str, part: nn.Module, which: str, weights: Mapping[str, nn.Parameter]) -> str | None:
    """The name of a convolution's weight or bias among those that are found; None where none has its shape."""
    inside = f"{name}." if name else ""  # the model itself has no name
    for known in (f"{inside}{which}", f"{inside}parametrizations.{which}.original"):
        if known in weights and weights[known].shape == getattr(part, which).shape:
            return known
    return None


def _blocks(seen: Look, weights: Mapping[str, nn.Parameter]) -> list[Block]:
    blocks = []
    for layer in seen.layers:
        if not layer.returned:
            continue  # not run, or nothing comes back from it
        left = _whitening(layer.returned)
        weight, bias = (_parameter(layer.name, layer.module, which, weights) for which in ("weight", "bias"))
        assert weight is not None  # or it would not have been looked at
        names = (weight, bias) if bias is not None and layer.has_whole_kernel else (weight,)
        rows = [torch.cat([x, torch.ones_like(x[:1])]) for x in layer.inputs] if len(names) == 2 else layer.inputs
        right = _whitening(rows)
        blocks.append(Block(names, not isinstance(layer.module, Convolution), len(right), left, right))
        if bias is not None and len(names) == 1:
            blocks.append(Block((bias,), False, 1, left, None))
    known = {name for block in blocks for name in block.names}
    for name, energy in seen.energies.items():
        if name not in known:
            flat = energy.flatten()
            scale = (flat + DAMPING * flat.mean()).clamp_min(torch.finfo(torch.float32).tiny).rsqrt()
            blocks.append(Block((name,), False, 1, scale, None))
    return blocks


def _whitening(samples: Sequence[Tensor]) -> Tensor:
    """The inverse of the Cholesky factor of samples' covariance, (rows, rows); the samples are (rows, places)."""
    places = sum(part.shape[1] for part in samples)
    covariance = torch.stack([part.double() @ part.double().T for part in samples]).sum(0) / places
    # of a layer that is not seen in the output all is zero, and its inverse is one that float32 holds, lest it be NaN
    mean = covariance.diagonal().mean().clamp_min(torch.finfo(torch.float32).tiny)
    eye = torch.eye(len(covariance), dtype=torch.float64, device=covariance.device)
    factor = torch.linalg.cholesky(covariance + DAMPING * mean * eye)
    return torch.linalg.solve_triangular(factor, eye, upper=False).float()


def _thinned(x: Tensor, axes: int) -> Tensor:
    """No more than about `PLACES` of the places of (N, C, *space, ...), spread along each axis at odd distances, so
    that they are of all phases of a lattice of 2, 4 or 8."""
    space = x.shape[2 : 2 + axes]
    step = math.ceil((len(x) * math.prod(space) / PLACES) ** (1 / axes))
    for axis, size in enumerate(space, 2):
        odd = min(max(1, step + 1 - step % 2), max(1, size - 1 + size % 2))
        start = size % odd // 2 if size >= odd else 0  # so that what is left over lies at both borders
        x = x[(slice(None),) * axis + (slice(start, None, odd),)]
    return x
