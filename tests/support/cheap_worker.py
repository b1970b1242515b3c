"""A worker like that of `artifactlab.scoring.workers`, without torch, which takes seconds to import."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

Hunted = tuple[str, Path]


def work(pipe: Connection, function: Callable[[Any], Any]) -> None:
    """Say that it is ready, then answer every job."""
    message: tuple[Any, Exception | None] | None = None
    with suppress(EOFError):
        while True:
            pipe.send(message)
            job = pipe.recv()
            try:
                message = (function(job), None)
            except OSError as error:
                message = (None, error)


def hunted(job: Hunted) -> str:
    """Work that ends its process once, always or never."""
    fate, traces = job
    begun_before = traces.exists()
    traces.touch()
    if fate == "always" or (fate == "once" and not begun_before):
        os.kill(os.getpid(), signal.SIGKILL)
    return f"{fate}: done"


def lost(job: Hunted) -> str:
    """What is said of a job that killed whoever tried it."""
    return f"{job[0]}: lost"
