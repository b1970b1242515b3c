"""The errors a user can cause. Each message says what was given, what was expected and what to do."""

from __future__ import annotations

from artifactlab.printable import printable


class ArtifactLabError(Exception):
    """Base of every error this package raises on purpose; the CLI shows it as one line and exits with code 2.

    It is one line whatever the names in it are, as Python prints it to a terminal, too.
    """

    def __str__(self) -> str:
        return printable(super().__str__())


class InputError(ArtifactLabError, ValueError):
    """An image, tensor, path or argument that cannot be used."""


class ModelError(ArtifactLabError):
    """A model or checkpoint that cannot be loaded, or that cannot be run on the inputs it was given."""


class CaptureError(ArtifactLabError):
    """A model that ran, but in which there is nothing to measure."""


class FixError(ArtifactLabError):
    """A site that cannot be replaced as the model stands, or a fix that cannot go on."""


class RegistryError(ArtifactLabError):
    """An installed package whose addition (a metric, a kind of site, an upsampler, ...) cannot be used."""


MAX_SHOWN = 200
"""Characters of a value that an error quotes in full: two lines of a terminal."""
MAX_LINE = 400
"""Characters of somebody else's error that are quoted."""


def first_line(error: BaseException) -> str:
    """What an error of somebody else's says, short enough to quote."""
    try:
        text = str(error)
    except Exception:  # an error in making the message of an error
        text = ""
    line = (text.strip().splitlines() or [""])[0].split("; use sys.")[0]  # no advice to program
    return line if len(line) <= MAX_LINE else f"{line[:MAX_LINE]}..."


def shown(value: object) -> str:
    """A value as an error quotes it, cut where nobody would read on.

    >>> shown("[" * 1000)
    "'[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[... (1000 characters)"
    """
    try:
        text = repr(value)
    except (RecursionError, ValueError):  # nested too deeply, or a number of thousands of digits
        return f"a {type(value).__name__} of any size"
    length = len(value) if isinstance(value, str) else len(text)
    return text if len(text) <= MAX_SHOWN else f"{text[:40]}... ({length} characters)"
