"""Files that are measured, too, but not as images: refused with the way to do it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from artifactlab.errors import InputError
from artifactlab.inputs.sounds import SOUND
from artifactlab.inputs.videos import VIDEO
from artifactlab.inputs.volumes import VOLUME

OTHERS = {
    "video": (
        VIDEO,
        "(1, 8, 8)",
        "save its frames as images (ffmpeg -i FILE frames/%04d.png) and score their folder, or",
    ),
    "volume": (VOLUME, "8", "save its slices as images and score their folder, or"),
    "sound": (SOUND, "8, data_range=2", ""),
}
"""By what they are called: their format, what `severity` takes of them, and how they become images."""


def refuse_others(files: Iterable[Path]) -> None:
    """An InputError where a file has the name of a video, a volume or a sound.

    It is raised before anything is scored, as in the row of a table it would be folded into a column.
    """
    for file in files:
        for kind, (known, periods, as_images) in OTHERS.items():
            if file.name.lower().endswith(known.suffixes):
                python = f"artifactlab.severity(artifactlab.inputs.load_inputs([FILE])[0], periods={periods})"
                way = f"{as_images} in Python give {python}".strip()
                raise InputError(f"{str(file)!r} is a {kind}, and score takes images: {way}")
