"""Frames of videos, each an image; read with PyAV."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any

from artifactlab.inputs.extras import extra
from artifactlab.inputs.images import Picture
from artifactlab.inputs.sources.kept import Kept
from artifactlab.inputs.sources.places import DamagedError, digest_of_part, open_place, reading, stamp
from artifactlab.inputs.sources.source import Entry, Selection
from artifactlab.inputs.videos import container

AHEAD = 64
"""Frames that are decoded on the way to the next wanted one; from further off, decoding starts anew at the last frame
before it that needs no other, of which encoders set one every 12 to 250."""


@dataclass(frozen=True, slots=True)
class VideoFrame:
    """A frame of a video.

    >>> VideoFrame("out/clip.mp4", 120, 61440).name
    'out/clip.mp4#120'
    """

    video: str
    """The file's path or URL."""
    number: int
    """Which frame, from 0 on, in the order in which they are shown."""
    time: int
    """When it is shown, in the stream's own units."""
    folder: str = ""
    """Where the file lies below the folder that was typed."""

    @property
    def name(self) -> str:
        """File and frame."""
        return f"{self.video}#{self.number}"

    @property
    def stem(self) -> str:
        """The file's name without its ending, and the frame."""
        return f"{os.path.splitext(os.path.basename(self.video))[0]}#{self.number}"

    @property
    def relative(self) -> str:
        """Folder and stem."""
        return posixpath.join(self.folder, self.stem)

    def open(self, max_pixels: int) -> Picture:
        """Decode the frame."""
        with (
            reading(self.name),
            _VIDEO.opened((self.video, stamp(self.video)), partial(_Video, self.video)) as video,
        ):
            return video.picture(self, max_pixels)

    def digest(self) -> str:
        """SHA-256 of the file and the number."""
        return digest_of_part(self.video, str(self.number))


def entries_of_video(video: str, selection: Selection) -> Iterator[Entry]:
    """Every Nth frame of a video, by default one per second; nothing is decoded.

    Raises:
        InputError: if PyAV is not installed; a DamagedError if the file is damaged, or has no frame.
    """
    with reading(video), closing(_Video(video)) as opened:
        times, promised, every = opened.times(), opened.promised, selection.every or opened.frames_per_second
    for number in range(0, len(times), every):
        yield Entry(VideoFrame(video, number, times[number]))
    if not times or len(times) < promised:
        raise DamagedError(video, f"the video has {len(times)} of {promised or 'its'} frames; write or copy it again")


class _Video:
    """A video that is open, and where it stands."""

    def __init__(self, video: str) -> None:
        av = extra("av", "video", f"the video {video!r}")
        self._file = open_place(video)
        try:
            form = container(self._file.read(12))
            self._file.seek(0)
            self._opened = av.open(self._file, format=form)
            if not self._opened.streams.video:
                raise OSError("it has no video stream")
            self._stream = self._opened.streams.video[0]
        except BaseException:
            self._file.close()
            raise
        self._frames: Iterator[Any] = iter(())
        self._last: VideoFrame | None = None
        self._discarded = 0

    def close(self) -> None:
        self._opened.close()
        self._file.close()

    @property
    def promised(self) -> int:
        """How many frames the file says that it has; 0 where it does not, as in Matroska."""
        return self._stream.frames - self._discarded

    @property
    def frames_per_second(self) -> int:
        """Rounded; 1 where the file does not say it."""
        return max(1, round(self._stream.average_rate or 1))

    def times(self) -> list[int]:
        """When each frame is shown, in order."""
        found = []
        for packet in self._opened.demux(self._stream):
            if packet.is_discard:
                self._discarded += 1
            elif packet.size:
                found.append(packet.pts if packet.pts is not None else packet.dts)
        if any(time is None for time in found):
            raise OSError("its frames have no times; copy it to MP4 (ffmpeg -i FILE -c copy copy.mp4)")
        return sorted(found)

    def picture(self, wanted: VideoFrame, max_pixels: int) -> Picture:
        """The frame; from the last one on, from the one before it that needs no other, or from the start."""
        width, height = self._stream.codec_context.width, self._stream.codec_context.height
        if width * height > max_pixels:
            raise OSError(f"it has {width}x{height} pixels, and {max_pixels} are read at most; give --max-pixels")
        if self._last is None or not 0 < wanted.number - self._last.number <= AHEAD:
            self._start_at(wanted.time)
        frame = self._next_at(wanted.time)
        if frame is None or frame.pts != wanted.time:  # files are wrong about where decoding can start
            self._start_at(0)
            frame = self._next_at(wanted.time)
        if frame is None:
            raise OSError("there is no such frame: it cannot be decoded")
        if frame.width * frame.height > max_pixels:
            raise OSError(f"it has {frame.width}x{frame.height} pixels, and {max_pixels} are read at most")
        self._last = wanted
        return Picture(frame.to_ndarray(format="bgr24"), premultiplied=False)

    def _start_at(self, time: int) -> None:
        self._opened.seek(time, stream=self._stream, backward=True)
        self._frames = self._opened.decode(self._stream)

    def _next_at(self, time: int) -> Any:
        """The first frame at that time or after it."""
        return next((frame for frame in self._frames if frame.pts is not None and frame.pts >= time), None)


_VIDEO: Kept[_Video] = Kept()
"""The next frame is often further on in the same video."""
