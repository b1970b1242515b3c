"""Which images come first."""

from __future__ import annotations

from artifactlab.scoring.measures import METRICS
from artifactlab.scoring.score_report import ImageScore, ScoreReport
from artifactlab.scoring.verdict import MADE_OF


def worst_first(report: ScoreReport) -> list[ImageScore]:
    """The images by the larger of severity and worst window, or else by the first metric that says what is worse.

    What cannot be told comes after all that can, and what could not be scored last.
    """
    measured = report.config["metrics"]
    names = [name for name in MADE_OF if name in measured]
    names = names or [name for name in measured if METRICS[name].better is not None][:1]

    def order(image: ImageScore) -> tuple[bool, bool, float]:
        signs = [-1.0 if METRICS[name].better == "higher" else 1.0 for name in names]
        known = [s * sign for name, sign in zip(names, signs, strict=True) if (s := image.scores[name]) is not None]
        return image.error is not None, not known, -max(known, default=0.0)

    return sorted(report.images, key=order)
