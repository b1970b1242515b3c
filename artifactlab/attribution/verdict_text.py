"""The verdict of a whole diagnosis, in plain words."""

from __future__ import annotations

import math
from collections.abc import Sequence

from artifactlab.attribution.records import Finding, JointStep, SeverityMeasures, SiteDiagnosis
from artifactlab.attribution.sites.sizes import UnseenGrowth
from artifactlab.attribution.verdicts import LIKELY_SHARE, worsens
from artifactlab.metrics.visible import VISIBLE_STEPS
from artifactlab.scoring.periods import lattice_period, smallest_side
from artifactlab.scoring.severity import VISIBLE


def verdict_text(
    sites: Sequence[SiteDiagnosis],
    joint: Sequence[JointStep] | None,
    findings: Sequence[Finding],
    output: SeverityMeasures,
    period: tuple[int, int],
    content_wanted: float = 0.0,
    brought: str = "",
    unseen: Sequence[UnseenGrowth] = (),
) -> str:
    """The verdict in plain words, the main finding first.

    Args:
        sites: all sites by rank.
        joint: the sites that were repaired together; None where nothing was repaired, in a fast diagnosis.
        findings: causes that are no site's lattice.
        output: what the outputs show.
        period: the lattice that the outputs were measured at.
        content_wanted: how many times as much content it takes to tell; up to 1 is enough.
        brought: what the inputs brought along, where that is all of what shows.
        unseen: what enlarges images and is none of the sites.
    """
    in_doubt = bool(unseen) and not brought and not any(site.verdict == "offender" for site in sites)
    in_doubt = in_doubt and output.severity >= VISIBLE
    return (
        (_in_doubt(unseen, output) if in_doubt else _main_finding(sites, joint, output, content_wanted, brought))
        + _compensated(sites)
        + _unrepaired(sites, output)
        + _unmeasured(sites, period)
        + "".join(f" Besides, {finding.text}" for finding in findings)
        + (f" Besides, {unseen_text(unseen)}." if unseen and not in_doubt else "")
    )


def period_text(period: tuple[float, float]) -> str:
    """A period as people write it: 4, or 4x2."""
    return f"{period[0]:g}" if period[0] == period[1] else f"{period[0]:g}x{period[1]:g}"


def unseen_text(unseen: Sequence[UnseenGrowth]) -> str:
    """What the sizes of images say beyond what the sites explain, as the beginning of a sentence."""
    last = unseen[0]
    missing = [math.prod(growth.scale[axis] for growth in unseen) for axis in (0, 1)]
    total = (last.grown[0] * missing[0], last.grown[1] * missing[1])
    places = " and ".join(f"between {growth.since} and {growth.until}" for growth in unseen)
    return (
        f"the sites explain x{period_text(last.grown)} of the x{period_text(total)} by which images grow on their way"
        f" to the output; what enlarges the rest, {places}, was not seen"
    )


def signed(value: float | None) -> str:
    """An effect in three figures, with a sign unless it rounds to nothing."""
    if value is None:
        return "-"
    text = f"{value:+.0f}" if abs(value) >= 100 else f"{value:+.1f}" if abs(value) >= 10 else f"{value:+.2f}"
    return "0.00" if text in ("+0.00", "-0.00") else text


def _main_finding(
    sites: Sequence[SiteDiagnosis],
    joint: Sequence[JointStep] | None,
    output: SeverityMeasures,
    content_wanted: float,
    brought: str,
) -> str:
    offenders = [site for site in sites if site.verdict == "offender"]
    if output.severity < VISIBLE:
        return _clean(output, content_wanted)
    if brought:
        return f"No offender: the output shows {_artifact(output)}, but {brought}"
    if offenders:
        return _guilty(offenders, joint, output)
    if sites[0].site.opaque:
        return (
            f"The output shows {_artifact(output)}, and nothing inside the model could be seen to enlarge anything: it"
            " is an exported or fused graph, or one function. Give the Python model to learn which layer it is."
        )
    if all(site.effect.low is None for site in sites):
        return (
            f"Cannot tell: the output shows {_artifact(output)}, but is too small for an interval; give more"
            " or larger inputs."
        )
    if sites[0].effect.value >= LIKELY_SHARE * output.severity:
        return _likely(sites[0], output)
    nobody = "no site is estimated to cause it" if joint is None else "repairing no single site removes it"
    return f"No offender: the output shows {_artifact(output)}, but {nobody}."


def _in_doubt(unseen: Sequence[UnseenGrowth], output: SeverityMeasures) -> str:
    """An output in which something shows that a site of which nothing is known may have drawn."""
    return (
        f"Cannot tell: the output shows {_artifact(output)}, and {unseen_text(unseen)}, so nobody is named for its"
        " lattice. Make that a module of its own, or a call of torch that enlarges, and diagnose again."
    )


def _clean(output: SeverityMeasures, content_wanted: float) -> str:
    """An output in which nothing was found, and whether anything could hide in it."""
    if content_wanted > 1:
        more = max(2, math.ceil(content_wanted))
        return (
            "Cannot tell: nothing was found in the output, but what shows could hide in its noise and texture;"
            f" it takes about {more} times as many inputs, or as many pixels."
        )
    levels = f"grid {_grid(output)}, jaggedness {output.edge_jaggedness:.2f} px"
    return f"No offender: the output is clean ({levels}; neither shows)."


def _guilty(offenders: Sequence[SiteDiagnosis], joint: Sequence[JointStep] | None, output: SeverityMeasures) -> str:
    first = offenders[0]
    removes = "would remove an estimated" if joint is None else "removes"
    also = _also_estimated(offenders[1:], output) if joint is None else _also(joint, output)
    return (
        f"{first.site.key} causes the output's {_artifact(output, first)}: repairing it alone {removes} "
        f"{_share(first.effect.value, output)} of it.{also}"
    )


def _artifact(output: SeverityMeasures, offender: SiteDiagnosis | None = None) -> str:
    """The output's larger artifact and, if the other shows as well, both; with the offender's period."""
    by_grid = offender is not None and offender.effect.kind == "checkerboard"
    where = f", period {period_text(offender.site.period)}" if offender and by_grid else ""
    # the rest is the grid: its amplitude alone does not say how visible it is
    steps = (output.edge_jaggedness / VISIBLE_STEPS) ** 2
    names = [
        (output.severity - steps, f"checkerboard ({_grid(output)}{where})"),
        (steps, f"stair-steps ({output.edge_jaggedness:.2f} px)"),
    ]
    names.sort(reverse=True)
    visible = [name for size, name in names if size >= VISIBLE] or [names[0][1]]
    return " and ".join(visible)


def _grid(output: SeverityMeasures) -> str:
    return f"{255 * output.lattice_amplitude:.1f}/255 rms"


def _share(value: float, output: SeverityMeasures) -> str:
    return f"{min(1.0, value / output.severity):.0%}"


def _also_estimated(others: Sequence[SiteDiagnosis], output: SeverityMeasures) -> str:
    """The other offenders of a fast diagnosis, each by itself."""
    if not others:
        return ""
    rest = ", ".join(f"{site.site.key} ({_share(site.effect.value, output)} alone)" for site in others)
    return f" Also suspect: {rest}."


def _also(joint: Sequence[JointStep], output: SeverityMeasures) -> str:
    """What repairing the other offenders adds, one after the other, and what remains then."""
    if len(joint) < 2:
        return ""
    rest = ", ".join(f"{step.key} ({_share(step.adds.value, output)} more)" for step in joint[1:])
    remaining = joint[-1].severity
    return f" Also guilty: {rest}. All repaired, " + (
        "nothing shows." if remaining < VISIBLE else f"{_share(remaining, output)} is left."
    )


def _likely(site: SiteDiagnosis, output: SeverityMeasures) -> str:
    """What is known where a repair takes most of the artifact, and its interval does not exclude nothing."""
    effect = site.effect
    low, high = (min(1.0, max(0.0, (end or 0.0) / output.severity)) for end in (effect.low, effect.high))
    return (
        f"Cannot tell for sure: the output shows {_artifact(output, site)}, and {site.site.key} is the likeliest cause:"
        f" repairing it removes an estimated {_share(effect.value, output)} of it, {low:.0%} to {high:.0%} with"
        " nine chances in ten. More or larger inputs narrow that down."
    )


def _unrepaired(sites: Sequence[SiteDiagnosis], output: SeverityMeasures) -> str:
    """Sites whose repair makes things worse though nothing follows that could have compensated them."""
    keys = [
        site.site.key
        for site in sites
        if site.verified and site.site.followed_by != "layers" and worsens(site.effect, output.severity)
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
    """Sites whose own lattice has a longer period than the outputs can show."""
    too_long = [
        site.site
        for site in sites
        if any(joint % own for joint, own in zip(period, lattice_period(site.site.period), strict=True))
    ]
    if not too_long:
        return ""
    side = smallest_side(max(max(lattice_period(site.period)) for site in too_long))
    keys = ", ".join(site.key for site in too_long)
    return f" Not measured in full: {keys}; that takes outputs of {side} pixels a side."
