"""Draw more inputs until a verdict is sure, or the time is over."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

from artifactlab.attribution.records import SiteDiagnosis
from artifactlab.attribution.verdicts import LARGE_SHARE
from artifactlab.errors import InputError
from artifactlab.models.batches import inputs_of, is_loader, refuse_batch
from artifactlab.scoring.severity import VISIBLE

now = time.monotonic
"""Seconds since some moment; tests have a clock of their own."""


class OutOfTime(Exception):
    """Raised where the next forward pass would begin after the end. Never leaves the package."""


class Deadline:
    """A time by which no further forward pass is to begin.

    Raises:
        InputError: if seconds are no positive number.
    """

    def __init__(self, seconds: float) -> None:
        if not (isinstance(seconds, (int, float)) and math.isfinite(seconds) and seconds > 0):
            raise InputError(f"until_sure must be a positive number of seconds, got {seconds!r}")
        self.seconds = seconds
        self._end = now() + seconds

    @property
    def over(self) -> bool:
        """Whether it has passed."""
        return now() >= self._end

    def check(self) -> None:
        """Raise `OutOfTime` where it has passed."""
        if self.over:
            raise OutOfTime


def first_and_more(inputs: Any) -> tuple[Any, Iterator[Any]]:
    """The input that is diagnosed in any case, and those that may be drawn.

    Raises:
        InputError: if there is not one, or if they are the batch `[x, y]` of a DataLoader.
    """
    if is_loader(inputs):
        inputs = inputs_of(inputs)
    elif isinstance(inputs, list):
        refuse_batch(inputs)
    if not isinstance(inputs, (list, Iterator)):
        return inputs, iter(())
    more = iter(inputs)
    first = list(islice(more, 1))
    if not first:
        raise InputError("got no inputs: the list or iterator to draw them from is empty")
    return first, more


def extend(
    deadline: Deadline, more: Iterator[Any], drawn: int, is_sure: Callable[[], bool], add: Callable[[list[Any]], None]
) -> str:
    """Add inputs until the verdict is sure; half as many again each time, as judging anew costs as much as there is.

    See docs/decisions.md, "Until it is sure, half as many again each time".

    Args:
        deadline: after it no pass begins.
        more: where inputs are drawn from.
        drawn: number of inputs that were diagnosed already.
        is_sure: says whether the verdict is sure.
        add: takes inputs and judges anew. Where `OutOfTime` is raised in it, its judgement stays as it was.

    Returns:
        How it ended, as a sentence.
    """
    while not is_sure():
        if deadline.over:
            return f" {_inputs(drawn)} taken; the {deadline.seconds:g} s were over before the verdict was sure."
        batch = list(islice(more, math.ceil(drawn / 2)))
        if not batch:
            return f" {_inputs(drawn)} taken; there were no more, and the verdict is not sure."
        try:
            add(batch)
        except OutOfTime:
            continue
        drawn += len(batch)
    return f" {_inputs(drawn)} taken until the verdict was sure."


def is_sure(sites: tuple[SiteDiagnosis, ...], severity: float, content_wanted: float) -> bool:
    """Whether more inputs would no longer change a verdict.

    A verdict is sure where a site is guilty, which takes an interval above zero; where the output is clean and nothing
    that shows could hide in it; and where surely no site causes what shows.
    """
    if any(site.verdict == "offender" for site in sites):
        return True
    if severity < VISIBLE:
        return content_wanted <= 1
    return all(site.effect.high is not None and site.effect.high < LARGE_SHARE * severity for site in sites)


def _inputs(count: int) -> str:
    return "1 input was" if count == 1 else f"{count} inputs were"


@contextmanager
def enforced(deadline: Deadline, runner: Any) -> Iterator[None]:
    """A context in which no pass of a runner begins after the deadline: `OutOfTime` is raised instead."""
    runner.before_each = deadline.check
    try:
        yield
    finally:
        runner.before_each = None
