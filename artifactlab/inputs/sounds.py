"""Sound files as `(1, channels, L)`, read with soundfile."""

from __future__ import annotations

from pathlib import Path

import torch

from artifactlab.errors import first_line
from artifactlab.inputs.extras import extra
from artifactlab.inputs.formats import InputFile, InputFormat, Reading, unreadable
from artifactlab.inputs.regular_files import open_regular

MAX_SAMPLES = 1 << 27
"""Samples of all channels that are read at most: 46 minutes at 48 kHz; half a GB as floats."""


def is_sound(start: bytes) -> bool:
    """Whether a file starts as a WAV or a FLAC."""
    return start.startswith(b"fLaC") or (start[:4] in (b"RIFF", b"RF64") and start[8:12] == b"WAVE")


def read_sound(path: Path, reading: Reading) -> InputFile:
    """The samples of all channels in [-1, 1], `(1, channels, L)`; if gray, their mean, `(1, 1, L)`.

    Raises:
        InputError: if soundfile is not installed, the file is damaged, or has more than `MAX_SAMPLES`.
    """
    soundfile = extra("soundfile", "audio", f"the sound {str(path)!r}")
    try:
        with open_regular(path) as file, soundfile.SoundFile(file) as sound:
            if sound.frames * sound.channels > MAX_SAMPLES:
                raise unreadable(path, f"it has {sound.frames} samples, and {MAX_SAMPLES} are read at most; cut it")
            samples = sound.read(dtype="float32", always_2d=True)
    except (OSError, RuntimeError) as error:  # soundfile's errors are RuntimeErrors
        raise unreadable(path, f"the sound is damaged: {first_line(error)}") from error
    signal = torch.from_numpy(samples).T[None].contiguous()
    return InputFile(signal.mean(1, keepdim=True) if reading.gray else signal, pixels=False)


SOUND = InputFormat(is_sound, read_sound, (".wav", ".flac"))
"""WAV and FLAC."""
