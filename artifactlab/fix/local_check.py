"""What a fix does in places: windows of outputs in which a lattice stays or comes up, where the mean shows none."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from artifactlab.attribution.artifact_words import DIRECTIONS, words_for
from artifactlab.fix.may_stay import Change, came_up, may_stay, stays
from artifactlab.inputs.images import luma
from artifactlab.metrics.local_screening import WINDOW, suspicious_windows
from artifactlab.scoring.worst_window import MOST, forms_in_windows


@dataclass(frozen=True)
class WindowChange:
    """One form of artifact in one window of the outputs."""

    output: int
    """The number of the output, from 0 on; the images of batches count one by one."""
    top: int
    """Row of the window's first pixel."""
    left: int
    """Column of its first pixel."""
    side: int
    """Pixels per side."""
    form: str
    """`grid` or `stair-steps`."""
    severity: Change
    """Its severity there, before and after; 1 just shows."""

    def __str__(self) -> str:
        before, after = self.severity
        side, number = f"{self.side} x {self.side} pixels", self.output + 1
        return f"{before:.2f} -> {after:.2f} in {side} at row {self.top}, column {self.left} of output {number}"


class LocalCheck(NamedTuple):
    """What windows say of a fix."""

    worst: Change | None
    """Severity of the worst window before, and of the worst after; None where outputs are no images of that size."""
    against: WindowChange | None
    """The window where most of a lattice that shows stays or came up; None where none does."""


def check_windows(
    before: Sequence[Tensor],
    after: Sequence[Tensor],
    repaired: Sequence[Tensor] | None,
    data_range: float,
    of_others: Container[str] = (),
) -> LocalCheck:
    """Compare outputs window by window, wherever a lattice may stand before or after, each form by itself.

    Args:
        before, after: outputs of the old model and of the new one.
        repaired: those of the old model with its sites repaired, which say what a cure leaves; None if nobody knows.
        data_range: of all of them.
        of_others: names of the forms that others than the sites draw, as all outputs together tell.

    >>> flat = torch.full((1, 1, 128, 128), 0.5)
    >>> spot = flat.clone()
    >>> spot[..., 32:96, 64:128] += 0.02 * (-1.0) ** (torch.arange(64)[:, None] + torch.arange(64))
    >>> found = check_windows([flat], [spot], [flat], 1.0)
    >>> found.against.form, found.against.top, found.against.left, found.worst[0]
    ('grid', 32, 64, 0.0)
    """
    if before[0].ndim != 4 or min(min(image.shape[2:]) for image in before) < WINDOW:
        return LocalCheck(None, None)
    worst, against = (0.0, 0.0), None
    words = words_for(DIRECTIONS[2])
    for number, images in enumerate(_singly(before, after, *([repaired] if repaired else []), data_range=data_range)):
        suspects = [one.place for image in images[:2] for one in suspicious_windows(_gray(image), MOST)]
        places = list(dict.fromkeys(suspects))
        if not places:
            continue
        read = [forms_in_windows(_cut(image, places)) for image in images]
        totals = [max(map(sum, zip(*forms, strict=True))) for forms in read[:2]]
        worst = max(worst[0], totals[0]), max(worst[1], totals[1])
        for form, name in enumerate((words.level, words.steps)):
            for window, (top, left) in enumerate(places):
                old, new, *repairs = (forms[form][window] for forms in read)
                excused = may_stay(old, repairs[0], name in of_others) if repairs else 0.0
                if (stays(new, excused) or came_up(old, new, excused)) and (not against or new > against.severity[1]):
                    against = WindowChange(number, top, left, WINDOW, name, (old, new))
    return LocalCheck(worst, against)


def _singly(*outputs: Sequence[Tensor], data_range: float) -> Iterator[list[Tensor]]:
    """The images of all outputs one by one, of data range 1, those of one input together."""
    for batches in zip(*outputs, strict=True):
        yield from (list(images) for images in zip(*((batch / data_range).split(1) for batch in batches), strict=True))


def _gray(image: Tensor) -> Tensor:
    """What is looked at to find windows: the luma of colours, the mean of anything else."""
    return luma(image) if image.shape[1] == 3 else image.mean(1, keepdim=True)


def _cut(image: Tensor, places: Iterable[tuple[int, int]]) -> Tensor:
    return torch.cat([image[..., top : top + WINDOW, left : left + WINDOW] for top, left in places])
