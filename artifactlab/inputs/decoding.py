"""OpenCV as a decoder that says what it has found: nothing on stderr, and the decoders' own complaints as text."""

from __future__ import annotations

import os
import re
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import IO, Any

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[Any]
COMPLAINT = re.compile(rb"(?m)^(?:Corrupt JPEG data|Premature end of JPEG|Inconsistent progression|libpng).*\n?")
"""Lines that libjpeg and libpng write to stderr, which is the only place where OpenCV lets them say it."""
LOG: Any = cv2.utils.logging if hasattr(cv2.utils, "logging") else cv2
"""What has OpenCV's `getLogLevel` and `setLogLevel`: OpenCV 5 moved them."""
SILENT = 0
"""The level at which it logs nothing."""
_ONE_AT_A_TIME = threading.Lock()
"""Held while OpenCV decodes: its log level and stderr are the process's."""


def decode(data: bytes, flags: int) -> tuple[Pixels | None, str]:
    """Pixels, or None where there are none, and the first thing that the decoder complained of; mostly nothing.

    Raises:
        MemoryError: if there is no room for the pixels.
    """
    with _ONE_AT_A_TIME, _quiet_opencv(), _caught_complaints() as complaints:
        pixels = _decoded(data, flags)
    return pixels, complaints[0] if complaints else ""


def _decoded(data: bytes, flags: int) -> Pixels | None:
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:  # e.g. more pixels than OpenCV allows
        if error.code == cv2.Error.StsNoMem:
            raise MemoryError from error
        return None


@contextmanager
def _quiet_opencv() -> Iterator[None]:
    """Our one line says it; OpenCV's log would repeat it in C++."""
    level = LOG.getLogLevel()
    LOG.setLogLevel(SILENT)
    try:
        yield
    finally:
        LOG.setLogLevel(level)


@contextmanager
def _caught_complaints() -> Iterator[list[str]]:
    """Fills a list with the decoders' lines on stderr; all else that arrives there meanwhile is passed on."""
    complaints: list[str] = []
    with ExitStack() as stack:
        try:
            held = stack.enter_context(_file_in_memory())
            stderr = os.dup(2)
        except OSError:  # a process without a stderr, or no room for the file
            yield complaints
            return
        stack.callback(os.close, stderr)
        os.dup2(held.fileno(), 2)
        try:
            yield complaints
        finally:
            os.dup2(stderr, 2)
            held.seek(0)
            text = held.read()
            complaints += [line.decode(errors="replace").strip() for line in COMPLAINT.findall(text)]
            _pass_on(COMPLAINT.sub(b"", text))


def _file_in_memory() -> IO[bytes]:
    """A file that has no name; on the disk where the system has no other."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("stderr"), "w+b")
    return tempfile.TemporaryFile()


def _pass_on(text: bytes) -> None:
    """What other threads wrote; nobody may be reading."""
    try:
        while text:
            text = text[os.write(2, text) :]
    except OSError:
        pass
