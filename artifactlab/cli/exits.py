"""How the command ends: 0 passed, 1 a gate failed, 2 an error, 130 Ctrl-C, 141 nobody reads the output any more.

A reader that has seen enough (`| head`) is no mistake, so that nothing is said; 141 is what a shell says of programs
that a broken pipe ends. Whatever is not one of ours must not be 1, which says that a gate has failed.
"""

from __future__ import annotations

import errno
import gc
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

import click

from artifactlab._interrupts import EXIT_INTERRUPTED, leave
from artifactlab.cli.verbosity import complain

EXIT_ERROR = 2
EXIT_NO_READER = 128 + 13
"""128 + SIGPIPE, which Windows has no name for."""
OF_OUTPUT = (errno.EPIPE, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)
"""What a write to stdout fails with."""
_starting = False
"""Whether this process is the command's own, and still imports."""


@contextmanager
def exit_codes() -> Iterator[None]:
    """Turn whatever ends a command, but for errors of ours, into a SystemExit with the code that says so."""
    try:
        yield
    except SystemExit as error:
        if isinstance(error.__context__, BrokenPipeError):  # which rich answers with 1
            sys.exit(EXIT_NO_READER)
        raise
    except (KeyboardInterrupt, click.Abort):
        complain("Interrupted.")
        sys.exit(EXIT_INTERRUPTED)
    except OSError as error:
        if not is_of_output(error):
            raise
        if error.errno != errno.EPIPE:
            complain(f"Error: cannot write the output: {error.strerror}")
        sys.exit(EXIT_NO_READER if error.errno == errno.EPIPE else EXIT_ERROR)


def is_of_output(error: BaseException) -> bool:
    """Whether writing to stdout or stderr failed; errors of files that are opened name the file."""
    return isinstance(error, OSError) and error.filename is None and error.errno in OF_OUTPUT


@contextmanager
def own_process() -> Iterator[None]:
    """What the command does to a process that is its own: to closed streams, Ctrl-C and garbage."""
    global _starting
    _fill_closed_streams()
    _starting = True
    gc.disable()
    try:
        yield
    finally:
        begin_work()
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # all is said and done, but Python takes a while to end
        for stream in (sys.stdout, sys.stderr):
            _drop_unwritten(stream)


def begin_work() -> None:
    """All is imported: in a process of its own, from now on Ctrl-C unwinds what is done, and garbage is looked for.

    Not among what was imported, torch above all: looking through that takes as long as a small image, and finds none.
    """
    global _starting
    if not _starting:
        return
    _starting = False
    gc.freeze()
    gc.enable()
    if signal.getsignal(signal.SIGINT) is leave:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _fill_closed_streams() -> None:
    """Lead streams that are closed nowhere, so that no file gets their numbers, and what is printed into it."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115  # as long as the process


def _drop_unwritten(stream: TextIO) -> None:
    """Lead a stream nowhere that takes nothing, as Python would say so at its end and exit with 120."""
    try:
        stream.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
