"""Bytes of files wherever they lie: on this machine, or where fsspec finds them by a URL."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import IO, Any

from artifactlab.errors import InputError, first_line
from artifactlab.inputs.extras import extra
from artifactlab.inputs.regular_files import digest_of, open_regular

URL = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+(://|::)")
"""How URLs start; a letter and a colon are a drive."""
PACKAGES = {
    **{"s3": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "hf": "huggingface_hub"},
    **{"az": "adlfs", "abfs": "adlfs", "abfss": "adlfs", "http": "aiohttp", "https": "aiohttp"},
}
"""What fsspec reads each kind of URL with, where that is a package of its own."""
Stamp = tuple[int, int]
"""Size in bytes and time in nanoseconds."""


class DamagedError(InputError):
    """A file that cannot be read, beside which others may be: a row says so, and these are scored."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f"cannot read {name!r}: {why}")
        self.why = why


def is_url(place: str) -> bool:
    """Whether fsspec is to open it; a path that exists is never a URL.

    >>> is_url("s3://bucket/a.png"), is_url("zip://a.png::/data/all.zip"), is_url("outputs/a.png")
    (True, True, False)
    """
    return URL.match(place) is not None and not os.path.lexists(place)


def filesystem(url: str) -> tuple[Any, str]:
    """fsspec's file system of a URL, and the path in it.

    Raises:
        InputError: if fsspec, or what it needs for that kind of URL, is not installed, or there is no such kind.
    """
    fsspec = extra("fsspec", "remote", f"{url!r}")
    try:
        if "::" not in url:
            found: tuple[Any, str] = fsspec.core.url_to_fs(url)
            return found
        inside, archive = url.split("::", 1)
        kind = inside.split("://", 1)[0]
        files = _archive(fsspec, kind, archive, stamp(archive))
        return files, files._strip_protocol(inside)
    except ImportError as error:
        package = PACKAGES.get(url.rpartition("::")[2].split("://")[0])
        way = f"it takes one more package: pip install {package}" if package else first_line(error)
        raise InputError(f"cannot read {url!r}: {way}") from error
    except Exception as error:
        raise _refusal(url, error) from error


@lru_cache(maxsize=8)
def _archive(fsspec: Any, kind: str, archive: str, _stamp: Stamp) -> Any:
    """An archive as a file system; fsspec would read its list anew for each image in it, and forget it at once."""
    return fsspec.core.url_to_fs(f"{kind}://::{archive}")[0]


def open_place(place: str) -> IO[bytes]:
    """A file opened for reading, with seeks; on this machine only a regular one.

    Raises:
        InputError: if it cannot be opened.
    """
    with reading(place):
        if not is_url(place):
            return open_regular(place)
        files, path = filesystem(place)
        opened: IO[bytes] = files.open(path, "rb")
        return opened


def read_place(place: str, at_most: int) -> bytes:
    """All bytes of a file; an InputError where it has more, however many it says it has."""
    with open_place(place) as file, reading(place):
        return read_bounded(file, at_most)


def read_bounded(file: IO[bytes], at_most: int) -> bytes:
    """What is left of a file; an OSError where that is more."""
    data = file.read(at_most + 1)
    if len(data) > at_most:
        raise OSError(f"it has more than {at_most} bytes, and no more are read")
    return data


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Turns whatever goes wrong with a file into a DamagedError that names it: each store has errors of its own."""
    try:
        yield
    except (InputError, MemoryError):
        raise
    except Exception as error:
        raise _refusal(name, error) from error


def _refusal(name: str, error: Exception) -> DamagedError:
    why = (error.strerror if isinstance(error, OSError) else None) or first_line(error) or type(error).__name__
    return DamagedError(name, why)


def stamp(place: str) -> Stamp:
    """Size and time of a file, by which one that was replaced is noticed; nothing of a URL, which would be asked."""
    if is_url(place):
        return 0, 0
    with reading(place):
        found = os.stat(place)
    return found.st_size, found.st_mtime_ns


def digest_of_part(place: str, part: str) -> str:
    """SHA-256 of a file's and of what names a part of it: a frame, a page, a slice."""
    return hashlib.sha256(f"{_digest(place, stamp(place))}#{part}".encode()).hexdigest()


@lru_cache(maxsize=64)
def _digest(place: str, _stamp: Stamp) -> str:
    """SHA-256 of a file, once for all of its parts."""
    with open_place(place) as file, reading(place):
        return digest_of(file)
