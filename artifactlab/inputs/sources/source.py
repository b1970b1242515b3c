"""Where an image that is to be scored comes from: whatever can be named, opened and sent to another process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

from artifactlab.errors import InputError
from artifactlab.inputs.images import Picture


class Source(Protocol):
    """One image before it is read; small and pickled with ease, as it travels to where the pixels are read."""

    @property
    def name(self) -> str:
        """What its row is called."""

    @property
    def stem(self) -> str:
        """What it is paired with a reference by, where both do not lie in like trees."""

    @property
    def relative(self) -> str:
        """Where it lies below what was typed, without its ending: what it is paired by first."""

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


class Entry(NamedTuple):
    """An image as it was found."""

    source: Source
    """The image."""
    reference: Source | None = None
    """What it should look like, where the same row or sample says so."""


@dataclass(frozen=True)
class Selection:
    """What is taken of folders, tables, archives and videos."""

    recursive: bool = False
    """Whether folders inside folders are looked into."""
    column: str | None = None
    """The column of a table that holds the images, or the ending of a shard's members; None for the only one."""
    reference_column: str | None = None
    """Likewise of what they should look like; None for none."""
    every: int | None = None
    """Each how manieth frame, page or slice is taken; None for one frame per second, and for all pages and slices."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """What should be an image and cannot be one: a row that says why, beside those that are scored.

    >>> Unreadable("shard.tar/a.png", "it is a link").stem
    'shard.tar/a.png'
    """

    name: str
    """What its row is called."""
    why: str
    """What is wrong with it."""

    @property
    def stem(self) -> str:
        """Its name; it has no better one."""
        return self.name

    @property
    def relative(self) -> str:
        """Likewise."""
        return self.name

    def open(self, max_pixels: int) -> Picture:
        """Raise the InputError that says what is wrong."""
        raise InputError(f"cannot read image {self.name!r}: {self.why}")

    def digest(self) -> str:
        """Raise it, too: there is no content."""
        raise InputError(f"cannot read image {self.name!r}: {self.why}")
