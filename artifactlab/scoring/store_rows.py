"""A row of scores as a line of a store, see `artifactlab/schemas/score_row.json`; and what a score depends on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from artifactlab.metrics.spectral_search import PERIODS
from artifactlab.scoring.score_report import ImageScore
from artifactlab.scoring.worst_window import Window
from artifactlab.serialize import json_data, program

ROW_VERSION = "1.0"
"""Version of `artifactlab/schemas/score_row.json`."""


@dataclass(frozen=True)
class Settings:
    """What scores depend on besides the images; rows of other settings are never mixed."""

    metrics: tuple[str, ...]
    """Names of the metrics."""
    reference: str | None
    """Where the references are, as it was given; their content is in each row's digest."""
    max_pixels: int
    """Larger images were refused."""
    periods: tuple[int, int] = (PERIODS[0], PERIODS[-1])
    """Smallest and largest lattice spacing that was looked for."""
    version: str = program()["version"]
    """Of the program: another may measure otherwise."""
    schema_version: str = ROW_VERSION
    """Of the rows."""

    def to_json(self) -> str:
        """As a JSON object, the same text for the same settings."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str | bytes) -> Settings:
        """Read back.

        Raises:
            ValueError: if that is no such object.
        """
        try:
            data = json.loads(text)
            lists = {name: tuple(data[name]) for name in ("metrics", "periods")}
            return cls(**{**data, **lists})
        except (KeyError, TypeError, RecursionError) as error:
            raise ValueError(f"no settings: {error}") from error

    @property
    def digest(self) -> str:
        """By which rows name them: the first 16 digits of the SHA-256 of `to_json`."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:16]


class StoredRow(NamedTuple):
    """A line of a store."""

    image: ImageScore
    """The row itself."""
    settings: str
    """Digest of the settings."""
    time: float
    """When it was added, in seconds since 1970 (Unix time): of two rows of an image the newer counts."""

    def to_line(self, version: str) -> bytes:
        """As one line; names that are not UTF-8 are escaped, and come back as they were."""
        image = self.image
        data = {
            "schema_version": ROW_VERSION,
            "version": version,
            "settings": self.settings,
            "time": self.time,
            "path": image.path,
            "digest": image.digest,
            "scores": image.scores,
            "window": None if image.window is None else asdict(image.window),
            "error": image.error,
            "note": image.note,
        }
        return json.dumps(json_data(data), separators=(",", ":"), allow_nan=False).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> StoredRow:
        """Read back.

        Raises:
            ValueError: if the line is torn, or no row.
        """
        if not line.endswith(b"\n"):
            raise ValueError("torn")
        try:
            data = json.loads(line)
            return cls(_image(data), str(data["settings"]), float(data["time"]))
        except (KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(f"no row: {error}") from error


def _image(data: Mapping[str, Any]) -> ImageScore:
    scores = {str(name): None if score is None else float(score) for name, score in data["scores"].items()}
    texts = [data["error"], data["note"], data["digest"]]
    if not isinstance(data["path"], str) or not all(text is None or isinstance(text, str) for text in texts):
        raise TypeError("what must be text is none")
    return ImageScore(data["path"], scores, data["error"], data["note"], _window(data["window"]), data["digest"])


def _window(data: Mapping[str, Any] | None) -> Window | None:
    if data is None:
        return None
    top, left, side, period = (int(data[name]) for name in ("top", "left", "side", "period"))
    return Window(top, left, side, float(data["severity"]), period)
