"""Rows made on a cluster, by Ray Data: the same function in actors of one core each, so the same numbers to the bit.

What is Ray's to do: where actors run, starting them again, and trying the batch of one that died once more, as machines
that are taken away mean none of its images. A batch that is lost even so is tried image by image, alone, so that the
one that kills whoever opens it is a row with an error, and its neighbours are rows.
"""

from __future__ import annotations

import logging
import os
import pickle
import warnings
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from typing import Any

import numpy as np
import torch

from artifactlab.errors import ArtifactLabError, InputError, first_line
from artifactlab.scoring.rows import Job, lost, not_run, scored
from artifactlab.scoring.score_report import ImageScore
from artifactlab.scoring.workers import usable_cores

BATCH = 16
"""Images that an actor gets at a time: a batch costs some ten milliseconds, an image some hundred."""
BATCHES_EACH = 4
"""Batches per worker at least, so that none waits for the last one long."""
RETRIES = 1
"""How often Ray tries a batch again whose actor has died."""
STORE = 256 * 2**20
"""Bytes of the shared memory of a cluster that is ours: jobs and rows are some hundred bytes each."""
QUIET = ("ray", "ray.data")
"""Loggers that say how Ray works; what became of the images, rows say."""
Batch = Mapping[str, Any]
"""Columns of numbers and of pickled jobs or rows."""


class Scorer:
    """What an actor does: score batches, on one thread, in the folder that relative paths are meant from."""

    def __init__(self, folder: str) -> None:
        with suppress(OSError):  # a machine without that folder has none of its files, either, as their rows say
            os.chdir(folder)
        torch.set_num_threads(1)

    def __call__(self, batch: Batch) -> dict[str, Any]:
        """The rows of a batch of jobs."""
        rows = [pickle.dumps(scored(pickle.loads(job))) for job in batch["job"]]
        return {"number": batch["number"], "row": np.array(rows, object)}


@contextmanager
def on_ray(jobs: Iterable[Job], workers: int, address: str | None = None) -> Iterator[Iterator[tuple[int, ImageScore]]]:
    """Rows made by Ray Data, see `artifactlab.scoring.engines.Engine`.

    Args:
        jobs: what is to be measured.
        workers: actors, of one core each, at most as many as the cluster has cores.
        address: of a cluster that runs, as `ray.init` takes it; None for the one that this process is connected to,
            that of the environment's RAY_ADDRESS, or else for one on this machine that ends with the context.

    Raises:
        InputError: if ray is not installed.
        ArtifactLabError: if the cluster cannot be reached, or the work cannot be done there.
    """
    ray = _ray()
    jobs = list(jobs)  # Ray Data counts them to share them out
    # the rows are closed first: in a cluster that goes on, that ends their actors
    with _connected(ray, address, min(workers, len(jobs))), _quiet(), closing(_rows(ray, jobs, workers)) as rows:
        yield enumerate(rows)


def _ray() -> Any:
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise InputError(f"--engine ray needs ray: pip install 'artifactlab[ray]' ({first_line(error)})") from error
    return ray


@contextmanager
def _connected(ray: Any, address: str | None, workers: int) -> Iterator[None]:
    """In a cluster: one that is left as it was found, or one on this machine, which is ended."""
    if ray.is_initialized():
        if address is not None:
            raise InputError(f"this process is connected to a cluster already; leave out the address {address!r}")
        yield
        return
    theirs = address or os.environ.get("RAY_ADDRESS")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nobody asked us to tell
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # it writes to stderr past Python's loggers
    ours = {"num_cpus": min(workers, usable_cores()), "object_store_memory": STORE, "include_dashboard": False}
    try:
        ray.init(theirs or "local", logging_level=logging.ERROR, log_to_driver=False, **({} if theirs else ours))
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        where = f"reach the cluster {theirs!r}" if theirs else "start Ray on this machine"
        raise ArtifactLabError(f"cannot {where}: {first_line(error)}") from error
    try:
        yield
    finally:
        ray.shutdown()  # ends what `init` has started: processes, or nothing but the connection


@contextmanager
def _quiet() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in QUIET]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _rows(ray: Any, jobs: Sequence[Job], workers: int) -> Generator[ImageScore, None, None]:
    """In the order of the jobs; where numbers are missing, Ray has lost a batch."""
    expected = 0
    for number, row in _streamed(ray, jobs, workers):
        for missing in range(expected, number):
            yield _alone(ray, jobs[missing])
        yield row
        expected = number + 1
    for missing in range(expected, len(jobs)):
        yield _alone(ray, jobs[missing])


def _streamed(ray: Any, jobs: Sequence[Job], workers: int) -> Iterator[tuple[int, ImageScore]]:
    """Numbers of jobs and their rows, as they are done, in order, but for what was lost."""
    cores = max(1, int(ray.cluster_resources().get("CPU", 1)))
    actors = min(workers, cores, len(jobs))
    size = max(1, min(BATCH, len(jobs) // (actors * BATCHES_EACH)))
    items = [{"number": number, "job": pickle.dumps(job)} for number, job in enumerate(jobs)]
    with ray.data.DataContext.current(_context(ray)):  # data sets keep what they are made in
        batches = ray.data.from_items(items, override_num_blocks=-(-len(jobs) // size))
        rows = _mapped(batches, ray.data.ActorPoolStrategy(size=actors))
    try:
        for batch in rows.iter_batches(batch_size=None, batch_format="numpy"):
            for number, row in zip(batch["number"], batch["row"], strict=True):
                yield int(number), pickle.loads(row)
    except ray.exceptions.RayError as error:
        raise ArtifactLabError(f"Ray cannot go on: {first_line(error)}") from error


def _mapped(batches: Any, actors: Any) -> Any:
    with warnings.catch_warnings():
        # the last two arguments leave Ray 2.64, which says with no word how a batch is to be given up then; without
        # them an image that kills its actor is tried for ever (hence the bound in setup.cfg)
        warnings.filterwarnings("ignore", "`ray_remote_args` is deprecated")
        return batches.map_batches(
            Scorer,
            fn_constructor_args=(os.getcwd(),),
            batch_size=None,
            batch_format="numpy",
            compute=actors,
            num_cpus=1,
            max_restarts=-1,
            max_task_retries=RETRIES,
        )


def _context(ray: Any) -> Any:
    """Ray Data's settings for our work alone: in order, whatever dies, and without a word."""
    context = ray.data.DataContext.get_current().copy()
    context.execution_options.preserve_order = True
    context.max_errored_blocks = -1
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    return context


def _alone(ray: Any, job: Job) -> ImageScore:
    """The row of an image of a lost batch, tried once by itself; it asks for no core, as actors hold them all."""
    task = ray.remote(num_cpus=0, max_retries=0)(_scored_in)
    try:
        return pickle.loads(ray.get(task.remote(os.getcwd(), pickle.dumps(job))))
    except ray.exceptions.RayTaskError as error:  # nothing died: a package that this machine lacks, say
        return not_run(job, error.cause)
    except ray.exceptions.RayError:
        return lost(job)


def _scored_in(folder: str, job: bytes) -> bytes:
    (row,) = Scorer(folder)({"number": [0], "job": [job]})["row"]
    return row
