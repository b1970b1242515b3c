"""Where rows are made: in this process, or in several that may die. The numbers are the same to the bit.

A package of one file adds an engine by an entry point of the group `artifactlab.engines`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from itertools import chain, islice
from typing import Protocol

import torch

from artifactlab.errors import InputError
from artifactlab.registry import Registry
from artifactlab.scoring.rows import Job, lost, scored
from artifactlab.scoring.score_report import ImageScore
from artifactlab.scoring.workers import map_in_processes, usable_cores


class Engine(Protocol):
    """What makes the rows of jobs."""

    def __call__(self, jobs: Iterable[Job], workers: int) -> AbstractContextManager[Iterator[tuple[int, ImageScore]]]:
        """Each job's place and its row, as they come, by at most that many workers; leaving the context ends these.

        As they come, and not in order: what is made and not handed on is lost where this process is killed. Jobs are
        taken as workers get free; there may be millions, and those that need not be scored are left out meanwhile.
        """


ENGINES: Registry[Engine] = Registry("artifactlab.engines")
"""All engines by the names that `--engine` takes; those above this room are announced in `artifactlab/__init__.py`."""


def engine_of(engine: str | Engine) -> Engine:
    """The engine of a name; an engine itself is kept.

    Raises:
        InputError: if there is none of that name.
    """
    if not isinstance(engine, str):
        return engine
    if engine not in ENGINES:
        raise InputError(f"unknown engine {engine!r}; known are {', '.join(ENGINES)}")
    return ENGINES[engine]


@contextmanager
def on_this_machine(jobs: Iterable[Job], workers: int) -> Iterator[Iterator[tuple[int, ImageScore]]]:
    """Rows made here or in worker processes, with one torch thread each, so that the sums are the same."""
    waiting = iter(jobs)
    first = list(islice(waiting, min(workers, usable_cores())))  # there may be fewer of them than workers
    every = chain(first, waiting)
    if len(first) > 1:
        with closing(map_in_processes(scored, every, len(first), lost)) as rows:
            yield rows
        return
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield enumerate(map(scored, every))
    finally:
        torch.set_num_threads(threads)


ENGINES.register("processes", on_this_machine)
