"""Rows to a report: the summary, and what the gates say; where a store keeps the rows, they are passed through."""

from __future__ import annotations

import statistics
from array import array
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from artifactlab.scoring.gates import Gate, gate_failures
from artifactlab.scoring.lazy import mapped
from artifactlab.scoring.score_report import ImageScore, ScoreReport, ScoreSettings


def report_of(images: Sequence[ImageScore], gates: Sequence[Gate], config: ScoreSettings) -> ScoreReport:
    """The report of rows. They are looked at one by one, as there may be millions; of each metric its numbers stay."""
    images = mapped(images, partial(_refused_if_unmeasured, gates=gates)) if gates else images
    columns = {name: array("d") for name in config["metrics"]}
    errors = 0
    for image in images:
        errors += image.error is not None
        for name, column in columns.items():
            if (score := image.scores[name]) is not None:
                column.append(score)
    failures = gate_failures(((image.path, image.scores) for image in images), gates)
    return ScoreReport(
        images=images,
        summary={name: _summary(column) for name, column in columns.items()},
        passed=not errors and not failures if gates else None,
        config=config,
        failures=failures,
    )


def _refused_if_unmeasured(image: ImageScore, gates: Sequence[Gate]) -> ImageScore:
    """The row; an error where a gate asks for a score that the image is too small to have."""
    unmeasured = [gate.metric for gate in gates if image.scores[gate.metric] is None]
    if image.error is not None or not unmeasured:
        return image
    return replace(image, error=f"cannot tell {unmeasured[0]}, which a gate asks for: too small, or too little content")


def _summary(known: Sequence[float]) -> dict[str, float | None]:
    if not known:
        return {"mean": None, "median": None, "min": None, "max": None, "count": 0}
    return {
        "mean": statistics.fmean(known),
        "median": statistics.median(known),
        "min": min(known),
        "max": max(known),
        "count": len(known),
    }
