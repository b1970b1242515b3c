"""From numbers to words: the verdict of a site, and the sentence about all of them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from artifactlab.evidence import lattice_period
from artifactlab.metrics.visible import VISIBLE_STEPS
from artifactlab.records import Effect, Evidence, Finding, JointStep, Site, SiteDiagnosis, Verdict
from artifactlab.severity import VISIBLE, smallest_side

LARGE_SHARE = 0.2
"""a repair that takes this much of the severity that is left is worth naming, however little that is"""
SMALL_SHARE = 0.05
"""so is one that takes what would show on its own, unless it drowns in what is left"""
LEAST_SHARE = 0.01
"""of the whole severity: less is within what other sites' repairs leave over"""
LIKELY_SHARE = 0.5
"""of the severity: a site whose repair takes that much is named as the likeliest, however wide its interval is"""
EVIDENCE = Evidence(edge_jaggedness=0.1, axis_excess=0.25, checkerboard_energy=0.05)
"""above any of these an activation shows an artifact"""


def adds_enough(adds: Effect, left: float, whole: float) -> bool:
    """Whether a repair is worth naming that takes `adds` from the severity `left`; `whole` is the output's as it is.

    An interval that contains zero accuses nobody; neither does an effect without one.
    """
    if adds.low is None or adds.low <= 0 or left < VISIBLE:
        return False
    large = adds.value >= LARGE_SHARE * left or adds.value >= max(VISIBLE, SMALL_SHARE * left)
    return large and adds.value >= LEAST_SHARE * whole


def judge(
    site: Site, evidence: Evidence, effect: Effect, severity: float, guilty: bool, estimate: bool = False
) -> Verdict:
    """The verdict of one site.

    Args:
        site: nothing compensates one that no layer follows.
        evidence: at its activation. Where it shows nothing, nothing is compensated: a repair that makes it worse
            has only failed, as on screentone of the lattice's own period.
        effect: on the output, repaired alone.
        severity: of the output as it is.
        guilty: whether it is one of the sites that are repaired together.
        estimate: whether the effect is one that proves nothing.
    """
    if guilty:
        return "offender"
    if not estimate and site.followed_by == "layers" and shows(evidence) and worsens(effect, severity):
        return "compensated"
    return "harmless" if shows(evidence) else "clean"


def worsens(effect: Effect, severity: float) -> bool:
    """Whether a repair surely makes an output worse, and so that it shows."""
    surely = effect.high is not None and effect.high < 0
    return surely and severity - effect.value >= VISIBLE and -effect.value >= LARGE_SHARE * max(VISIBLE, severity)


def shows(evidence: Evidence) -> bool:
    """Whether an activation shows an artifact at all."""
    return (
        evidence.edge_jaggedness >= EVIDENCE.edge_jaggedness
        or evidence.axis_excess >= EVIDENCE.axis_excess
        or evidence.checkerboard_energy >= EVIDENCE.checkerboard_energy
    )


def sentence(
    sites: Sequence[SiteDiagnosis],
    joint: Sequence[JointStep] | None,
    findings: Sequence[Finding],
    output: dict[str, float],
    period: tuple[int, int],
    content_wanted: float = 0.0,
    brought: str = "",
) -> str:
    """The verdict in plain words.

    Args:
        sites: by rank.
        joint: what was repaired together; None where nothing was repaired, in a fast diagnosis.
        findings: coarse causes.
        output: what it shows.
        period: the lattice that the output was measured at.
        content_wanted: how many times as much content it takes to tell; up to 1 is enough.
        brought: what the inputs brought along, where that is all of what shows.
    """
    offenders = [site for site in sites if site.verdict == "offender"]
    if output["severity"] < VISIBLE:
        levels = f"grid {_grid(output)}, jaggedness {output['edge_jaggedness']:.2f} px"
        text = f"No offender: the output is clean ({levels}; neither shows)."
        if content_wanted > 1:
            more = max(2, math.ceil(content_wanted))
            text = (
                "Cannot tell: nothing was found in the output, but what shows could hide in its noise and texture;"
                f" it takes about {more} times as many inputs, or as many pixels."
            )
    elif brought:
        text = f"No offender: the output shows {_artifact(output)}, but {brought}"
    elif offenders:
        first = offenders[0]
        removes = "would remove an estimated" if joint is None else "removes"
        also = _also_estimated(offenders[1:], output) if joint is None else _also(joint, output)
        text = f"{first.site.key} causes the output's {_artifact(output, first)}: repairing it alone {removes} "
        text += f"{_share(first.effect.value, output)} of it.{also}"
    elif sites[0].site.opaque:
        text = (
            f"The output shows {_artifact(output)}, and nothing inside the model could be seen to enlarge anything: it"
            " is an exported or fused graph, or one function. Give the Python model to learn which layer it is."
        )
    elif all(site.effect.low is None for site in sites):
        text = (
            f"Cannot tell: the output shows {_artifact(output)}, but is too small for an interval; give more"
            " or larger inputs."
        )
    elif (likeliest := sites[0]).effect.value >= LIKELY_SHARE * output["severity"]:
        text = _likely(likeliest, output)
    else:
        nobody = "no site is estimated to cause it" if joint is None else "repairing no single site removes it"
        text = f"No offender: the output shows {_artifact(output)}, but {nobody}."
    return text + _compensated(sites) + _unrepaired(sites, output) + _unmeasured(sites, period) + _coarse(findings)


def period_text(period: tuple[float, float]) -> str:
    """A period as people write it: 4, or 4x2."""
    return f"{period[0]:g}" if period[0] == period[1] else f"{period[0]:g}x{period[1]:g}"


def signed(value: float | None) -> str:
    """An effect in three figures, with a sign unless it rounds to nothing."""
    if value is None:
        return "-"
    text = f"{value:+.0f}" if abs(value) >= 100 else f"{value:+.1f}" if abs(value) >= 10 else f"{value:+.2f}"
    return "0.00" if text in ("+0.00", "-0.00") else text


def _artifact(output: dict[str, float], offender: SiteDiagnosis | None = None) -> str:
    """The output's larger artifact and, if the other shows as well, both; with the offender's period."""
    steps = (output["edge_jaggedness"] / VISIBLE_STEPS) ** 2
    grid = output["severity"] - steps  # its amplitude alone does not say how visible it is
    by_grid = offender is not None and offender.effect.kind == "checkerboard"
    where = f", period {period_text(offender.site.period)}" if offender and by_grid else ""
    names = [
        (grid, f"checkerboard ({_grid(output)}{where})"),
        (steps, f"stair-steps ({output['edge_jaggedness']:.2f} px)"),
    ]
    names.sort(reverse=True)
    shown = [name for size, name in names if size >= VISIBLE] or [names[0][1]]
    return " and ".join(shown)


def _grid(output: dict[str, float]) -> str:
    return f"{255 * output['lattice_amplitude']:.1f}/255 rms"


def _share(value: float, output: dict[str, float]) -> str:
    return f"{min(1.0, value / output['severity']):.0%}"


def _also_estimated(others: Sequence[SiteDiagnosis], output: dict[str, float]) -> str:
    """The other offenders of a fast diagnosis, each by itself."""
    if not others:
        return ""
    rest = ", ".join(f"{site.site.key} ({_share(site.effect.value, output)} alone)" for site in others)
    return f" Also suspect: {rest}."


def _also(joint: Sequence[JointStep], output: dict[str, float]) -> str:
    """What repairing the other offenders adds, one after the other, and what is left then."""
    if len(joint) < 2:
        return ""
    rest = ", ".join(f"{step.key} ({_share(step.adds.value, output)} more)" for step in joint[1:])
    left = joint[-1].severity
    return f" Also guilty: {rest}. All repaired, " + (
        "nothing shows." if left < VISIBLE else f"{_share(left, output)} is left."
    )


def _likely(site: SiteDiagnosis, output: dict[str, float]) -> str:
    """What is known where a repair takes most of the artifact, and its interval does not exclude nothing."""
    effect, severity = site.effect, output["severity"]
    low, high = (min(1.0, max(0.0, (end or 0.0) / severity)) for end in (effect.low, effect.high))
    return (
        f"Cannot tell for sure: the output shows {_artifact(output, site)}, and {site.site.key} is the likeliest cause:"
        f" repairing it removes an estimated {_share(effect.value, output)} of it, {low:.0%} to {high:.0%} with"
        " nine chances in ten. More or larger inputs narrow that down."
    )


def _unrepaired(sites: Sequence[SiteDiagnosis], output: dict[str, float]) -> str:
    """Sites whose repair makes things worse though nothing follows that could have compensated them."""
    keys = [
        site.site.key
        for site in sites
        if site.verified and site.site.followed_by != "layers" and worsens(site.effect, output["severity"])
    ]
    if not keys:
        return ""
    return (
        f" Could not repair {', '.join(keys)}: the attempt draws more than it removes, and no layer follows that could"
        " have compensated it; see what `artifactlab lint` says of its kernel."
    )


def _compensated(sites: Sequence[SiteDiagnosis]) -> str:
    """What a reader of the activations alone would have got wrong."""
    keys = [site.site.key for site in sites if site.verdict == "compensated"]
    if not keys:
        return ""
    what = "it draws" if len(keys) == 1 else "they draw, or they cancel each other"
    return f" Leave {', '.join(keys)} alone: later layers cancel what {what}."


def _unmeasured(sites: Sequence[SiteDiagnosis], period: tuple[int, int]) -> str:
    """Sites whose own lattice is wider than the output can show."""
    wide = [
        site.site
        for site in sites
        if any(joint % own for joint, own in zip(period, lattice_period(site.site.period), strict=True))
    ]
    if not wide:
        return ""
    side = smallest_side(max(max(lattice_period(site.period)) for site in wide))
    return f" Not measured in full: {', '.join(site.key for site in wide)}; that takes outputs of {side} pixels a side."


def _coarse(findings: Sequence[Finding]) -> str:
    """What is wrong besides, and no site's doing."""
    return "".join(f" Besides, {finding.text}" for finding in findings)
