"""Image files: which ones paths name, and which of two folders belong together."""

from __future__ import annotations

import glob
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from artifactlab.errors import InputError

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp")
"""what counts as an image in a folder or a pattern, in upper or lower case; a file named outright is always read"""


def find_images(paths: Sequence[str | Path], recursive: bool = False) -> list[Path]:
    """The image files that files, folders and glob patterns name.

    Args:
        paths: files (taken whatever they are called), folders (the files with one of `SUFFIXES` inside, hidden ones
            left out) and glob patterns. A path that exists is never a pattern.
        recursive: look into folders inside folders.

    Returns:
        Each file once; in the order of `paths`, and sorted within one folder or pattern.

    Raises:
        InputError: if there are no paths, if one does not exist, or if a folder or a pattern has no image.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> for name in ("b.png", "a.JPG", "notes.txt"):
    ...     (folder / name).touch()
    >>> [path.name for path in find_images([folder])]
    ['a.JPG', 'b.png']
    """
    if isinstance(paths, (str, Path)):
        paths = [paths]
    if not paths:
        raise InputError("no images were given; name files, folders or glob patterns")
    found: dict[str, Path] = {}
    for path in paths:
        for file in _files(path, recursive):
            found.setdefault(os.path.abspath(file), file)
    return list(found.values())


def _files(path: str | Path, recursive: bool) -> list[Path]:
    """What one argument stands for."""
    if os.path.isdir(path):
        inside = Path(path).rglob("*") if recursive else Path(path).iterdir()
        found = _only_images(inside, path)
        if not found:
            hint = "" if recursive else "; look into its folders with --recursive / recursive=True"
            raise InputError(f"no image in folder {str(path)!r}: expected files ending in {', '.join(SUFFIXES)}{hint}")
        return found
    if os.path.exists(path):
        return [Path(path)]
    if not glob.has_magic(str(path)):
        raise InputError(f"no such file or folder: {str(path)!r}")
    found = _only_images(map(Path, glob.iglob(str(path), recursive=True)), path)
    if not found:
        raise InputError(f"pattern {str(path)!r} matches no image: expected files ending in {', '.join(SUFFIXES)}")
    return found


def _only_images(candidates: Iterator[Path], given: str | Path) -> list[Path]:
    try:
        return sorted(
            file
            for file in candidates
            if file.suffix.lower() in SUFFIXES and not file.name.startswith(".") and file.is_file()
        )
    except OSError as error:
        raise InputError(f"cannot list {str(given)!r}: {error.strerror or error}") from error


NAMED_IN_ERRORS = 5


def by_stem(files: list[Path], what: str) -> dict[str, Path]:
    """Files by the name they are paired by; an InputError where two share one."""
    groups: dict[str, list[Path]] = defaultdict(list)
    for file in files:
        groups[file.stem].append(file)
    twice = [f"{group[0]} and {group[1]}" for group in groups.values() if len(group) > 1]
    refuse_names(twice, f"{what} are paired by file stem, but these share one")
    return {stem: group[0] for stem, group in groups.items()}


def refuse_names(names: list[str], complaint: str) -> None:
    """An InputError that lists the first of them, where there are any."""
    if names:
        more = len(names) - NAMED_IN_ERRORS
        raise InputError(f"{complaint}: {', '.join(names[:NAMED_IN_ERRORS])}{f' and {more} more' if more > 0 else ''}")
