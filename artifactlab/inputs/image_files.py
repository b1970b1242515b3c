"""Files: which ones paths name, and which of two folders belong together."""

from __future__ import annotations

import glob
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from artifactlab.errors import InputError

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp")
"""Endings of what counts as an image in a folder or a pattern, in upper or lower case; a named file is always read."""


def find_images(paths: Sequence[str | Path], recursive: bool = False) -> list[Path]:
    """The image files that files, folders and glob patterns name.

    Args:
        paths: files (taken whatever they are called), folders (the files with one of `SUFFIXES` inside, hidden ones
            left out) and glob patterns. A path that exists is never a pattern.
        recursive: look into folders inside folders, also where links lead to them.

    Returns:
        Each file once; in the order of `paths`, and sorted within one folder or pattern. Nothing is left out because it
        cannot be read: links that lead nowhere, pipes and folders that may not be looked into are among them, and
        whoever reads them is told why.

    Raises:
        InputError: if there are no paths, if one does not exist, or if a folder or a pattern has no image.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> for name in ("b.png", "a.JPG", "notes.txt"):
    ...     (folder / name).touch()
    >>> [path.name for path in find_images([folder])]
    ['a.JPG', 'b.png']
    """
    return find_files(paths, Wanted(recursive=recursive, deeper="--recursive / recursive=True"))


@dataclass(frozen=True)
class Wanted:
    """Which files of a folder are taken."""

    suffixes: tuple[str, ...] = SUFFIXES
    """Endings of names that count, in lower case."""
    recursive: bool = False
    """Whether folders inside folders are looked into."""
    deeper: str = ""
    """What the user sets for that, where it can be set."""
    what: str = "image"
    """What such a file is called in errors."""

    def counts(self, path: Path, lost_folders: bool) -> bool:
        """Whether it goes by a name that counts; of lost folders, a link to one that is gone counts, too."""
        if path.name.startswith(".") or os.path.isdir(path):
            return False
        gone = not path.suffix and path.is_symlink() and not os.path.exists(path)
        return path.name.lower().endswith(self.suffixes) or (lost_folders and gone)


def find_files(paths: Sequence[str | Path], wanted: Wanted) -> list[Path]:
    """The files of a kind that files, folders and glob patterns name; see `find_images`."""
    if isinstance(paths, (str, Path)):
        paths = [paths]
    if not paths:
        raise InputError(f"no {wanted.what}s were given; name files, folders or glob patterns")
    found: dict[str, Path] = {}
    for path in paths:
        for file in _files(path, wanted):
            found.setdefault(os.path.abspath(file), file)
    return list(found.values())


def _files(path: str | Path, wanted: Wanted) -> list[Path]:
    """The files that one path, folder or pattern stands for."""
    expected = f"expected files ending in {', '.join(wanted.suffixes)}"
    if os.path.isdir(path):
        found = sorted(_inside(Path(path), wanted))
        if not found:
            hint = f"; look into its folders with {wanted.deeper}" if wanted.deeper and not wanted.recursive else ""
            raise InputError(f"no {wanted.what} in folder {str(path)!r}: {expected}{hint}")
        return found
    if os.path.lexists(path):
        return [Path(path)]
    if not glob.has_magic(str(path)):
        raise InputError(f"no such file or folder: {str(path)!r}")
    matches = [file for file in map(Path, glob.iglob(str(path), recursive=True)) if wanted.counts(file, False)]
    found = sorted({*matches, *_unlisted(str(path))})
    if not found:
        raise InputError(f"pattern {str(path)!r} matches no {wanted.what}: {expected}")
    return found


def _inside(folder: Path, wanted: Wanted) -> Iterator[Path]:
    """The files in a folder, and the folders themselves that may not be looked into."""
    waiting, seen = [folder], set()
    while waiting:
        inside = waiting.pop()
        real = os.path.realpath(inside)
        if real in seen:  # links may lead in circles
            continue
        seen.add(real)
        entries = _entries(inside)
        if entries is None:
            yield inside
            continue
        yield from (entry for entry in entries if wanted.counts(entry, wanted.recursive))
        waiting += [entry for entry in entries if wanted.recursive and os.path.isdir(entry)]


def _entries(folder: Path) -> list[Path] | None:
    """What is in a folder; None where nobody is told."""
    try:
        return sorted(folder.iterdir())
    except OSError:
        return None


def _unlisted(pattern: str) -> Iterator[Path]:
    """Folders that a pattern leads into and that may not be looked into: glob passes over them in silence."""
    folder = pattern if os.path.basename(pattern) == "**" else os.path.dirname(pattern)
    while folder:
        for match in map(Path, glob.iglob(os.path.join(folder, ""), recursive=True)):
            if _entries(match) is None:
                yield match
        if not glob.has_magic(folder):
            return
        folder = os.path.dirname(folder)


NAMED_IN_ERRORS = 5
"""Names that an error lists; the others are counted, so that it stays a line."""


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
