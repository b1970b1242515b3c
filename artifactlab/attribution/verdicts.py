"""The verdict of one site: from its evidence, its effect and the output's severity to one of five words."""

from __future__ import annotations

from collections.abc import Sequence

from artifactlab.attribution.records import Effect, JointStep, Verdict
from artifactlab.attribution.sites.records import Evidence, Site
from artifactlab.scoring.severity import VISIBLE

# The shares below are round numbers and were not tuned; docs/decisions.md says under "Offenders are what is repaired
# together" what they are for, and docs/benchmarks/diagnosis.md what `benchmarks/planted.py` finds.
LARGE_SHARE = 0.2
"""Share of the remaining severity from which on a repair is worth naming, however little severity that is."""
SMALL_SHARE = 0.05
"""Share of the remaining severity that a repair must take at least, where what it takes would show on its own; less is
drowned by the rest."""
LEAST_SHARE = 0.01
"""Share of the output's whole severity that a repair must take in any case; less is within what the repairs of other
sites leave over."""
LIKELY_SHARE = 0.5
"""Share of the severity from which on a site is named as the likeliest cause, however wide its interval is: to
say that no site removes it would mislead then. See docs/decisions.md, "An interval that reaches nothing is no
acquittal"."""
EVIDENCE = Evidence(edge_jaggedness=0.1, axis_excess=0.25, checkerboard_energy=0.05)
"""Smallest evidence at which an activation is said to show an artifact. A tenth of a pixel is what shows in an image
(docs/decisions.md, "From where on it shows was not ours to say"). The other two are round numbers, as nobody is accused
by evidence: it only tells `harmless` and `compensated` from `clean`."""


def adds_enough(adds: Effect, remaining: float, total: float) -> bool:
    """Whether a repair is worth naming: its interval lies above zero, and it takes enough.

    Args:
        adds: the repair's effect. One that has no interval accuses nobody.
        remaining: severity before this repair.
        total: severity of the output with nothing repaired.
    """
    if adds.low is None or adds.low <= 0 or remaining < VISIBLE:
        return False
    large = adds.value >= LARGE_SHARE * remaining or adds.value >= max(VISIBLE, SMALL_SHARE * remaining)
    return large and adds.value >= LEAST_SHARE * total


def explains_nearly_all(joint: Sequence[JointStep], severity: float) -> bool:
    """Whether repairing the guilty sites leaves too little for growth that was not seen to have drawn it."""
    return bool(joint) and joint[-1].severity < max(VISIBLE, LARGE_SHARE * severity)


def judge(
    site: Site,
    evidence: Evidence,
    effect: Effect,
    severity: float,
    guilty: bool,
    estimate: bool = False,
    likely: bool = False,
) -> Verdict:
    """The verdict of one site.

    Args:
        site: the site; nothing compensates one that no layer follows.
        evidence: what its activation shows. Where that is nothing, nothing is compensated: a repair that makes it worse
            has only failed, as on screentone of the lattice's own period.
        effect: what repairing it alone does to the output.
        severity: severity of the output with nothing repaired.
        guilty: whether it is one of the sites that are repaired together.
        estimate: whether the effect is an estimate that proves nothing.
        likely: whether it is named as the likeliest cause, where nobody is guilty for sure; see `is_likely`.
    """
    if guilty:
        return "offender"
    if likely:
        return "suspect"
    if not has_artifact(evidence):
        return "clean"
    compensated = not estimate and site.followed_by == "layers" and worsens(effect, severity)
    return "compensated" if compensated else "harmless"


def is_likely(effect: Effect, severity: float) -> bool:
    """Whether a repair takes most of what shows, which is worth naming however little is sure."""
    return severity >= VISIBLE and effect.value >= LIKELY_SHARE * severity


def worsens(effect: Effect, severity: float) -> bool:
    """Whether a repair surely makes an output worse, by enough to show."""
    surely = effect.high is not None and effect.high < 0
    return surely and severity - effect.value >= VISIBLE and -effect.value >= LARGE_SHARE * max(VISIBLE, severity)


def has_artifact(evidence: Evidence) -> bool:
    """Whether an activation shows an artifact at all."""
    return (
        evidence.edge_jaggedness >= EVIDENCE.edge_jaggedness
        or evidence.axis_excess >= EVIDENCE.axis_excess
        or evidence.checkerboard_energy >= EVIDENCE.checkerboard_energy
    )
