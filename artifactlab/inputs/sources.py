"""Where an image that is to be scored comes from: whatever can be named, opened and sent to another process."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from artifactlab.inputs.images import Picture, open_picture
from artifactlab.inputs.regular_files import digest_regular


class Source(Protocol):
    """One image before it is read; small and pickled with ease, as it travels to where the pixels are read."""

    @property
    def name(self) -> str:
        """What its row is called."""

    @property
    def stem(self) -> str:
        """What it is paired with a reference by."""

    def open(self, max_pixels: int) -> Picture:
        """Read and decode it.

        Raises:
            InputError: if it cannot be read, is no image or is larger than `max_pixels`.
        """

    def digest(self) -> str:
        """SHA-256 of its content in hexadecimal: what has the same is the same image, whatever it is called.

        Raises:
            InputError: if it cannot be read.
        """


@dataclass(frozen=True)
class ImageFile:
    """An image file.

    >>> ImageFile(Path("outputs/a.png")).stem
    'a'
    """

    path: Path
    """Where it is."""

    @property
    def name(self) -> str:
        """The path as it was given."""
        return str(self.path)

    @property
    def stem(self) -> str:
        """The file's name without its ending."""
        return self.path.stem

    def open(self, max_pixels: int) -> Picture:
        """Read and decode the file, see `artifactlab.inputs.images.open_picture`."""
        return open_picture(self.path, max_pixels)

    def digest(self) -> str:
        """SHA-256 of the file's bytes."""
        return digest_regular(self.path)
