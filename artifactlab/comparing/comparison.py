"""The record that `compare` returns."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, TypedDict

from artifactlab.comparing.changes import Change, MetricComparison
from artifactlab.comparing.image_pairs import ImagePair
from artifactlab.frames import Library, data_frame
from artifactlab.printable import printable
from artifactlab.serialize import json_data, program
from artifactlab.views import VIEWS

SCHEMA_VERSION = "1.0"
"""Version of `artifactlab/schemas/compare.json`."""


class ComparisonSettings(TypedDict):
    """The settings that a comparison was produced with."""

    before: str
    """File or folder of the first side, for messages."""
    after: str
    """File or folder of the second side."""
    reference: str | None
    """Folder of what the images should look like."""
    seed: int
    """Seed of the resamples."""
    metrics: list[str]
    """Names of the metrics that were compared."""


@dataclass(frozen=True, repr=False)
class Comparison:
    """The result of `compare`."""

    kind: Literal["diagnoses", "scores"]
    """What was compared."""
    verdict: Change
    """Verdict on all: of scores, worse if any metric is, else better if any is; of diagnoses, that of the severity."""
    text: str
    """The verdict in words, with its numbers."""
    metrics: tuple[MetricComparison, ...]
    """One comparison per metric."""
    confidence: float
    """Confidence level of all intervals; those of scores hold at it all at once."""
    offenders_gone: tuple[str, ...]
    """Keys of the sites that were offenders before and are none after; empty for scores."""
    offenders_new: tuple[str, ...]
    """Keys of the sites that are offenders after and were none before; empty for scores."""
    unreadable: tuple[str, ...]
    """Paths of the images that could not be scored; they are left out of all comparisons."""
    config: ComparisonSettings
    """The settings that produced the comparison."""
    images: tuple[ImagePair, ...] = ()
    """What became of each image; empty for diagnoses. The JSON leaves it out: the scores that are compared have it."""

    def __repr__(self) -> str:
        return f"Comparison({printable(self.text)})"

    def _repr_html_(self) -> str:
        """What a notebook shows: the verdict, the metrics, and the images that got worst."""
        card: str = VIEWS["comparison_card"](self)
        return card

    def to_html(self) -> str:
        """The comparison as one self-contained page of at most 20 MB: pairs with pictures, all images in a table."""
        page: str = VIEWS["comparison_page"](self)
        return page

    def to_frame(self, library: Library | None = None) -> Any:
        """The metrics as a `pandas.DataFrame`, or a `polars.DataFrame` where only that is installed; see `data_frame`.

        Args:
            library: "pandas" or "polars", where that is to be chosen.

        Raises:
            InputError: if neither is installed, or not the one that was asked for.
        """
        names = [each.name for each in fields(MetricComparison)]
        return data_frame({name: [getattr(metric, name) for metric in self.metrics] for name in names}, library)

    def to_dict(self) -> dict[str, Any]:
        """Plain data that validates against `artifactlab/schemas/compare.json`: None instead of NaN."""
        found = asdict(replace(self, images=()))
        del found["images"]
        data: dict[str, Any] = json_data({"schema_version": SCHEMA_VERSION, "tool": program(), **found})
        return data

    def to_json(self) -> str:
        """`to_dict` as indented JSON text."""
        return json.dumps(self.to_dict(), indent=2, allow_nan=False)
