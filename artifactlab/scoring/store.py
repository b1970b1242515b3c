"""Rows of scores in a folder, to which they are only ever added: what was scored is never lost, and never done twice.

The folder holds `part-*.jsonl`, one file for each run that added to it, with a row a line (`schemas/score_row.json`),
and `settings-*.json`, what these rows were scored with. Several runs, on several machines, may add to one folder.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

from artifactlab.errors import InputError
from artifactlab.files import write_files
from artifactlab.inputs.regular_files import open_regular, read_regular
from artifactlab.printable import printable
from artifactlab.scoring.lazy import Lazy
from artifactlab.scoring.rows import Job, digest_of
from artifactlab.scoring.score_report import ImageScore
from artifactlab.scoring.store_parts import Part, lines_of, parts_of
from artifactlab.scoring.store_rows import Settings, StoredRow

OFFSETS = 1 << 44
"""A row's place is its part's number times this, and where its line begins: 16 TB of a part, a million parts."""
AHEAD = 64
"""Jobs whose images are looked at together, by threads, as storage far away answers late."""
NAMED = "settings-{}.json"
"""What the file of settings is called, by their digest."""
MOST_BYTES = 1 << 20
"""Of such a file, which takes a few hundred."""
Newest = dict[str, tuple[float, int]]
"""Time and place of the newest row of each image."""


class Store:
    """A folder of rows of some settings.

    Args:
        folder: is made where it is missing, when the first row is added.
        settings: what the rows are scored with; rows of others may stand beside them, and are left alone.

    Raises:
        InputError: if the folder is none.
    """

    def __init__(self, folder: str | Path, settings: Settings) -> None:
        self.folder = Path(folder)
        self.settings = settings
        self._digest = settings.digest
        if self.folder.exists() and not self.folder.is_dir():
            raise InputError(f"cannot keep rows in {str(folder)!r}: it is a file; give a folder for --store / store=")
        self._parts: list[Path] = []
        self._part: Part | None = None
        self._number = 0

    def prepare(self) -> None:
        """Make the folder and note the settings, so that what cannot be kept is known before it is scored.

        Raises:
            InputError: if it cannot be written into.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"cannot make the folder {str(self.folder)!r}: {error.strerror or error}") from error
        write_files({self.folder / NAMED.format(self._digest): self.settings.to_json().encode()})

    def append(self, image: ImageScore) -> int:
        """Add a row, which is with the operating system when this returns; gives its place, see `images`.

        Raises:
            InputError: if it cannot be written; all rows before it are kept.
        """
        if self._part is None:
            self.prepare()
            self._part = Part(self.folder)
            self._number = len(self._parts)
            self._parts.append(self._part.path)
        row = StoredRow(image, self._digest, time.time())
        offset = self._part.append(row.to_line(self.settings.version))
        return self._number * OFFSETS + offset

    def rows(self) -> Lazy[ImageScore]:
        """The newest row of every image, in the order of their names."""
        return self._by_name(self._newest())

    def kept(self, jobs: Iterable[Job]) -> Iterator[tuple[Job, int | None]]:
        """Each job and the place of its row: None where it is to be scored, for the first time or again.

        A row is kept if it is the newest of its image, has no error, and the content is what it was.
        """
        newest, waiting = self._newest(), iter(jobs)

        def place(job: Job) -> int | None:
            _, found = newest.get(job.source.name, (0.0, None))
            return None if found is None or not self._holds(found, job) else found

        with ThreadPoolExecutor(thread_name_prefix="digests") as threads:
            while ahead := list(islice(waiting, AHEAD)):
                yield from zip(ahead, threads.map(place, ahead), strict=True)

    def images(self, places: Iterable[int]) -> Lazy[ImageScore]:
        """The rows at places, read when they are looked at."""
        return Lazy(self._read, places)

    def close(self) -> None:
        """Sync what was added to the disk."""
        if self._part is not None:
            self._part.close()

    def _holds(self, place: int, job: Job) -> bool:
        """Whether what stands there is what scoring the job would give."""
        (image,) = self._read([place])
        try:
            return image.error is None and image.digest == digest_of(job)
        except InputError:  # as its row will say
            return False

    def _newest(self) -> Newest:
        """What these settings have scored."""
        for path in parts_of(self.folder):
            if path not in self._parts:  # a part keeps its number, as places were made of it
                self._parts.append(path)
        return _indexed(self.folder, self._parts).get(self._digest, {})

    def _by_name(self, newest: Newest) -> Lazy[ImageScore]:
        return self.images(newest[path][1] for path in sorted(newest))

    def _read(self, places: Iterable[int]) -> Iterator[ImageScore]:
        open_part, file = -1, None
        try:
            for place in places:
                part, offset = divmod(place, OFFSETS)
                if file is None or part != open_part:
                    if file is not None:
                        file.close()
                    open_part, file = part, open_regular(self._parts[part])
                file.seek(offset)
                yield StoredRow.from_line(file.readline()).image
        finally:
            if file is not None:
                file.close()


def newest_rows(folder: str | Path) -> tuple[Settings, Lazy[ImageScore]]:
    """The settings of the newest row in a folder, and what they have scored; other rows are left out, which is said.

    Raises:
        InputError: if there is no row, or the file of the settings cannot be read.
    """
    parts = parts_of(Path(folder))
    newest = _indexed(Path(folder), parts)
    if not newest:
        raise InputError(f"no rows of scores in {str(folder)!r}; make some with score --store / store=")
    digest = max(newest, key=lambda settings: max(newest[settings].values()))
    if others := sum(map(len, newest.values())) - len(newest[digest]):
        _say(f"{folder}: {others} rows of other settings or versions are left out; those of the newest row count")
    store = Store(folder, _settings(Path(folder), digest))
    store._parts = parts
    return store.settings, store._by_name(newest[digest])


def _indexed(folder: Path, parts: Sequence[Path]) -> dict[str, Newest]:
    """The newest row of each image, by the digest of the settings it was scored with; what is no row is said."""
    newest: dict[str, Newest] = {}
    torn = 0
    for number, path in enumerate(parts):
        for offset, line in lines_of(path):
            try:
                row = StoredRow.from_line(line)
            except ValueError:
                torn += 1
                continue
            rows, place = newest.setdefault(row.settings, {}), (row.time, number * OFFSETS + offset)
            rows[row.image.path] = max(place, rows.get(row.image.path, place))
    if torn:
        _say(f"{folder}: {torn} torn lines, as a kill leaves them, are left out")
    return newest


def _settings(folder: Path, digest: str) -> Settings:
    """Those by that digest."""
    path = folder / NAMED.format(digest)
    try:
        found = Settings.from_json(read_regular(path, MOST_BYTES))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(
            f"cannot read {str(path)!r}, the settings of the rows: {reason}; copy whole folders"
        ) from error
    return found


def _say(text: str) -> None:
    logging.getLogger("artifactlab").warning("%s", printable(text))
