"""Slices of volumes, each an image; read with nibabel."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from artifactlab.errors import InputError
from artifactlab.inputs.formats import InputFile, Reading
from artifactlab.inputs.images import Picture
from artifactlab.inputs.sources.kept import Kept
from artifactlab.inputs.sources.places import digest_of_part, is_url, reading, stamp
from artifactlab.inputs.sources.source import Entry, Selection
from artifactlab.inputs.volumes import read_volume, slices_and_channels


@dataclass(frozen=True, slots=True)
class VolumeSlice:
    """A slice of a volume along its last axis, z.

    >>> VolumeSlice("out/scan.nii.gz", 12).name
    'out/scan.nii.gz#z12'
    """

    volume: str
    """The file's path."""
    z: int
    """Which slice, from 0 on."""
    channel: int | None = None
    """Which channel, from 0 on; None where there is but one."""
    folder: str = ""
    """Where the file lies below the folder that was typed."""

    @property
    def part(self) -> str:
        """What names it within the volume."""
        return f"z{self.z}" if self.channel is None else f"z{self.z}c{self.channel}"

    @property
    def name(self) -> str:
        """File and slice."""
        return f"{self.volume}#{self.part}"

    @property
    def stem(self) -> str:
        """The file's name up to its first dot, and the slice."""
        return f"{os.path.basename(self.volume).split('.')[0]}#{self.part}"

    @property
    def relative(self) -> str:
        """Folder and stem."""
        return posixpath.join(self.folder, self.stem)

    def open(self, max_pixels: int) -> Picture:
        """The slice in gray, its intensities mapped to [0, 1] as those of the volume are, see `read_volume`."""
        make = partial(read_volume, Path(self.volume), Reading())
        with _VOLUME.opened((self.volume, stamp(self.volume)), make) as volume:
            pixels = volume.content[0, self.channel or 0, self.z]
            height, width = pixels.shape
            if height * width > max_pixels:
                raise InputError(
                    f"cannot read {self.name!r}: {width}x{height} pixels, and {max_pixels} are read at most"
                )
            return Picture(pixels[..., None].numpy(), premultiplied=False, note=volume.note)

    def digest(self) -> str:
        """SHA-256 of the file and the slice."""
        return digest_of_part(self.volume, self.part)


_VOLUME: Kept[InputFile] = Kept()
"""What is black and white is known of the whole volume alone; the next slice is mostly of the same."""


def entries_of_volume(volume: str, selection: Selection) -> Iterator[Entry]:
    """Every Nth slice of a volume along z, by default all, of every channel; only the header is read.

    Raises:
        InputError: if nibabel is not installed, the file is too large, or it lies at a URL; a DamagedError if it is
            damaged.
    """
    if is_url(volume):
        raise InputError(f"volumes are read from this machine, and {volume!r} lies at a URL; copy it here")
    with reading(volume):
        slices, channels = slices_and_channels(Path(volume))
    for z in range(0, slices, selection.every or 1):
        for channel in range(channels) if channels > 1 else (None,):
            yield Entry(VolumeSlice(volume, z, channel))
