"""Jobs to rows, kept in memory or in a store."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace

from artifactlab.scoring.engines import Engine
from artifactlab.scoring.rows import Job
from artifactlab.scoring.score_report import ImageScore
from artifactlab.scoring.store import Store

Progress = Callable[[int, int], None]
"""Takes images done, and images in all."""


def scored_in_memory(engine: Engine, jobs: Sequence[Job], workers: int, progress: Progress) -> tuple[ImageScore, ...]:
    """The rows of jobs, in their order."""
    found: dict[int, ImageScore] = {}
    with engine(jobs, workers) as rows:
        for number, image in rows:
            found[number] = image
            progress(len(found), len(jobs))
    return tuple(found[number] for number in range(len(jobs)))


def scored_into(
    store: Store, engine: Engine, jobs: Sequence[Job], workers: int, progress: Progress, resume: bool
) -> Sequence[ImageScore]:
    """The same rows, each added to a store as soon as it is there, and read from it when it is looked at.

    Args:
        store: where they are added; it is closed.
        engine: what makes them.
        jobs: what to score.
        workers: processes at most.
        progress: is told of rows that were there, too.
        resume: leave out what the store has, see `Store.kept`.

    Raises:
        InputError: if the store cannot be written; what was added to it is kept.
    """
    store.prepare()
    places = array("Q", bytes(8 * len(jobs)))
    numbers = array("Q")  # of the jobs that are scored, among all
    done = 0

    def told(number: int, place: int) -> None:
        nonlocal done
        done += 1
        places[number] = place
        progress(done, len(jobs))

    def missing() -> Iterator[Job]:
        known = store.kept(jobs) if resume else ((job, None) for job in jobs)
        for number, (job, place) in enumerate(known):
            if place is None:
                numbers.append(number)
                yield replace(job, digested=True)
            else:
                told(number, place)

    with closing(store), engine(missing(), workers) as rows:
        for number, image in rows:
            told(numbers[number], store.append(image))
    return store.images(places)
