"""Reading files that others name: regular ones only, no larger than expected, and never for ever."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from pathlib import Path
from typing import IO

from artifactlab.errors import InputError

CHUNK = 1 << 20
"""Bytes that are held at once where a file is only passed through."""
KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}
"""What a path may name instead of a regular file."""


def open_regular(path: str | Path) -> IO[bytes]:
    """A regular file, or the one that a link leads to, opened for reading.

    A pipe would be waited for, and a device read without an end. What is replaced by one in between is noticed, too.

    Raises:
        OSError: if it is no regular file, or cannot be read; `strerror` says why.
        ValueError: if it is no path at all, as one with a NUL.
    """
    _refuse_others(path, os.stat(path).st_mode)
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    file = os.fdopen(os.open(path, flags), "rb")
    try:
        _refuse_others(path, os.fstat(file.fileno()).st_mode)
    except OSError:
        file.close()
        raise
    return file


def read_regular(path: str | Path, at_most: int) -> bytes:
    """All bytes of a regular file; raises what `open_regular` does, and an OSError where it has more than `at_most`."""
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > at_most:
            raise OSError(errno.EFBIG, f"it has {size} bytes, and no more than {at_most} are read")
        return file.read(size) or b""


def digest_regular(path: str | Path) -> str:
    """SHA-256 of a regular file's bytes, in hexadecimal, in the memory of one `CHUNK`.

    Raises:
        InputError: if it is no regular file, or cannot be read.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "empty"
    >>> path.touch()
    >>> digest_regular(path)[:8]
    'e3b0c442'
    """
    try:
        with open_regular(path) as file:
            return digest_of(file)
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {str(path)!r}: {getattr(error, 'strerror', None) or error}") from error


def digest_of(file: IO[bytes]) -> str:
    """SHA-256 of what a file has from where it stands, in hexadecimal."""
    found = hashlib.sha256()
    while chunk := file.read(CHUNK):
        found.update(chunk)
    return found.hexdigest()


def _refuse_others(path: str | Path, mode: int) -> None:
    """An OSError for all but regular files; a folder that may not be looked into says so itself."""
    kind = stat.S_IFMT(mode)
    if kind == stat.S_IFDIR:
        os.listdir(path)
        raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
    if kind != stat.S_IFREG:
        raise OSError(errno.EINVAL, f"it is {KINDS.get(kind, 'no regular file')}, and only regular files are read")
