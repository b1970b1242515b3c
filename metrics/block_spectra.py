"""Spectra of blocks at the frequencies of lattices: a few frequencies, so that small matrix products beat an FFT.

What is to be read at many periods is read in one go: the first axis is multiplied once, by all their waves.
"""

from __future__ import annotations

import functools
import itertools
import math
import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

from artifactlab.metrics.bands import SPATIAL

F = TypeVar("F", bound=Callable[..., Any])
Frequencies = tuple[tuple[int, ...], ...]
Lattice = tuple[tuple[int, ...], int]
"""The spacing along each axis, and the period at whose own frequencies it is measured."""
Plan = tuple[Lattice, ...]
"""Lattices whose spectra are taken in one go."""


def constant(function: F) -> F:
    """Keep what a function of numbers returns, and make it outside of inference mode: gradients may need it later."""
    known = functools.lru_cache(maxsize=256)(function)

    @functools.wraps(function)
    def made(*numbers: Any) -> Any:
        with torch.inference_mode(False):
            return known(*numbers)

    return cast(F, made)


@functools.cache
def own_frequencies(folds: tuple[int, ...], period: int) -> tuple[Frequencies, tuple[int, ...]]:
    """Indices k of the frequencies k / folds that repeat after `period`, one of k and -k; and their multiplicities.

    A multiplicity of 2 stands for a frequency and its conjugate, 1 for one that is its own conjugate.
    """
    own, multiplicities = [], []
    for k in itertools.product(*(range(fold) for fold in folds)):
        repeats = math.lcm(*(fold // math.gcd(i, fold) for i, fold in zip(k, folds, strict=True)))
        opposite = tuple(-i % fold for i, fold in zip(k, folds, strict=True))
        if repeats == period and k <= opposite:
            own.append(k)
            multiplicities.append(1 if k == opposite else 2)
    return tuple(own), tuple(multiplicities)


def block_spectra(
    strips: Iterable[Tensor], lattices: Sequence[Lattice], origin: Sequence[int]
) -> tuple[Tensor, Callable[[], Tensor]]:
    """`(N, C, *blocks, frequencies)` complex: each block's sums, turned by the phase of a sample in the whole image.

    Args:
        strips: `blocks` of images, `(N, C, blocks, side, blocks, side, ...)`, real; of all, or strip by strip along
            the first axis.
        lattices: their own frequencies, one lattice's behind the other's.
        origin: place of the first sample in the whole image, along each axis.

    Returns:
        The spectra, and a function that gives the power in step with each lattice, `(N, C, *blocks, lattices)`: squares
        at all of its frequencies, those of shorter periods and none among them.
    """
    plan = tuple(lattices)
    parts: list[list[Tensor]] = [[] for _ in plan]
    sides: Sequence[int] = ()
    for strip in strips:
        sides = strip.shape[SPATIAL + 1 :: 2]
        for part, spectrum in zip(parts, _of_strip(strip, plan, sides), strict=True):
            part.append(spectrum)
    in_step = [_joined_spectrum(part, len(sides)) for part in parts]
    own = [
        spectrum.index_select(-1, places.to(spectrum.device))
        for spectrum, places in zip(in_step, _places(plan)[1], strict=True)
    ]
    spectra = torch.complex(*(torch.cat(own, -1) if len(own) > 1 else own[0]))
    for axis, side in enumerate(sides):
        turns = _turns(plan, axis, spectra.shape[SPATIAL + axis], side, origin[axis]).to(spectra)
        spectra = spectra * turns.view(*[-1 if a == axis else 1 for a in range(len(sides))], turns.shape[1])

    def power_in_step() -> Tensor:
        powers = []
        for (folds, _), spectrum in zip(plan, in_step, strict=True):
            count = _first_counts(folds).to(spectrum)
            powers.append((spectrum.detach().square() @ count).sum(0))
        return torch.stack(powers, -1)

    return spectra, power_in_step


def _joined_spectrum(strips: Sequence[Tensor], axes: int) -> Tensor:
    """`(2, N, C, *blocks, frequencies)`: real and imaginary parts of one lattice's spectra, see `_of_strip`."""
    spectrum = torch.cat(list(strips), SPATIAL) if len(strips) > 1 else strips[0]
    parts = _turned(spectrum) if axes > 1 else spectrum.unbind(SPATIAL + 1)
    # (N, C, block, k, block, k, ...) -> (N, C, *blocks, k, k, ...)
    order = [0, 1, *(SPATIAL + 2 * axis for axis in range(axes)), *(SPATIAL + 1 + 2 * axis for axis in range(axes))]
    return torch.stack([part.permute(order) for part in parts]).flatten(SPATIAL + axes + 1)


def _of_strip(parts: Tensor, plan: Plan, sides: Sequence[int]) -> Iterator[Tensor]:
    """Of each lattice, `(N, C, block, 2, k, block, k, ..., 2, k)`: cosines and sines of cosines and sines.

    Those of the last axis are put together when all strips are known.
    """
    waves = _first_waves(plan, sides[0]).to(parts)
    rows = waves @ parts.flatten(SPATIAL + 2) if len(sides) > 1 else parts @ waves.T
    rows = rows.view(*parts.shape[: SPATIAL + 1], 2, len(waves) // 2, *parts.shape[SPATIAL + 2 :])
    for (folds, _), first in zip(plan, _places(plan)[0], strict=True):
        spectrum = rows.index_select(SPATIAL + 2, first.to(rows.device)) if len(plan) > 1 else rows
        for axis, fold, side in zip(range(1, len(sides)), folds[1:], sides[1:], strict=True):
            place = SPATIAL + 2 + 2 * axis  # of this axis's samples
            if axis > 1:
                spectrum = torch.stack(_turned(spectrum), SPATIAL + 1).movedim(-1, place - 2)
            spectrum = spectrum if place == spectrum.ndim - 1 else spectrum.movedim(place, -1)
            spectrum = (spectrum @ _waves(fold, side).to(spectrum).T).unflatten(-1, (2, fold))
        yield spectrum


def _turned(spectrum: Tensor) -> tuple[Tensor, Tensor]:
    """Real and imaginary parts: the last axis's cosines and sines are of what was cosines and sines before."""
    real, imaginary = spectrum.unbind(SPATIAL + 1)
    return real[..., 0, :] - imaginary[..., 1, :], real[..., 1, :] + imaginary[..., 0, :]


@constant
def _first_counts(folds: tuple[int, ...]) -> Tensor:
    """For how many frequencies each stands, of all with up to half a cycle along the first axis."""
    first = [1 if 2 * k % folds[0] == 0 else 2 for k in range(folds[0] // 2 + 1)]
    return torch.tensor(first).repeat_interleave(math.prod(folds[1:]))


@constant
def _first_fractions(plan: Plan) -> tuple[Fraction, ...]:
    """All frequencies up to a half that a first axis is needed at."""
    return tuple(sorted({Fraction(k, folds[0]) for folds, _ in plan for k in range(folds[0] // 2 + 1)}))


@constant
def _places(plan: Plan) -> tuple[list[Tensor], list[Tensor]]:
    """Of each lattice's frequencies: those of its first axis among all such, and its own among its flattened ones."""
    fractions = _first_fractions(plan)
    first, own = [], []
    for folds, period in plan:
        along_first = [Fraction(k, folds[0]) for k in range(folds[0] // 2 + 1)]
        first.append(torch.tensor([fractions.index(fraction) for fraction in along_first]))
        strides = [math.prod(folds[axis + 1 :]) for axis in range(len(folds))]
        own.append(torch.tensor([sum(map(operator.mul, k, strides)) for k in own_frequencies(folds, period)[0]]))
    return first, own


@constant
def _first_waves(plan: Plan, side: int) -> Tensor:
    """`(2 frequencies, side)`: cosines and negative sines from a block's first sample on."""
    return _cosines_and_sines([float(fraction) for fraction in _first_fractions(plan)], side)


@constant
def _waves(fold: int, side: int) -> Tensor:
    """Likewise, at all frequencies of a further axis."""
    return _cosines_and_sines([k / fold for k in range(fold)], side)


def _cosines_and_sines(frequencies: Sequence[float], side: int) -> Tensor:
    """`(2 frequencies, side)`: cosines, then negative sines, of cycles per sample."""
    cycles = torch.tensor(frequencies, dtype=torch.float64)[:, None] * torch.arange(side)
    turn = -2 * math.pi * cycles
    return torch.cat([turn.cos(), turn.sin()])


@constant
def _turns(plan: Plan, axis: int, count: int, side: int, start: int) -> Tensor:
    """`(blocks, frequencies)`: the phase at the first sample of each block."""
    at = [k[axis] / folds[axis] for folds, period in plan for k in own_frequencies(folds, period)[0]]
    cycles = (start + side * torch.arange(count, dtype=torch.float64))[:, None] * torch.tensor(at, dtype=torch.float64)
    turn = -2 * math.pi * cycles
    return torch.polar(torch.ones_like(turn), turn)
