"""Shards: tar archives, packed by gzip or not, whose members are grouped by key as webdataset does.

A shard is read through once for the places of its members; nothing is written to the disk, and what each worker reads
of an archive that is not packed is one member's bytes.
"""

from __future__ import annotations

import gzip
import hashlib
import posixpath
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any, NamedTuple, cast

from artifactlab.errors import InputError
from artifactlab.inputs.image_files import SUFFIXES
from artifactlab.inputs.images import Picture, decode_picture, most_bytes
from artifactlab.inputs.sources.kept import Kept
from artifactlab.inputs.sources.places import open_place, reading, stamp
from artifactlab.inputs.sources.source import Entry, Selection, Source, Unreadable

ENDINGS = (".tar", ".tar.gz", ".tgz")
PACKED = b"\x1f\x8b"
"""What a gzip file starts with."""
MARK = slice(257, 262)
"""Where a tar archive says `ustar`."""
MAX_HEADER = 1 << 20
"""Bytes of a member's names and other particulars; file systems end at 4096, and a few gigabytes can be claimed."""
MAX_RATIO, MAX_UNPACKED = 100, 1 << 32
"""Times that a packed shard may grow, and bytes that it may have in any case (4 GB): images in it are compressed
already, and grow by a tenth; gzip makes up to 1032 of zeros."""


def is_tar(start: bytes) -> bool:
    """Whether a file starts as a tar archive, by its first bytes unpacked."""
    return start[MARK] == b"ustar"


class Member(NamedTuple):
    """A member of a shard."""

    name: str
    offset: int
    """Of its first byte in the archive, unpacked."""
    size: int
    fault: str
    """Why it is no file; empty where it is one."""


@dataclass(frozen=True, slots=True)
class TarMember:
    """An image in a shard.

    >>> TarMember("data/shard-0.tar", "set/0001.png", "set/0001", 1536, 900).name
    'data/shard-0.tar/set/0001.png'
    """

    shard: str
    """The archive's path or URL."""
    member: str
    """The member's name in it."""
    key: str
    """The name without its ending: what it has in common with what else is known of the same sample."""
    offset: int
    """Where its bytes start in the archive, unpacked."""
    size: int
    """How many they are."""

    @property
    def name(self) -> str:
        """Shard and member."""
        return f"{self.shard}/{self.member}"

    @property
    def stem(self) -> str:
        """The key without its folders."""
        return posixpath.basename(self.key)

    @property
    def relative(self) -> str:
        """The key."""
        return self.key

    def open(self, max_pixels: int) -> Picture:
        """Read and decode the member."""
        if self.size > most_bytes(max_pixels):
            why = f"it has {self.size} bytes, and no more than {most_bytes(max_pixels)} are read"
            raise InputError(f"cannot read image {self.name!r}: {why}")
        return decode_picture(self.name, self._bytes(), max_pixels)

    def digest(self) -> str:
        """SHA-256 of the member's bytes."""
        return hashlib.sha256(self._bytes()).hexdigest()

    def _bytes(self) -> bytes:
        with reading(self.name), _SHARD.opened((self.shard, stamp(self.shard)), lambda: _opened(self.shard)) as file:
            file.seek(self.offset)
            data = file.read(self.size)
            if len(data) < self.size:
                raise OSError("the archive is cut off, or was written anew meanwhile")
            return data


_SHARD: Kept[IO[bytes]] = Kept()
"""Packed shards can only be read from their start: the next member is further on in the one that is open."""


def entries_of_tar(shard: str, selection: Selection) -> Iterator[Entry]:
    """The images of a shard in their order, those of a column alone if one is chosen.

    Args:
        shard: path or URL of the archive.
        selection: its columns are the members' endings, from the first dot of a name on.

    Raises:
        DamagedError: if it cannot be read, is damaged, or grows too much; what is whole of it comes first.
    """
    if selection.reference_column is not None:
        yield from _samples(shard, selection)
        return
    empty = True
    for member in members(shard):
        source = _wanted(shard, member, selection.column)
        if source is not None:
            empty = False
            yield Entry(source)
    if empty:
        yield Entry(Unreadable(shard, _none_in(selection)))


def _none_in(selection: Selection) -> str:
    kinds = ", ".join(SUFFIXES) if selection.column is None else f".{selection.column}"
    return f"no image is in it; expected members ending in {kinds}"


def _samples(shard: str, selection: Selection) -> Iterator[Entry]:
    """The images of a shard with their references, which may come before or after them."""
    other = selection.reference_column
    images, references = list[Source](), dict[str, Source]()
    for member in members(shard):
        key, ending = _key_and_ending(member.name)
        if ending == other:
            references[key] = _source(shard, member, key)
        elif (source := _wanted(shard, member, selection.column)) is not None:
            images.append(source)
    for source in images:
        partner = references.get(_key_and_ending(source.relative)[0])
        missing = Unreadable(f"{source.name} ({other})", f"its sample in {shard!r} has no member that ends in .{other}")
        yield Entry(source, partner or missing)
    if not images:
        yield Entry(Unreadable(shard, _none_in(selection)), Unreadable(shard, _none_in(selection)))


def _wanted(shard: str, member: Member, column: str | None) -> Source | None:
    """The image that a member is; None for others."""
    if column is None:
        is_image = member.name.lower().endswith(SUFFIXES)
        return _source(shard, member, posixpath.splitext(member.name)[0]) if is_image else None
    key, ending = _key_and_ending(member.name)
    return _source(shard, member, key) if ending == column else None


def _source(shard: str, member: Member, key: str) -> Source:
    if member.fault:
        return Unreadable(f"{shard}/{member.name}", member.fault)
    return TarMember(shard, member.name, key, member.offset, member.size)


def _key_and_ending(name: str) -> tuple[str, str]:
    """A member's name at the first dot after its folders.

    >>> _key_and_ending("set.1/0001.out.png")
    ('set.1/0001', 'out.png')
    """
    folder, _, file = name.rpartition("/")
    key, _, ending = file.partition(".")
    return (f"{folder}/{key}" if folder else key), ending


def members(shard: str) -> Iterator[Member]:
    """The members of a shard that are no folders, by one pass over their headers.

    Raises:
        DamagedError: if it cannot be read, is damaged, or grows too much.
    """
    with (
        reading(shard),
        _Headers(shard) as headers,
        tarfile.open(fileobj=cast(IO[bytes], headers), mode="r:") as archive,
    ):
        while (found := archive.next()) is not None:
            cast(Any, archive).members.clear()  # which are a kilobyte each
            if not found.isdir() and not _is_hidden(found.name):
                fault = "" if found.isreg() and not found.issparse() else "it is a link, a device or sparse"
                yield Member(found.name, found.offset_data, found.size, fault)
        headers.refuse_more(cast(Any, archive).offset)


def _is_hidden(name: str) -> bool:
    return posixpath.basename(name).startswith(".")


def _opened(shard: str) -> IO[bytes]:
    """The archive as it was before it was packed."""
    file = open_place(shard)
    packed = file.read(2) == PACKED
    file.seek(0)
    return cast(IO[bytes], _Unpacked(file)) if packed else file


class _Unpacked(gzip.GzipFile):
    """A packed file that closes what it reads from."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(fileobj=file, mode="rb")
        self._file = file

    def close(self) -> None:
        super().close()
        self._file.close()


class _Headers:
    """An archive as tarfile sees it: it reads no more than headers have, and goes no further than is allowed."""

    def __init__(self, shard: str) -> None:
        self.file = _opened(shard)
        packed = isinstance(self.file, _Unpacked)
        self.end = max(MAX_UNPACKED, MAX_RATIO * stamp(shard)[0]) if packed else None

    def __enter__(self) -> _Headers:
        return self

    def __exit__(self, *error: object) -> None:
        self.file.close()

    def tell(self) -> int:
        return self.file.tell()

    def seek(self, position: int) -> int:
        if self.end is not None and position > self.end:
            raise OSError(f"it unpacks to more than {self.end} bytes; unpack it, and score the folder")
        return self.file.seek(position)

    def read(self, size: int) -> bytes:
        if size > MAX_HEADER:
            raise OSError(f"a header of {size} bytes; the archive is damaged, or made to do harm")
        return self.file.read(size)

    def refuse_more(self, position: int) -> None:
        """An OSError where headers end before the archive does: tarfile passes over what it cannot read in silence."""
        self.seek(position)
        if any(self.read(tarfile.BLOCKSIZE)):
            raise OSError(f"the archive is damaged at byte {position}; write or copy it again")
