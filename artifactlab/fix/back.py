"""A fixed model back in the format that the user's came in: whoever loads that elsewhere loads the fixed one.

`artifactlab fix` writes a file of its own, which `load_model` takes. What other programs take differs by format, and so
there is one writer for each, by the name that `MODEL_FORMATS` has it by; `weights` is for the checkpoint of a factory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from artifactlab.fix.options import JudgingOptions
from artifactlab.fix.pipeline import Fix
from artifactlab.fix.weights import Change
from artifactlab.models.calls import Call
from artifactlab.models.formats import format_of
from artifactlab.registry import Registry

WEIGHTS = "weights"
"""The name of the writer for checkpoints, which hold the weights of a model that a factory makes."""


@dataclass(frozen=True)
class Source:
    """The model before its fix, and where it came from."""

    path: Path
    """The file or folder that other programs load: the target, or the checkpoint of a factory."""
    model: nn.Module
    """The model as the file or folder holds it, before this fix and all earlier ones."""
    calls: Sequence[Call]
    """The inputs that the fix was judged on."""
    judging: JudgingOptions = field(default_factory=JudgingOptions)
    """How it was judged."""
    earlier: Sequence[Change] = ()
    """What earlier fixes had replaced before this one, or put behind the output."""
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    """What the model was opened or made with."""
    target: str = ""
    """What `load_model` makes the model of, where it is not the path: a factory."""

    def with_weights(self, out: Path) -> str:
        """The line of Python that loads the fixed model in any case."""
        kwargs = f", {dict(self.kwargs)}" if self.kwargs else ""
        return f"artifactlab.load_model({self.target or str(self.path)!r}{kwargs}, checkpoint=Path({str(out)!r}))"


@dataclass(frozen=True)
class Written:
    """What a fixed model is for other programs, or why it is nothing; nothing is on the disk yet."""

    sentence: str
    """What it is and who loads it, or why there is none, with the figure; one line for the terminal and the JSON."""
    files: Mapping[Path, bytes] = field(default_factory=dict)
    """What is to be written, by path; empty where the format cannot hold the fixed model."""
    psnr: float | None = None
    """PSNR in dB between its outputs and the fixed model's on `calls`, without the border; None where not measured."""


Writer = Callable[[Fix, Source, Path], tuple[Written, ...]]
"""From a fix, its source and the path of artifactlab's own weights, beside which others go, to what to write."""

BACK: Registry[Writer] = Registry("artifactlab.back")
"""The writers by the name of the model's format; our own are announced in `artifactlab/__init__.py`."""


def elsewhere(path: Path, out: Path) -> Path:
    """Where what other programs load goes, beside artifactlab's own weights; with the suffix that they know it by.

    >>> elsewhere(Path("4x-foo.pth"), Path("fixed.safetensors")).name
    'fixed.elsewhere.pth'
    """
    return out.with_suffix(f".elsewhere{path.suffix}")


def back(made: Fix, source: Source, out: Path) -> tuple[Written, ...]:
    """What other programs can load of a fixed model, and what they cannot, by the writer for the source's format.

    Args:
        made: the fix.
        source: the model before, and where it came from.
        out: the path of artifactlab's own weights of the fixed model.

    Returns:
        What is to be written beside `out`; nothing of a format that has no writer.
    """
    name = format_of(source.path) or WEIGHTS
    return BACK[name](made, source, out) if name in BACK else ()
