"""Models or checkpoints from best to worst by their images' scores, and which differences are more than chance."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

from artifactlab.attribution.repair.effects import CONFIDENCE
from artifactlab.comparing.changes import MIN_CHANGED, MetricComparison, group_change, score_change
from artifactlab.comparing.grouping import members
from artifactlab.comparing.intervals import RESAMPLES, bootstrap_interval
from artifactlab.scoring.measures import METRICS
from artifactlab.scoring.score_report import ScoreReport, refuse_unsortable
from artifactlab.serialize import json_data, program

SCHEMA_VERSION = "1.0"
"""Version of `artifactlab/schemas/ranking.json`."""
PAIRED = 0.5
"""Share of the larger group's names that both groups must have to be compared in pairs: with fewer, more is lost by
leaving out the others than is gained by the pairs."""
BEYOND = 10
"""Resamples that are to lie beyond an end of an interval, as in `intervals.RESAMPLES`."""
MOST_RESAMPLES = 5000
"""As many are drawn at most, so that 45 groups of 100 images take half a minute; Student's t holds the ends beyond."""
Scores = dict[str, "float | None"]
"""Scores by the names of images."""


@dataclass(frozen=True)
class Group:
    """What is ranked: the images of a model, a checkpoint or a folder."""

    name: str
    """What they have in common."""
    images: int
    """Images that have a score."""
    left_out: int
    """Images that have none: they could not be read, or it cannot be told."""
    mean: float | None
    """Mean score; None where no image has one."""
    low: float | None
    """Lower end of the mean's interval; None where there are too few images for one."""
    high: float | None
    """Upper end of that interval."""


@dataclass(frozen=True)
class Difference:
    """Two groups, and whether one is better."""

    first: str
    """The group that ranks higher."""
    second: str
    """The other one."""
    paired: bool
    """Whether images of the same names were compared, or only the groups."""
    change: MetricComparison
    """From the first to the second, `worse` where that is more than chance; see `compare`."""


@dataclass(frozen=True)
class Ranking:
    """The result of `rank`."""

    metric: str
    """What was ranked by."""
    by: str
    """What the groups were made by."""
    groups: tuple[Group, ...]
    """The groups, best first; those without a score come last."""
    differences: tuple[Difference, ...]
    """Each two of them; their intervals hold all at once."""
    confidence: float
    """Confidence level of the groups' intervals, each alone, and of the differences', all at once."""

    def surely_worse(self, name: str) -> tuple[str, ...]:
        """The groups that are worse than the group called `name` by more than chance, best first."""
        below = [d.second for d in self.differences if d.first == name and d.change.verdict == "worse"]
        # in pairs, what ranks higher by all of its images can be the worse one
        above = [d.first for d in self.differences if d.second == name and d.change.verdict == "better"]
        return (*above, *below)

    def to_dict(self) -> dict[str, Any]:
        """Plain data that validates against `artifactlab/schemas/ranking.json`: None instead of NaN."""
        data: dict[str, Any] = json_data({"schema_version": SCHEMA_VERSION, "tool": program(), **asdict(self)})
        return data

    def to_json(self) -> str:
        """`to_dict` as indented JSON text."""
        return json.dumps(self.to_dict(), indent=2, allow_nan=False)


def rank(report: ScoreReport, by: str = "folder", metric: str = "severity", seed: int = 0) -> Ranking:
    r"""Rank groups of images by their mean score, and tell which differences are more than chance.

    Groups of the same images (checkpoints on one validation set) are compared in pairs, which tells more; others as
    groups. Intervals of differences are widened until all hold at once (Bonferroni), and a difference that shows in
    neither group is none, as in `compare`.

    Args:
        report: scores of the images of all groups.
        by: `folder` for the folders that the paths part at, or a regular expression whose first group names the image's
            group, such as `step(\d+)`.
        metric: name of a metric that was measured.
        seed: of the resamples.

    Raises:
        InputError: if the images are not in two groups or more, or the metric was not measured or says neither better
            nor worse.

    >>> from artifactlab.scoring import ImageScore
    >>> scores = {f"out/{run}/{n}.png": {"severity": 2 * run + n / 9} for run in (0, 1) for n in range(6)}
    >>> rows = tuple(ImageScore(path, found, None) for path, found in scores.items())
    >>> ranking = rank(ScoreReport(rows, {}, None, {"metrics": ["severity"]}))
    >>> [group.name for group in ranking.groups], ranking.surely_worse("0")
    (['0', '1'], ('1',))
    """
    refuse_unsortable(metric, report.config["metrics"])
    scores = _scores_of(report, by, metric)
    groups = sorted((_group(name, found, seed) for name, found in scores.items()), key=_best_first(metric))
    pairs = list(combinations([(group.name, scores[group.name]) for group in groups], 2))
    level = 1 - (1 - CONFIDENCE) / len(pairs)
    differences = tuple(_difference(first, second, metric, level, seed) for first, second in pairs)
    return Ranking(metric, by, tuple(groups), differences, CONFIDENCE)


def _scores_of(report: ScoreReport, by: str, metric: str) -> dict[str, Scores]:
    """The scores of each group's images, by their names there."""
    scores: dict[str, Scores] = {}
    for image, member in zip(report.images, members([image.path for image in report.images], by), strict=True):
        scores.setdefault(member.group, {})[member.name] = image.scores[metric]
    return scores


def _group(name: str, scores: Scores, seed: int) -> Group:
    known = [score for score in scores.values() if score is not None]
    mean = math.fsum(known) / len(known) if known else None
    low, high = bootstrap_interval(known, CONFIDENCE, seed) if len(known) >= MIN_CHANGED else (None, None)
    return Group(name, len(known), len(scores) - len(known), mean, low, high)


def _best_first(metric: str) -> Callable[[Group], tuple[bool, float, str]]:
    """The order of groups; by name where two are equal."""
    sign = 1.0 if METRICS[metric].better == "lower" else -1.0
    return lambda group: (group.mean is None, sign * (group.mean or 0.0), group.name)


def _difference(
    first: tuple[str, Scores], second: tuple[str, Scores], metric: str, level: float, seed: int
) -> Difference:
    (name, scores), (other, others) = first, second
    common = [image for image in scores if image in others]
    paired = len(common) >= PAIRED * max(len(scores), len(others))
    resamples = min(MOST_RESAMPLES, max(RESAMPLES, round(2 * BEYOND / (1 - level))))
    if paired:
        change = score_change(metric, _pairs(common, scores, others), level, seed, resamples)
    else:
        change = group_change(metric, list(scores.values()), list(others.values()), level, seed, resamples)
    return Difference(name, other, paired, change)


def _pairs(names: Sequence[str], scores: Scores, others: Scores) -> list[tuple[float | None, float | None]]:
    return [(scores[name], others[name]) for name in names]
