"""What became of each image, which the mean over all of them hides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from artifactlab.comparing.changes import DIAGNOSIS_METRICS, SAME
from artifactlab.comparing.saved import Place, SavedScores
from artifactlab.scoring.measures import METRICS

Became = Literal["worse", "better", "same", "cannot tell"]
"""What is said of one image. It is no verdict: that takes several images, see `Comparison.verdict`."""
LEADING = ("worst_window", "severity")
"""Metrics whose change says whether an image got worse, where they were measured; they are in the same unit."""


@dataclass(frozen=True)
class ImagePair:
    """One image before and after."""

    stem: str
    """File name without its ending, by which images are paired."""
    before: Place
    """The image before the remedy."""
    after: Place
    """The image after the remedy."""
    scores: dict[str, tuple[float | None, float | None]]
    """Score before and after by metric; None where it cannot be told."""

    def change(self, metric: str) -> float | None:
        """After - before, None where either is missing; what two machines may differ by counts as nothing."""
        before, after = self.scores[metric]
        if before is None or after is None:
            return None
        return 0.0 if abs(after - before) <= SAME * max(abs(before), abs(after)) else after - before

    @property
    def worsened(self) -> float | None:
        """By how much it got worse in what leads: of severities the larger change; None where that cannot be told."""
        names = [name for name in LEADING if name in self.scores] or list(self.scores)[:1]
        signs = {name: -1.0 if METRICS[name].better == "higher" else 1.0 for name in names}
        changes = [signs[name] * change for name in names if (change := self.change(name)) is not None]
        return max(changes, key=abs) if changes else None

    @property
    def became(self) -> Became:
        """The sign of that in a word; the same where it shows neither before nor after."""
        worsened = self.worsened
        if worsened is None:
            return "cannot tell"
        return "same" if not worsened or not self._shows else "worse" if worsened > 0 else "better"

    @property
    def _shows(self) -> bool:
        """Whether anything shows before or after, as far as is known from where on a metric shows."""
        leading = [name for name in LEADING if name in self.scores]
        visible = DIAGNOSIS_METRICS["severity"].visible
        values = [score for name in leading for score in self.scores[name] if score is not None]
        return not leading or max(values, default=0.0) > visible


def image_pairs(before: SavedScores, after: SavedScores, names: Sequence[str]) -> tuple[ImagePair, ...]:
    """Every image before and after, the one that got worst first; those that cannot be told come last."""
    pairs = [
        ImagePair(
            stem,
            before.files[stem],
            after.files[stem],
            {name: (before.images[stem][name], after.images[stem][name]) for name in names},
        )
        for stem in before.images
    ]
    return tuple(sorted(pairs, key=_most_worsened_first))


def _most_worsened_first(pair: ImagePair) -> tuple[bool, float]:
    return pair.worsened is None, -(pair.worsened or 0.0)
