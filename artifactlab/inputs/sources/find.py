"""What paths, patterns and URLs stand for: the images to score, of whatever holds them."""

from __future__ import annotations

import gzip
import os
import posixpath
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from artifactlab.errors import InputError
from artifactlab.inputs.formats import START
from artifactlab.inputs.image_files import SUFFIXES, Wanted, find_files, find_images
from artifactlab.inputs.image_headers import READERS
from artifactlab.inputs.regular_files import open_regular
from artifactlab.inputs.sources import manifests, pages, tar_shards
from artifactlab.inputs.sources.arrow_tables import is_table
from artifactlab.inputs.sources.files import ImageFile
from artifactlab.inputs.sources.frames import VideoFrame, entries_of_video
from artifactlab.inputs.sources.manifests import entries_of_manifest
from artifactlab.inputs.sources.pages import entries_of_tiff, is_tiff
from artifactlab.inputs.sources.places import DamagedError, is_url
from artifactlab.inputs.sources.remote import listed
from artifactlab.inputs.sources.slices import VolumeSlice, entries_of_volume
from artifactlab.inputs.sources.source import Entry, Selection, Source, Unreadable
from artifactlab.inputs.sources.tables import CellImage, entries_of_table
from artifactlab.inputs.sources.tar_shards import entries_of_tar, is_tar
from artifactlab.inputs.videos import VIDEO
from artifactlab.inputs.volumes import VOLUME

TABLES = (".parquet", ".arrow")


@dataclass(frozen=True)
class Holder:
    """A kind of file that holds several images."""

    recognises: Callable[[bytes], bool]
    """Whether a file is one, by its first bytes, unpacked where they are packed."""
    entries: Callable[[str, Selection], Iterator[Entry]]
    """The images in it."""
    suffixes: tuple[str, ...]
    """Endings by which it is found, in lower case."""
    in_folders: bool = True
    """Whether it counts in a folder that has no image file, and in patterns."""


HOLDERS = (
    Holder(is_tar, entries_of_tar, tar_shards.ENDINGS),
    Holder(is_table, entries_of_table, TABLES),
    # of these, nothing but the name tells
    Holder(lambda start: False, entries_of_manifest, manifests.ENDINGS, in_folders=False),
    Holder(VIDEO.recognises, entries_of_video, VIDEO.suffixes),
    Holder(VOLUME.recognises, entries_of_volume, VOLUME.suffixes),
    # in a folder, a TIFF is an image file: a million of them are not opened only to count their pages
    Holder(is_tiff, entries_of_tiff, pages.ENDINGS, in_folders=False),
)
"""All kinds; what is of none of them is taken for an image file."""
HELD = tuple(suffix for holder in HOLDERS if holder.in_folders for suffix in holder.suffixes)
PLAIN = tuple(suffix for suffix in SUFFIXES if suffix not in pages.ENDINGS)
"""Endings of images by which nobody looks into a file."""
CACHES = "cache-"
"""How files start that `datasets` keeps beside a data set's own."""


def find_sources(paths: Sequence[str | Path], selection: Selection | None = None) -> list[Entry]:
    """The images that files, folders, patterns and URLs stand for, before any is read.

    A folder or a pattern stands for its image files; where it has none, for the images in its shards, tables, videos
    and volumes. A file that is named is known by what it holds. Manifests (CSV, TSV, JSON lines) have to be named.

    Args:
        paths: as `find_images` takes them, and URLs.
        selection: what is taken of them.

    Returns:
        An entry per image, in the order of `paths`; small, and nothing was read but listings and headers.

    Raises:
        InputError: if something is not there, a folder or a table has no images, or a package is not installed. What is
            damaged is an entry that says so when it is opened.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "all.csv").write_text("file,label\\na.png,cat\\n")
    >>> [os.path.basename(entry.source.name) for entry in find_sources([str(folder / "all.csv")])]
    ['a.png']
    """
    selection = selection or Selection()
    found: list[Entry] = []
    seen: set[str] = set()
    if not isinstance(paths, (str, Path)) and not paths:
        raise InputError("no images were given; name files, folders, patterns or URLs")
    for path in [paths] if isinstance(paths, (str, Path)) else paths:
        for file in _files(path, selection.recursive):
            place = file.name if is_url(file.name) else os.path.abspath(file.name)
            if place not in seen:
                seen.add(place)
                found += _entries(file, file.name == str(path), selection)
    return found


def _files(path: str | Path, recursive: bool) -> Iterator[ImageFile]:
    """The files that one path, pattern or URL stands for."""
    if isinstance(path, str) and is_url(path):
        found, root = _remote_files(path, recursive)
        yield from (ImageFile(url, root) for url in found)
        return
    root = str(path) if os.path.isdir(path) else ""
    yield from (ImageFile(str(file), root) for file in _local_files(path, recursive))


def _remote_files(url: str, recursive: bool) -> tuple[list[str], str]:
    try:
        return listed(url, SUFFIXES, recursive)
    except InputError:
        with suppress(InputError):
            return listed(url, HELD, recursive)
        raise


def _local_files(path: str | Path, recursive: bool) -> list[Path]:
    try:
        return find_images([path], recursive)
    except InputError:
        with suppress(InputError):
            found = find_files([path], Wanted(HELD, recursive))
            return [file for file in found if not file.name.startswith(CACHES)]
        raise


def _entries(file: ImageFile, named: bool, selection: Selection) -> Iterator[Entry]:
    """The images in a file."""
    name = file.name.lower()
    start = _start(file.name) if named and not name.endswith(PLAIN) and not is_url(file.name) else b""
    holder = _holder(name, start, named)
    if holder is None:
        yield Entry(file)
        return
    folder = posixpath.dirname(file.relative)
    try:
        for entry in holder.entries(file.name, selection):
            yield Entry(_below(entry.source, folder), entry.reference) if folder else entry
    except DamagedError as error:
        yield Entry(Unreadable(file.name, error.why))
    except MemoryError:  # garbled sizes, above all
        yield Entry(Unreadable(file.name, "there is not enough memory for what it says that it holds"))


def _below(source: Source, folder: str) -> Source:
    """The same source, told where its file lies in a tree: clips of one name are told apart by their folders."""
    return replace(source, folder=folder) if isinstance(source, (VideoFrame, VolumeSlice, CellImage)) else source


def _holder(name: str, start: bytes, named: bool) -> Holder | None:
    """What a file is by its first bytes, or else by its name; None for an image file."""
    known = [holder for holder in HOLDERS if named or holder.in_folders]
    by_content = next((holder for holder in known if holder.recognises(start)), None)
    is_image = not name.endswith(manifests.ENDINGS) and any(start.startswith(starts) for starts, _ in READERS)
    if by_content is not None or is_image:
        return by_content
    return next((holder for holder in known if name.endswith(holder.suffixes)), None)


def _start(place: str) -> bytes:
    """The first bytes of a file, unpacked; nothing of what cannot be read, which whoever reads it is told."""
    try:
        with open_regular(place) as file:
            start = file.read(START) or b""
            if not start.startswith(tar_shards.PACKED):
                return start
            file.seek(0)
            return gzip.GzipFile(fileobj=file).read(START)
    except (OSError, EOFError, ValueError, zlib.error):
        return b""
