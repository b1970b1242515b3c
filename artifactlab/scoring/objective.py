"""Severity as something to minimise or to attribute: differentiable, and without a gate."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from artifactlab.errors import InputError
from artifactlab.metrics.bands import SPATIAL, baseband
from artifactlab.metrics.inputs import LARGEST_PERIOD, as_lattice, as_signals, product
from artifactlab.metrics.period_reading import Forms, powers_of
from artifactlab.metrics.spectral_repair import drawn_by
from artifactlab.metrics.synchronous import SynchronousSums
from artifactlab.scoring.crops import crops_of
from artifactlab.scoring.periods import smallest_sides
from artifactlab.scoring.severity import SILENT, severity_of_crops

Periods = int | tuple[int, ...] | list[int | tuple[int, ...]]


def severity(output: Tensor, periods: Periods = 8, data_range: float = 1.0) -> Tensor:
    """How bad each image of an output is, as something to minimise or to attribute: differentiable, and without a gate.

    Its value is what `diagnose` reports: the squares of grids and stair-steps over what just shows of each, so that 1
    just shows and independent causes add up. It differs where there is doubt. A diagnosis accuses, and counts what is
    confirmed; here everything in step with the lattice counts as far as it is beyond chance, since a gate gives a faint
    artifact no gradient at all. So texture of the very same spacing counts, too, and clean images read a little more
    than 0. Nor are loud crops looked at apart from quiet ones, which a diagnosis does.

    Its gradient points along the artifact itself, as `remove_spectral_images` would take it out: what it is measured
    with (content, how far each place is trusted, chance) is taken as given. So nothing can be gained by sharper edges
    or by noise that hides a grid, content is neither blurred nor sharpened, and descent takes an artifact away
    everywhere and not only in the quiet places where it is measured best. Of a grid that is as strong everywhere, as an
    upsampler's is, it is the derivative; of stair-steps it is up to a half larger, as edges are content, too. What
    integrates it (integrated gradients) adds up exactly only between images of the same content. There are no second
    derivatives.

    Args:
        output: (N, C, H, W), (N, C, L) or (N, C, D, H, W); half precision is measured in float32, and float64 in
            float64.
        periods: lattice spacings in samples, whose divisors count, too: a number, a tuple with one per axis such as
            (vertical, horizontal), or a list of them, which stands for the smallest lattice that holds them all. The
            default finds what up to three layers leave that double the size, 2, 4 and 8; `Site.period` says that of a
            layer.
        data_range: distance between the darkest and the brightest possible value.

    Returns:
        (N,), at least 0, as captum expects of a forward function; take its mean for a training loop.

    Raises:
        InputError: if `output` is no finite tensor of that kind, an argument is out of range, or it is too small for
            the periods: they take 4 periods and 16 samples a side, which is 48 pixels for the default.

    >>> import torch
    >>> board = 0.02 * (-1.0) ** (torch.arange(64)[:, None] + torch.arange(64))
    >>> image = (0.5 + board[None, None]).requires_grad_()
    >>> value = severity(image, periods=2)
    >>> round(float(value.detach()))
    6
    >>> value.sum().backward()
    >>> bool(torch.equal(image.grad[0, 0].sign(), board.sign()))
    True
    """
    as_signals(output, data_range)
    period = _joint_lattice(periods, output.shape[SPATIAL:])
    images = output if output.dtype == torch.float64 else output.float()
    return differentiable_severity(images / data_range, period, torch.eye(len(images)))


def differentiable_severity(
    images: Tensor, period: Sequence[int], groups: Tensor, counted: Mapping[int, Forms] | None = None
) -> Tensor:
    """Severity (R,) of R groups of images of data range 1, given as counts (R, N), with the gradient of `severity`.

    By default everything beyond chance counts; `counted` says at each period, (R,), which forms do.
    """
    with torch.no_grad():
        measured, groups = images.detach(), groups.to(images)
        crops = severity_of_crops(crops_of(measured, period), period)
        of_crops = groups.repeat(1, crops.crops // len(images))
        value, gradient = images.new_zeros(len(groups)), torch.zeros_like(measured)
        for p, sums in crops.sums.items():
            relations = sums.pooled(of_crops)
            power, moved = powers_of(relations, SynchronousSums.beyond_chance)
            limits = crops.limits(p, power, moved, of_crops)
            parts = drawn_by(measured, relations.pooled(groups.T), period, p)
            for form, part in zip(Forms._fields, parts, strict=True):
                strength = getattr(power, form) / getattr(limits, form)
                strength = strength if counted is None else strength * getattr(counted[p], form)
                value += strength
                energy = product(groups, part.square().flatten(1).sum(1)).clamp_min(SILENT)
                above = part - baseband(part, p)  # what a pattern has in common with content stays
                gradient += above.mul_(_per_image(product(2 * strength / energy, groups), part))
    # adds nothing to the value, and gives it the gradient
    return value + product(groups, (gradient * (images - measured)).flatten(1).sum(1))


def _per_image(values: Tensor, like: Tensor) -> Tensor:
    """(N,) values to multiply images with."""
    return values.view(-1, *[1] * (like.ndim - 1))


def _joint_lattice(periods: Periods, size: Sequence[int]) -> tuple[int, ...]:
    """The smallest lattice that holds all `periods`; an InputError where an image of `size` does not hold it."""
    given = periods if isinstance(periods, list) else [periods]
    lattices = [as_lattice(period, len(size)) for period in given]
    wanted = tuple(math.lcm(*along) for along in zip(*lattices, strict=True))
    if not lattices or max(wanted) == 1:
        raise InputError(f"periods must be lattice spacings of 2 or more pixels, such as 4 or [2, 3], got {periods!r}")
    if max(wanted) > LARGEST_PERIOD:
        raise InputError(
            f"periods {periods!r} meet every {max(wanted)} pixels only; measure them apart and add them up"
        )
    sides = smallest_sides(wanted, size)
    if any(side > length for side, length in zip(sides, size, strict=True)):
        raise InputError(
            f"an image of {_times(size)} pixels is too small to measure periods {periods!r}, which takes"
            f" {_times(sides)}; give larger images, or a smaller period"
        )
    return wanted


def _times(sides: Sequence[int]) -> str:
    return "x".join(map(str, sides))
