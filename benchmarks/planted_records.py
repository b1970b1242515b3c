"""What the planted suite keeps of each case: the truth, what `diagnose` says, and what other ways of ranking say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from planted_cases import Plan
from planted_truth import Truth

from artifactlab import Effect

DIAGNOSES = 2
"""of each case, on images of their own"""
FAST = "**diagnose, fast**"
"""what it is called among other ways of ranking"""
NO_SITE = -2
"""what is put down for a site of `diagnose` that enlarges nothing"""

Scores = Mapping[int, float]
"""site -> number"""


@dataclass(frozen=True)
class Said:
    """What `diagnose` says of one set of inputs, by site."""

    severity: float
    effects: dict[int, Effect]
    offenders: list[int]
    verdict: str = ""
    """in words"""

    @property
    def scores(self) -> Scores:
        """The effects as numbers."""
        return {site: effect.value for site, effect in self.effects.items()}

    @property
    def named(self) -> Scores:
        """The first offender; nobody where none is named."""
        return {-1: 0.5, **{site: float(site in self.offenders[:1]) for site in self.effects}}

    def holds(self, site: int, share: float) -> bool:
        """Whether the interval of a site's effect holds a share of the output's artifact.

        Of severity 0 there are no shares: what shows was overlooked, and the interval holds nothing.
        """
        effect = self.effects[site]
        if self.severity <= 0 or effect.low is None or effect.high is None:
            return False
        return effect.low / self.severity <= share <= effect.high / self.severity


@dataclass(frozen=True)
class Record:
    """Everything that the tables need to know about one case."""

    plan: Plan
    names: dict[int, str]
    """site -> what is wrong with it"""
    truths: list[Truth]
    """on each set of images"""
    said: list[Said]
    """by each diagnosis"""
    others: dict[str, Scores]
    """name -> what other ways of ranking say; of planted cases only"""


def top(scores: Scores) -> int:
    """The site with the highest score."""
    return max(scores, key=lambda site: scores[site])
