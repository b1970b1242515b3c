"""The settings of a report that was not made by scoring."""

from __future__ import annotations

from typing import Any

from artifactlab.scoring.score_report import ScoreSettings


def settings(folder: str, metrics: list[str], **others: Any) -> ScoreSettings:
    """As if the images of a folder had been scored."""
    plain = {"reference": None, "recursive": False, "column": None, "reference_column": None, "every": None}
    return ScoreSettings(**{"paths": [folder], "metrics": metrics, "gates": [], "periods": [2, 16], **plain, **others})
