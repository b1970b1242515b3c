"""The record that score_images returns."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from artifactlab.scoring.gates import GateFailure
from artifactlab.serialize import json_data, program

SCHEMA_VERSION = "2.0"
"""of `artifactlab/schemas/score.json`, which changes apart from the diagnosis's"""


@dataclass(frozen=True)
class ImageScore:
    """The scores of one image."""

    path: str
    """the file"""
    scores: dict[str, float | None]
    """one per metric; all None where there is an error, one None where it cannot be told: too small, or too
    little content to see a lattice in"""
    error: str | None
    """why it could not be scored, None if it could"""
    note: str | None = None
    """what else may be behind a score, None where there is nothing to say"""


@dataclass(frozen=True)
class ScoreReport:
    """The result of `score_images`."""

    images: tuple[ImageScore, ...]
    """one per image, in the order given"""
    summary: dict[str, dict[str, float | None]]
    """per metric: mean, median, min, max (None if nothing was measured) and count, over the images that have a score"""
    passed: bool | None
    """whether every image was scored and no gate failed; None where there is no gate"""
    config: dict[str, Any]
    """the settings that produced it"""
    failures: tuple[GateFailure, ...] = ()
    """the gates that failed, and where"""

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
