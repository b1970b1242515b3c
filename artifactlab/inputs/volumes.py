"""NIfTI volumes as `(1, C, D, H, W)`, read with nibabel."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch

from artifactlab.errors import first_line
from artifactlab.inputs.extras import extra
from artifactlab.inputs.formats import InputFile, InputFormat, Reading, unreadable
from artifactlab.inputs.regular_files import open_regular

MAX_VOXELS = 1 << 28
"""Voxels that are read at most: 512 slices of 724x724; one GB as floats."""
QUANTILES = (0.005, 0.995)
"""Shares of the voxels below what becomes black, and below what becomes white: scanners leave a few far beyond the
others, and MONAI's examples cut the same ones."""
SAMPLED = 1 << 20
"""Voxels that quantiles are taken from: their error is then a ten-thousandth of the share."""
PACKED = b"\x1f\x8b"
"""What a gzip file starts with."""
DAMAGE = (OSError, EOFError, ValueError, TypeError, zlib.error)
"""What nibabel and gzip raise over files that are broken."""
NIFTI_1, NIFTI_2 = b"n+1\0", b"n+2\0"


def version(start: bytes) -> int:
    """1 or 2 where a file, packed or not, starts as a NIfTI of that version; otherwise 0."""
    if start.startswith(PACKED):
        try:
            start = zlib.decompressobj(31).decompress(start, 352)
        except zlib.error:
            return 0
    return 1 if start[344:348] == NIFTI_1 else 2 if start[4:8] == NIFTI_2 else 0


def read_volume(path: Path, reading: Reading) -> InputFile:
    """A volume of x, y, z as depth, rows and columns: `(1, 1, D, H, W)`, with a fourth axis as channels.

    Intensities have no black and white; `QUANTILES` of them are mapped to 0 and 1, and what lies beyond is cut.

    Raises:
        InputError: if nibabel is not installed, the file is damaged or too large, or it is no volume of numbers.
    """
    nibabel = extra("nibabel", "volumes", f"the volume {str(path)!r}")
    try:
        with open_regular(path) as file:
            image, shape = _opened(nibabel, file, path)
            # memory comes with the values, after the size was looked at
            values = np.asarray(image.get_fdata(dtype=np.float32, caching="unchanged")).reshape(*shape[:3], -1)
    except DAMAGE as error:
        raise unreadable(path, f"the NIfTI is damaged, or of an odd type: {first_line(error)}") from error
    if not np.isfinite(values).all():
        raise unreadable(path, "it holds NaN or Inf")
    if reading.gray:
        values = values.mean(-1, keepdims=True)
    low, high = black_and_white(values)
    volume = torch.from_numpy(np.ascontiguousarray(values.T))  # (x, y, z, c) -> (c, z, y, x)
    note = (
        f"{path}: intensities {low:g} to {high:g} are black to white, the quantiles {QUANTILES[0]} and {QUANTILES[1]}"
    )
    return InputFile(((volume - low) / (high - low or 1)).clamp(0, 1)[None], note=note)


def black_and_white(values: np.ndarray[Any, Any]) -> tuple[float, float]:
    """The intensities that become 0 and 1; least and greatest where nearly all voxels are alike, as in a mask."""
    flat = values.reshape(-1)
    low, high = np.quantile(flat[:: max(1, flat.size // SAMPLED)], QUANTILES)
    return (float(low), float(high)) if low < high else (float(flat.min()), float(flat.max()))


def slices_and_channels(path: Path) -> tuple[int, int]:
    """How many slices along z a volume has, and how many channels, by its header alone.

    Raises:
        InputError: if nibabel is not installed, or the volume is too large.
        OSError: or whatever else nibabel raises, if it is damaged.
    """
    nibabel = extra("nibabel", "volumes", f"the volume {str(path)!r}")
    with open_regular(path) as file:
        _, shape = _opened(nibabel, file, path)
    return shape[2], shape[3] if len(shape) > 3 else 1


def _opened(nibabel: Any, file: IO[bytes], path: Path) -> tuple[Any, tuple[int, ...]]:
    """The image, its values not yet read, and its axes x, y, z or x, y, z, c."""
    start = file.read(4096)
    file.seek(0)
    stream = gzip.GzipFile(fileobj=file) if start.startswith(PACKED) else file
    kind = nibabel.Nifti1Image if version(start) == 1 else nibabel.Nifti2Image
    image = kind.from_stream(stream)
    shape = tuple(image.shape)
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if not 3 <= len(shape) <= 4:
        raise unreadable(path, f"it has the axes {shape}; expected x, y, z, or these and channels")
    if np.prod([float(size) for size in shape]) > MAX_VOXELS:
        raise unreadable(path, f"it has {'x'.join(map(str, shape))} voxels, and {MAX_VOXELS} are read at most; crop it")
    return image, shape


VOLUME = InputFormat(lambda start: version(start) > 0, read_volume, (".nii", ".nii.gz"))
"""NIfTI 1 and 2 in one file, packed or not."""
