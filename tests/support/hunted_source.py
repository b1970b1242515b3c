"""An image whose file ends the process that opens it, as a broken one may do that runs a decoder out of memory."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from artifactlab.inputs.images import Picture
from artifactlab.inputs.sources import ImageFile


@dataclass(frozen=True)
class Hunted:
    """An image file that is dangerous to open."""

    path: Path
    """Where it is."""
    fate: Literal["once", "always"]
    """How often it ends the process."""

    @property
    def name(self) -> str:
        """The path as it was given."""
        return str(self.path)

    @property
    def stem(self) -> str:
        """The file's name without its ending."""
        return self.path.stem

    def open(self, max_pixels: int) -> Picture:
        """Leave a trace, and end the process, or read the file."""
        traces = self.path.with_suffix(".trace")
        begun_before = traces.exists()
        traces.touch()
        if self.fate == "always" or not begun_before:
            os.kill(os.getpid(), signal.SIGKILL)
        return ImageFile(self.path).open(max_pixels)
