"""The record that score_images returns."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, TypedDict

from artifactlab.scoring.gates import GateFailure
from artifactlab.serialize import json_data, program

SCHEMA_VERSION = "2.0"
"""Version of `artifactlab/schemas/score.json`, which changes apart from the diagnosis's."""


@dataclass(frozen=True)
class ImageScore:
    """The scores of one image."""

    path: str
    """The image file."""
    scores: dict[str, float | None]
    """Score by metric. All are None where there is an error, and one is None where it cannot be told: the image is too
    small, or has too little content to see a lattice in."""
    error: str | None
    """Why the image could not be scored; None if it could."""
    note: str | None = None
    """What else may be behind a score; None where there is nothing to say."""


class ScoreSettings(TypedDict):
    """The settings that scores were produced with."""

    paths: list[str]
    """Files, folders and glob patterns as they were given."""
    reference: str | None
    """Folder of what the images should look like."""
    metrics: list[str]
    """Names of the metrics, in the order of the columns."""
    recursive: bool
    """Whether folders inside folders were looked into."""
    gates: list[str]
    """The gates as text, see `parse_gate`."""
    periods: list[int]
    """Smallest and largest lattice spacing that was looked for, in pixels."""


@dataclass(frozen=True)
class ScoreReport:
    """The result of `score_images`."""

    images: tuple[ImageScore, ...]
    """One row per image, in the order given."""
    summary: dict[str, dict[str, float | None]]
    """Mean, median, min, max (None if nothing was measured) and count by metric, over the images that have a score."""
    passed: bool | None
    """Whether every image was scored and no gate failed; None where there is no gate."""
    config: ScoreSettings
    """The settings that produced the scores."""
    failures: tuple[GateFailure, ...] = ()
    """The gates that failed, and the images that they failed on."""

    @property
    def unreadable(self) -> tuple[ImageScore, ...]:
        """The images that could not be scored."""
        return tuple(image for image in self.images if image.error is not None)

    def to_dict(self) -> dict[str, Any]:
        """Plain data that validates against `artifactlab/schemas/score.json`: None instead of NaN."""
        data: dict[str, Any] = json_data(
            {
                "schema_version": SCHEMA_VERSION,
                "tool": program(),
                "config": self.config,
                "images": [asdict(image) for image in self.images],
                "summary": self.summary,
                "passed": self.passed,
            }
        )
        return data

    def to_json(self) -> str:
        """`to_dict` as indented JSON text."""
        return json.dumps(self.to_dict(), indent=2, allow_nan=False)
