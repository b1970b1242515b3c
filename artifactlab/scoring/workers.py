"""Work in several processes that may be killed, without losing what the others do, and that outlive nobody."""

from __future__ import annotations

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import connection, get_context, parent_process, resource_tracker
from typing import Any, Generic, TypeVar

import torch

from artifactlab.errors import ArtifactLabError

Job = TypeVar("Job")
Result = TypeVar("Result")

WAKE_EVERY = 1.0
"""Seconds after which a wait for results looks up: where Ctrl-C met a thread of torch, Python notes it only then."""
TRIES = 2
"""How often a job is begun: whoever killed the first worker may have meant another, but hardly so the second."""
FAILED_STARTS = 3
"""Workers that may die in a row before any has begun to work: what they cannot import, the next cannot, either."""


def usable_cores() -> int:
    """How many processes can run at once."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def map_in_processes(
    function: Callable[[Job], Result], jobs: Iterable[Job], workers: int, lost: Callable[[Job], Result]
) -> Generator[tuple[int, Result], None, None]:
    """Each job's place and the result of a function on it, as they come, from processes with one torch thread each.

    Close the iterator when it is not read to its end: that ends the processes.

    Args:
        function: can be pickled, as its jobs and results can.
        jobs: what to work on; one is taken whenever a process is free, so that there may be millions.
        workers: processes; one that dies is replaced.
        lost: the result of a job whose process died whenever it was tried.

    Raises:
        ArtifactLabError: if no process can be started.
    """
    crew = _Crew(function, enumerate(jobs), lost)
    try:
        crew.hire(workers)
        while crew.has_work():
            crew.wait()
            while crew.done:
                yield crew.done.popleft()
    finally:
        crew.dismiss()


@dataclass
class _Task(Generic[Job]):
    """A job, its place among all of them, and how often it was begun."""

    number: int
    job: Job
    tries: int = 0


@dataclass(eq=False)
class _Worker:
    """A process, our end of its pipe, and what it is on."""

    process: Any
    pipe: connection.Connection
    task: _Task[Any] | None = None


@dataclass
class _Crew(Generic[Job, Result]):
    """The processes, what they still have to do, and what is done and not yet handed on."""

    function: Callable[[Job], Result]
    jobs: Iterator[tuple[int, Job]]
    lost: Callable[[Job], Result]
    done: deque[tuple[int, Result]] = field(default_factory=deque)
    again: deque[_Task[Job]] = field(default_factory=deque)
    workers: list[_Worker] = field(default_factory=list)
    exhausted: bool = False
    failed_starts: int = 0

    def has_work(self) -> bool:
        """Whether anything is to be begun, or is on its way."""
        return self._has_more() or any(worker.task is not None for worker in self.workers)

    def _has_more(self) -> bool:
        return bool(self.again) or not self.exhausted

    def _next(self) -> _Task[Job] | None:
        """What is to be begun next, the jobs of dead workers first."""
        if self.again:
            return self.again.popleft()
        for number, job in self.jobs:
            return _Task(number, job)
        self.exhausted = True
        return None

    def hire(self, count: int) -> None:
        """Start that many more processes."""
        context = get_context("spawn")
        with _without_interrupts():
            for _ in range(count):
                ours, theirs = context.Pipe()
                process = context.Process(target=_work, args=(theirs, self.function), daemon=True)
                try:
                    process.start()
                except OSError as error:
                    raise ArtifactLabError(
                        f"cannot start a worker process: {error.strerror or error}; try --workers 1 / workers=1"
                    ) from error
                self.workers.append(_Worker(process, ours))
                theirs.close()  # so that ours ends when the process does

    def wait(self) -> None:
        """Wait for the next results, and hand out what is next."""
        ready = connection.wait([worker.pipe for worker in self.workers], timeout=WAKE_EVERY)
        for worker in [worker for worker in self.workers if worker.pipe in ready]:
            try:
                message = worker.pipe.recv()
            except (EOFError, OSError):
                self._replace(worker)
            else:
                self._take(worker, message)

    def _take(self, worker: _Worker, message: tuple[Result, Exception | None] | None) -> None:
        """Note a result; None says that the worker is ready for its first job."""
        self.failed_starts = 0
        if message is not None and worker.task is not None:
            result, error = message
            if error is not None:
                raise error
            self.done.append((worker.task.number, result))
        worker.task = self._next()
        if worker.task is not None:
            worker.task.tries += 1
            with suppress(OSError):  # it has died, as the next wait will tell
                worker.pipe.send(worker.task.job)

    def _replace(self, worker: _Worker) -> None:
        """Put another in the place of a worker that has died, and its job back."""
        self.workers.remove(worker)
        _end(worker)
        if worker.task is None:
            self.failed_starts += 1
        elif worker.task.tries < TRIES:
            self.again.append(worker.task)
        else:
            self.done.append((worker.task.number, self.lost(worker.task.job)))
        if self._has_more() and self.failed_starts >= FAILED_STARTS:
            raise ArtifactLabError(
                "worker processes die as they start: out of memory, or a script without its"
                ' `if __name__ == "__main__":` line; try --workers 1 / workers=1'
            )
        if self._has_more():
            self.hire(1)

    def dismiss(self) -> None:
        """End all of them, at once."""
        for worker in self.workers:
            worker.process.kill()  # it has nothing to lose
        for worker in self.workers:
            _end(worker)


def _end(worker: _Worker) -> None:
    worker.pipe.close()
    worker.process.kill()
    worker.process.join()


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Ctrl-C waits: a process that is started meanwhile never sees it, as it is the parent's to handle."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    with _interrupts_put_off():
        resource_tracker.ensure_running()  # which would let Ctrl-C through again, were it started later
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _interrupts_put_off() -> Iterator[None]:
    """Ctrl-C is noted, and handled at the end: where this thread blocks it, a thread of torch takes it for Python.

    Raised amid the start of a process, it would leave one that is half told what to do, or be lost among imports.
    """
    handler = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(handler):  # none of Python's, here
        yield
        return
    noted: list[int] = []
    signal.signal(signal.SIGINT, lambda number, frame: noted.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        if noted:
            signal.raise_signal(signal.SIGINT)


def _work(pipe: connection.Connection, function: Callable[[Job], Result]) -> None:
    """What a worker does: say that it is ready, then answer every job."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    message: tuple[Result | None, Exception | None] | None = None
    with suppress(EOFError, OSError):  # nobody is there any more
        while True:
            pipe.send(message)
            message = _outcome(function, pipe.recv())


def _outcome(function: Callable[[Job], Result], job: Job) -> tuple[Result | None, Exception | None]:
    try:
        return function(job), None
    except Exception as error:
        return None, error


def _end_with_parent() -> None:
    """However the parent ends, killed included; an idle worker would see that, one amid an image would not."""
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
