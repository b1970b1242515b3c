"""Which files a URL stands for: one, those of a folder, or those that match a pattern."""

from __future__ import annotations

import posixpath
from typing import Any

from artifactlab.errors import InputError
from artifactlab.inputs.sources.places import filesystem, reading

MAGIC = "*?["


def listed(url: str, suffixes: tuple[str, ...], recursive: bool) -> tuple[list[str], str]:
    """The URLs of the files that one stands for, sorted, and the folder that they were found below.

    Only listings are asked for; no file is opened.

    Args:
        url: of a file (taken whatever it is called), of a folder, or a pattern with `*`, `?` or `[...]`.
        suffixes: endings by which files in a folder or a pattern count, in lower case.
        recursive: look into folders inside folders.

    Raises:
        InputError: if nothing is there, or it cannot be reached.

    >>> import fsspec
    >>> with fsspec.open("memory://outputs/a.png", "wb") as file:
    ...     _ = file.write(b"...")
    >>> listed("memory://outputs", (".png",), False)
    (['memory:///outputs/a.png'], 'memory:///outputs')
    """
    files, path = filesystem(url)
    archive = url[url.index("::") :] if "::" in url else ""
    with reading(url):
        if any(letter in path for letter in MAGIC) and not files.exists(path):
            found, root = files.glob(path), ""
        elif files.isdir(path):
            found, root = files.find(path, maxdepth=None if recursive else 1), path
        elif files.exists(path):
            return [url], ""
        else:
            raise InputError(f"no such file or folder: {url!r}")
    names = [name for name in sorted(found) if _counts(name, suffixes)]
    if not names:
        hint = "; look into its folders with --recursive / recursive=True" if root and not recursive else ""
        raise InputError(f"no image in {url!r}: expected files ending in {', '.join(suffixes)}{hint}")
    return [_as_url(files, name, archive) for name in names], _as_url(files, root, archive) if root else ""


def _counts(name: str, suffixes: tuple[str, ...]) -> bool:
    return name.lower().endswith(suffixes) and not posixpath.basename(name).startswith(".")


def _as_url(files: Any, name: str, archive: str) -> str:
    """The URL of a path in a file system, which may be that of an archive."""
    return f"{files.unstrip_protocol(name)}{archive}"
