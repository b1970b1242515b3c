"""Image files, here or at a URL."""

from __future__ import annotations

import os
import posixpath
from dataclasses import dataclass
from pathlib import Path

from artifactlab.inputs.images import Picture, decode_picture, most_bytes, open_picture
from artifactlab.inputs.regular_files import digest_of, digest_regular
from artifactlab.inputs.sources.places import is_url, open_place, read_place, reading


@dataclass(frozen=True, slots=True)
class ImageFile:
    """An image file.

    >>> ImageFile("outputs/set/a.png", "outputs").relative
    'set/a'
    """

    path: str | Path
    """Where it is: a path or a URL."""
    root: str = ""
    """The folder that was typed, where it was found below one."""

    @property
    def name(self) -> str:
        """The path as it was given."""
        return str(self.path)

    @property
    def stem(self) -> str:
        """The file's name without its ending."""
        return posixpath.basename(self._without_ending)

    @property
    def relative(self) -> str:
        """The path below the folder that was typed, without its ending; the stem where it was typed itself."""
        below = self.root and self._without_ending.removeprefix(self.root.replace(os.sep, "/"))
        return below.lstrip("/") or self.stem

    @property
    def _without_ending(self) -> str:
        """With slashes; what follows `::` in a URL is where the archive lies."""
        if not is_url(self.name):
            return str(Path(self.path).with_suffix("")).replace(os.sep, "/") if Path(self.path).name else self.name
        return posixpath.splitext(self.name.split("::", 1)[0])[0]

    def open(self, max_pixels: int) -> Picture:
        """Read and decode the file, see `artifactlab.inputs.images.open_picture`."""
        if not is_url(self.name):
            return open_picture(self.path, max_pixels)
        return decode_picture(self.name, read_place(self.name, most_bytes(max_pixels)), max_pixels)

    def digest(self) -> str:
        """SHA-256 of the file's bytes."""
        if not is_url(self.name):
            return digest_regular(self.path)
        with open_place(self.name) as file, reading(self.name):
            return digest_of(file)
