"""The zips that torch writes, checked before anything in them is believed: what they hold is as long as they say."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

from artifactlab.models.containers import Container, container_of
from artifactlab.models.pickle_program import PickleError

END, END_64 = struct.Struct("<4s4H2LH"), struct.Struct("<4sQ2H2L4Q")
"""A zip's last record, and the one for large files that precedes it by a pointer of `POINTER` bytes."""
POINTER = 20
MAX_PACKED = 1 << 26
"""Bytes of text that may be packed; the code of a net of a thousand layers has some MB."""


def zip_names(path: Path) -> list[str]:
    """Names of the records of a zip; none of a file that is no zip."""
    if not path.is_file():
        return []
    with path.open("rb") as file:
        if container_of(file.read(4)) is not Container.ZIP:
            return []
    try:
        with zipfile.ZipFile(path) as records:
            return records.namelist()
    except Exception:  # zipfile raises whatever comes of reading a damaged directory
        return []


def check_directory(
    file: IO[bytes], records: zipfile.ZipFile, size: int, packed: Callable[[str], bool] = lambda name: False
) -> None:
    """Refuse records that are packed, named twice, or longer together than the file, which has `size` bytes.

    Args:
        file: the zip.
        records: what it holds.
        size: its bytes.
        packed: whether a record of a name is text, which may be packed, to at most `MAX_PACKED` bytes of all.

    Raises:
        PickleError: with what is wrong.
    """
    listed = records.infolist()
    names = {record.filename.lower() for record in listed}
    texts = [record for record in listed if record.compress_type and packed(record.filename)]
    if any(record.compress_type or record.flag_bits & 1 for record in listed if record not in texts):
        raise PickleError("its records are compressed, which torch.save does not do; torch.save it again")
    if sum(record.file_size for record in texts) > MAX_PACKED:
        raise PickleError(f"its code takes more than {MAX_PACKED} bytes unpacked")
    claimed = sum(record.file_size for record in listed if record not in texts)
    if claimed > size or _directory_start(file, size) != records.start_dir or len(names) < len(listed):
        raise PickleError(f"its directory claims {claimed} bytes, and the file has {size}, or it is damaged")


def check_sums(records: zipfile.ZipFile) -> None:
    """Read all records, without keeping them, and compare them with their checksums.

    Raises:
        zipfile.BadZipFile: if one differs.
    """
    for record in records.infolist():
        _check_sum(records, record)


def _directory_start(file: IO[bytes], size: int) -> int:
    """Where torch's reader looks for the directory; Python's would look elsewhere, if the two could be told apart."""
    file.seek(max(0, size - END.size))
    signature, *_, start, comment = END.unpack(file.read(END.size))
    if signature != b"PK\x05\x06" or comment:
        return -1
    before = size - END.size - POINTER - END_64.size
    if before >= 0:
        file.seek(before)
        signature, *_, start_64 = END_64.unpack(file.read(END_64.size))
        return int(start_64 if signature == b"PK\x06\x06" else start)
    return int(start)


def _check_sum(records: zipfile.ZipFile, record: zipfile.ZipInfo) -> None:
    if not record.CRC:  # it was saved without, see torch.serialization.set_crc32_options
        del record.CRC  # nor does zipfile then look
    with records.open(record) as content:
        while content.read(1 << 20):
            pass
