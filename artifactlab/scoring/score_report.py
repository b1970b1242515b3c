"""The record that score_images returns."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, TypedDict, get_args

from artifactlab.errors import InputError
from artifactlab.frames import Library, data_frame
from artifactlab.scoring.gates import GateFailure
from artifactlab.scoring.lazy import arranged
from artifactlab.scoring.measures import METRICS
from artifactlab.scoring.verdict import Verdict, verdict_of
from artifactlab.scoring.worst_window import Window
from artifactlab.serialize import json_data, program
from artifactlab.views import VIEWS

SCHEMA_VERSION = "3.0"
"""Version of `artifactlab/schemas/score.json`, which changes apart from the diagnosis's."""

PLACE = ("top", "left", "side")
"""Fields of the worst window that tables have columns for."""


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
    window: Window | None = None
    """Its worst window; None where no lattice was found in one."""
    digest: str | None = None
    """SHA-256 of its content, after a colon its reference's, where a store keeps its row; no part of a report."""

    @property
    def verdict(self) -> Verdict | None:
        """What is to be said of it in a word; None where there is an error, or severity was not measured."""
        return None if self.error is not None else verdict_of(self.scores)

    def to_dict(self) -> dict[str, Any]:
        """Its row as plain data."""
        data = {"path": self.path, "verdict": self.verdict, **asdict(self)}
        del data["digest"]
        return data


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
    column: str | None
    """The column of tables, or the ending of a shard's members, that was scored; None for the only one."""
    reference_column: str | None
    """Likewise of what they should look like."""
    every: int | None
    """Each how manieth frame, page or slice was taken; None for one frame per second, and for all pages and slices."""
    gates: list[str]
    """The gates as text, see `parse_gate`."""
    periods: list[int]
    """Smallest and largest lattice spacing that was looked for, in pixels."""


@dataclass(frozen=True, repr=False)
class ScoreReport:
    """The result of `score_images`."""

    images: Sequence[ImageScore]
    """One row per image, in the order given; where a store keeps them, they are read when they are looked at."""
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

    def with_verdict(self, verdict: Verdict) -> tuple[ImageScore, ...]:
        """The images of which `verdict` is said, in their order."""
        return tuple(image for image in self.images if image.verdict == verdict)

    def worst_first(self, metric: str) -> ScoreReport:
        """The same report with its images from the worst to the best in a metric; those without a score come last.

        Raises:
            InputError: if the metric was not measured, or says neither better nor worse.
        """
        refuse_unsortable(metric, list(self.summary))
        sign = -1.0 if METRICS[metric].better == "lower" else 1.0
        scores = [image.scores[metric] for image in self.images]

        def order(number: int) -> tuple[bool, float]:
            score = scores[number]
            return score is None, 0.0 if score is None else sign * score

        return replace(self, images=arranged(self.images, sorted(range(len(scores)), key=order)))

    def __repr__(self) -> str:
        said = {word: len(self.with_verdict(word)) for word in get_args(Verdict)}
        counts = [f"{count} {word.replace('shows', 'show')}" for word, count in said.items() if count]
        counts += [f"{len(self.unreadable)} not scored"] if self.unreadable else []
        return f"ScoreReport({', '.join([f'{len(self.images)} images', *counts])}; passed={self.passed})"

    def _repr_html_(self) -> str:
        """What a notebook shows: what it comes to, and the worst images."""
        card: str = VIEWS["score_card"](self)
        return card

    def to_html(self) -> str:
        """The report as one self-contained page of at most 20 MB: the worst images with pictures, all in a table."""
        page: str = VIEWS["score_page"](self)
        return page

    def to_frame(self, library: Library | None = None) -> Any:
        """The rows as a `pandas.DataFrame`, or a `polars.DataFrame` where only that is installed; see `data_frame`.

        Columns are path, verdict, one per metric, where the worst window is, error and note, as in CSV.

        Args:
            library: "pandas" or "polars", where that is to be chosen.

        Raises:
            InputError: if neither is installed, or not the one that was asked for.
        """
        images = self.images
        columns: dict[str, list[Any]] = {
            "path": [image.path for image in images],
            "verdict": [image.verdict for image in images],
            **{name: [image.scores[name] for image in images] for name in self.config["metrics"]},
            **{f"window_{at}": [image.window and getattr(image.window, at) for image in images] for at in PLACE},
            "error": [image.error for image in images],
            "note": [image.note for image in images],
        }
        return data_frame(columns, library)

    def to_dict(self) -> dict[str, Any]:
        """Plain data that validates against `artifactlab/schemas/score.json`: None instead of NaN."""
        data: dict[str, Any] = json_data(
            {
                "schema_version": SCHEMA_VERSION,
                "tool": program(),
                "config": self.config,
                "images": [image.to_dict() for image in self.images],
                "summary": self.summary,
                "passed": self.passed,
            }
        )
        return data

    def to_json(self) -> str:
        """`to_dict` as indented JSON text."""
        return json.dumps(self.to_dict(), indent=2, allow_nan=False)


def refuse_unsortable(metric: str, measured: Sequence[str]) -> None:
    """Raise an InputError unless a metric is among those measured, and is better one way or the other."""
    known = [name for name in measured if METRICS[name].better is not None]
    if metric not in known:
        raise InputError(f"cannot sort by {metric!r}; sort by one of {', '.join(known)}")
