"""Video files as `(1, C, T, H, W)`, read with PyAV."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from torch import Tensor

from artifactlab.errors import first_line
from artifactlab.inputs.extras import extra
from artifactlab.inputs.formats import InputFile, InputFormat, Reading, unreadable
from artifactlab.inputs.images import luma
from artifactlab.inputs.regular_files import open_regular

MAX_VIDEO_PIXELS = 1 << 27
"""Pixels of all frames together that are read at most: 64 frames of 1920x1080, 1.6 GB as floats."""
STILLS = (b"avif", b"avis", b"heic", b"heix", b"mif1", b"msf1")
"""Brands of the container of MP4 that hold pictures."""


def container(start: bytes) -> str | None:
    """The name by which libav knows the container that a file starts like; None for none that is read.

    It is forced on libav, which would otherwise also open playlists, and what they name.
    """
    if start[4:8] == b"ftyp" and start[8:12] not in STILLS:
        return "mov"
    if start.startswith(b"\x1aE\xdf\xa3"):
        return "matroska"
    return "avi" if start.startswith(b"RIFF") and start[8:12] == b"AVI " else None


def read_video(path: Path, reading: Reading) -> InputFile:
    """The frames of the first video stream, `(1, 3, T, H, W)` in [0, 1], `(1, 1, T, H, W)` if gray.

    Where some frames are wanted, it is the first ones: what comes after the first is another lattice in a causal model.

    Raises:
        InputError: if PyAV is not installed, the file is damaged, or has more pixels than `MAX_VIDEO_PIXELS`.
    """
    av = extra("av", "video", f"the video {str(path)!r}")
    try:
        with open_regular(path) as file:
            frames = list(_frames(av, file, path, reading))
    except (OSError, ValueError, IndexError) as error:  # av's errors are among them
        raise unreadable(path, f"the video is damaged: {first_line(error)}") from error
    if not frames:
        raise unreadable(path, "the video has no frame")
    if len({frame.shape for frame in frames}) > 1:
        raise unreadable(path, "its frames are of several sizes; encode it anew")
    return InputFile(torch.stack(frames, 1)[None])


def _frames(av: Any, file: IO[bytes], path: Path, reading: Reading) -> Iterator[Tensor]:
    """Each frame (C, H, W), until there are enough."""
    start = file.read(12)
    file.seek(0)
    pixels = 0
    with av.open(file, format=container(start)) as opened:
        if not opened.streams.video:
            raise unreadable(path, "it has no video stream")
        for number, frame in enumerate(opened.decode(video=0)):
            if number == reading.frames:
                return
            pixels += frame.width * frame.height
            if pixels > MAX_VIDEO_PIXELS:
                raise unreadable(
                    path,
                    f"it has more than {number} frames of {frame.height}x{frame.width}, and {MAX_VIDEO_PIXELS} pixels"
                    f" are read at most; give --size TxHxW, and its first T frames are read",
                )
            yield _picture(frame.to_ndarray(format="rgb24"), reading.gray)


def _picture(frame: np.ndarray[Any, Any], gray: bool) -> Tensor:
    image = torch.from_numpy(frame).permute(2, 0, 1).float() / 255
    return luma(image) if gray else image


VIDEO = InputFormat(lambda start: container(start) is not None, read_video, (".mp4", ".mov", ".mkv", ".webm", ".avi"))
"""MP4, QuickTime, Matroska, WebM and AVI."""
