"""Reading files that others name: regular ones only, no larger than expected, and never for ever."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}
"""What a path may name instead of a regular file."""


def read_regular(path: str | Path, at_most: int) -> bytes:
    """All bytes of a regular file, or of the one that a link leads to.

    A pipe would be waited for, and a device read without an end. What is replaced by one in between is noticed, too.

    Raises:
        OSError: if it is no regular file, is larger than `at_most` bytes, or cannot be read; `strerror` says why.
        ValueError: if it is no path at all, as one with a NUL.
    """
    _refuse_others(path, os.stat(path).st_mode)
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(path, flags), "rb") as file:
        found = os.fstat(file.fileno())
        _refuse_others(path, found.st_mode)
        if found.st_size > at_most:
            raise OSError(errno.EFBIG, f"it has {found.st_size} bytes, and no more than {at_most} are read")
        return file.read(found.st_size) or b""


def _refuse_others(path: str | Path, mode: int) -> None:
    """An OSError for all but regular files; a folder that may not be looked into says so itself."""
    kind = stat.S_IFMT(mode)
    if kind == stat.S_IFDIR:
        os.listdir(path)
        raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
    if kind != stat.S_IFREG:
        raise OSError(errno.EINVAL, f"it is {KINDS.get(kind, 'no regular file')}, and only regular files are read")
