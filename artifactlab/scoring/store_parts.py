"""The files of a store: lines that are only ever added, each whole or not there.

A run adds to a file of its own, so that runs and machines that share a folder never write into each other's lines, also
where the file system has no lock and no atomic append (NFS).
"""

from __future__ import annotations

import errno
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path

from artifactlab.errors import InputError
from artifactlab.inputs.regular_files import open_regular

SYNC_EVERY = 5.0
"""Seconds between two syncs to the disk. A process that is killed loses nothing it has written, as the system has that;
only a machine that loses power does, and scores the images of five seconds again. A sync takes milliseconds, and one
after each row would cost what a small image does."""
PATTERN = "part-*.jsonl"
"""Names of the files, which begin with when they were begun."""


class Part:
    """A new file that this process alone adds lines to.

    Raises:
        InputError: if it cannot be made, or written.
    """

    def __init__(self, folder: Path) -> None:
        begun = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%S")
        self.path = folder / f"part-{begun}-{secrets.token_hex(6)}.jsonl"
        self._size = 0
        self._synced = time.monotonic()
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | getattr(os, "O_BINARY", 0)
        try:
            self._file: int | None = os.open(self.path, flags, 0o666)
        except OSError as error:
            raise self._refusal(error) from error

    def append(self, line: bytes) -> int:
        """Add a line, which ends in a newline, by one write; gives where it begins."""
        begins = self._size
        try:
            if self._file is None:
                raise OSError(errno.EBADF, "it was closed")
            self._size += os.write(self._file, line)
            if self._size - begins < len(line):  # a disk takes part of a write and says why only of the next
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            if time.monotonic() - self._synced > SYNC_EVERY:
                self._sync()
        except OSError as error:
            raise self._refusal(error) from error
        return begins

    def close(self) -> None:
        """Sync and close it."""
        if self._file is not None:
            with suppress(OSError):  # the rows are with the system, and there is nothing more to do for them
                self._sync()
            os.close(self._file)
            self._file = None

    def _sync(self) -> None:
        if self._file is not None:
            os.fsync(self._file)
        self._synced = time.monotonic()

    def _refusal(self, error: OSError) -> InputError:
        return InputError(
            f"cannot write {str(self.path)!r}: {error.strerror or error}; what is in the store is kept:"
            " make room, and go on with --resume / resume=True"
        )


def parts_of(folder: Path) -> list[Path]:
    """The files of a store, the oldest first."""
    return sorted(folder.glob(PATTERN))


def lines_of(path: Path) -> Iterator[tuple[int, bytes]]:
    """Where each line of a file begins, and the line; one without its newline is torn.

    Raises:
        InputError: if it cannot be read.
    """
    begins = 0
    try:
        with open_regular(path) as file:
            for line in file:
                yield begins, line
                begins += len(line)
    except OSError as error:
        raise InputError(f"cannot read {str(path)!r}: {error.strerror or error}") from error
