"""The frozen records that flow between the stages: Site -> Evidence -> Effect -> Diagnosis."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from artifactlab.attribution.sites.records import Evidence, Site

if TYPE_CHECKING:
    pass


Verdict = Literal["offender", "harmless", "compensated", "clean"]
Kind = Literal["checkerboard", "stair-step"]
FindingKind = Literal["misregistration", "seam", "input", "constant pattern"]


@dataclass(frozen=True)
class Effect:
    """How much of the *output's* artifact disappears when this site alone is repaired. Signed: negative is worse."""

    value: float
    """drop of the output's severity, see `artifactlab.severity`; 1 is a grid that just shows"""
    low: float | None
    """lower end of the 90% interval for what a real cure would do to these inputs; None where there is only one crop"""
    high: float | None
    """upper end of that interval"""
    share: float | None
    """`value` as a fraction of the output's severity; None where the output shows nothing"""
    kind: Kind
    """which of the two artifacts carries the larger part of the change"""


@dataclass(frozen=True)
class SiteDiagnosis:
    """Everything known about one site."""

    site: Site
    """where"""
    evidence: Evidence
    """what its activation shows"""
    effect: Effect
    """what it does to the output"""
    verdict: Verdict
    """`offender`, `harmless` (evidence, no effect), `compensated` (repairing it makes the output worse) or `clean`"""
    rank: int
    """1 for the largest effect"""
    order: int
    """1 for the site that runs first"""
    verified: bool = True
    """whether it was repaired in real forward passes; else its effect is an estimate of the first order, which accuses
    nobody but in a fast diagnosis"""

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as in the JSON."""
        return {**asdict(self.site), "evidence": asdict(self.evidence), "effect": asdict(self.effect)} | {
            "verdict": self.verdict,
            "rank": self.rank,
            "order": self.order,
            "verified": self.verified,
        }


@dataclass(frozen=True)
class JointStep:
    """One step of repairing the guilty sites together, each on top of those before it."""

    key: str
    """the site that is repaired in addition"""
    adds: Effect
    """how much more of the output's severity goes; the first step's is the site's own effect"""
    severity: float
    """what is left"""


@dataclass(frozen=True)
class Finding:
    """A cause of bad edges that is no site's own lattice."""

    kind: FindingKind
    """`misregistration`: features that meet are displaced; `seam`: the output repeats at a period that no site has;
    `input`: what shows came in with the input; `constant pattern`: a grid that is the same whatever the input"""
    where: str
    """key of the merge, e.g. `dec/cat#0`; `output` for a seam; `input`; the parameter that draws a constant pattern"""
    value: tuple[float, float]
    """(vertical, horizontal): displacement in pixels of the merge, or period in output pixels, 0 for none"""
    error: tuple[float, float]
    """standard error of `value`; 0 for a period, which is a whole number"""
    text: str
    """what was found and what to do, in one or two sentences"""
