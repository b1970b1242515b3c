"""The verdict of a whole diagnosis, in plain words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from artifactlab.attribution.artifact_words import IMAGE, artifact_text, levels_text, period_text, size_text, words_for
from artifactlab.attribution.records import Finding, JointStep, SeverityMeasures, SiteDiagnosis
from artifactlab.attribution.sites.sizes import UnseenGrowth
from artifactlab.attribution.verdicts import is_likely, worsens
from artifactlab.scoring.periods import lattice_period, smallest_side
from artifactlab.scoring.severity import SILENT, VISIBLE

HARDLY = 0.01
"""Share below which a part is not told in percent: rounded to 0% it would read as no part at all."""


ONE_CROP = "one crop is too little to tell that from chance; give a second input of this size, or more."
"""Why there is no interval, and what helps: of larger outputs longer periods are measured, and these may be one crop
again."""


@dataclass(frozen=True)
class VerdictText:
    """A verdict in two parts, so that a heading need not hold all of it."""

    finding: str
    """Who is guilty of what, or that nobody is: a sentence or three."""
    besides: str
    """What else there is to know of sites, as sentences that follow it; empty where there is nothing."""

    def __str__(self) -> str:
        return self.finding + self.besides


def verdict_text(
    sites: Sequence[SiteDiagnosis],
    joint: Sequence[JointStep] | None,
    findings: Sequence[Finding],
    output: SeverityMeasures,
    period: tuple[int, ...],
    content_wanted: float = 0.0,
    brought: str = "",
    unseen: Sequence[UnseenGrowth] = (),
    names: Sequence[str] = IMAGE,
) -> VerdictText:
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
        names: of the directions of the outputs, as `artifactlab.models.layout.Layout` has them.

    Returns:
        Sentences in which sites stand with their full keys: they are read by programs, too, and keys are pasted. Where
        people read them, `artifactlab.attribution.handles` shortens them.
    """
    in_doubt = bool(unseen) and not brought and not any(site.verdict == "offender" for site in sites)
    in_doubt = in_doubt and output.severity >= VISIBLE
    return VerdictText(
        _in_doubt(unseen, output, names)
        if in_doubt
        else _main_finding(sites, joint, output, content_wanted, brought, names),
        _compensated(sites)
        + _unrepaired(sites, output)
        + _unmeasured(sites, period, names)
        + "".join(f" Besides, {finding.text}" for finding in findings)
        + (f" Besides, {unseen_text(unseen, names)}." if unseen and not in_doubt else ""),
    )


def unseen_text(unseen: Sequence[UnseenGrowth], names: Sequence[str] = IMAGE) -> str:
    """What the sizes of images say beyond what the sites explain, as the beginning of a sentence."""
    last = unseen[0]
    missing = [math.prod(scales) for scales in zip(*(growth.scale for growth in unseen), strict=True)]
    total = [seen * factor for seen, factor in zip(last.grown, missing, strict=True)]
    places = " and ".join(f"between {growth.since} and {growth.until}" for growth in unseen)
    return (
        f"the sites explain x{period_text(last.grown)} of the x{period_text(total)} by which {words_for(names).outputs}"
        f" grow on their way to the output; what enlarges the rest, {places}, was not seen"
    )


def signed(value: float | None) -> str:
    """An effect in three figures, with a sign unless it rounds to nothing."""
    if value is None:
        return "-"
    text = f"{value:+.0f}" if abs(value) >= 100 else f"{value:+.1f}" if abs(value) >= 10 else f"{value:+.2f}"
    return "0.00" if text in ("+0.00", "-0.00") else text


def plain(severity: float) -> str:
    """A severity in two decimals, without the sign of what rounds to nothing."""
    return f"{severity:.2f}".replace("-0.00", "0.00")


def share_text(share: float | None) -> str:
    """The part of the artifact that a site causes; one whose repair makes it worse causes none of it."""
    return "-" if share is None else f"{max(0.0, share):.0%}"


def strength_text(severity: float) -> str:
    """How many times as strong as what just shows something is: the root of its severity.

    >>> strength_text(4.0), strength_text(197.0)
    ('2.0', '14')
    """
    strength = math.sqrt(max(0.0, severity) / VISIBLE)
    return f"{strength:.{1 if strength < 9.95 else 0}f}"


def _main_finding(
    sites: Sequence[SiteDiagnosis],
    joint: Sequence[JointStep] | None,
    output: SeverityMeasures,
    content_wanted: float,
    brought: str,
    names: Sequence[str],
) -> str:
    offenders = [site for site in sites if site.verdict == "offender"]
    if output.severity < VISIBLE:
        return _clean(output, content_wanted, names)
    if brought:
        return f"No offender: the output shows {artifact_text(output, names)}, but {brought}"
    if offenders:
        return _guilty(offenders, joint, output, names)
    if sites[0].site.opaque:
        return (
            f"The output shows {artifact_text(output, names)}, and nothing inside the model could be seen to enlarge"
            " anything: it is an exported or fused graph, or one function. Give the Python model to learn which layer"
            " it is."
        )
    if is_likely(sites[0].effect, output.severity):
        return _likely(sites[0], output, names)
    if sites[0].effect.low is None:
        return f"Cannot tell: the output shows {artifact_text(output, names)}, but {ONE_CROP}"
    nobody = "no site is estimated to cause it" if joint is None else "repairing no single site removes it"
    return f"No offender: the output shows {artifact_text(output, names)}, but {nobody}."


def _in_doubt(unseen: Sequence[UnseenGrowth], output: SeverityMeasures, names: Sequence[str]) -> str:
    """An output in which something shows that a site of which nothing is known may have drawn."""
    return (
        f"Cannot tell: the output shows {artifact_text(output, names)}, and {unseen_text(unseen, names)}, so nobody is"
        " named for its lattice. Make that a module of its own, or a call of torch that enlarges, and diagnose again."
    )


def _clean(output: SeverityMeasures, content_wanted: float, names: Sequence[str]) -> str:
    """An output in which nothing was found, and whether anything could hide in it."""
    if content_wanted > 1:
        more = max(2, math.ceil(content_wanted))
        return (
            "Cannot tell: nothing was found in the output, but what shows could hide in its noise and texture;"
            f" it takes about {more} times as many inputs, or as many {words_for(names).pixels}."
        )
    return f"No offender: the output is clean ({levels_text(output, names)}; neither shows)."


def _guilty(
    offenders: Sequence[SiteDiagnosis],
    joint: Sequence[JointStep] | None,
    output: SeverityMeasures,
    names: Sequence[str],
) -> str:
    first = offenders[0]
    artifact = artifact_text(output, names, _drawn_at(first), first.effect.kind)
    removes = "would remove an estimated" if joint is None else "removes"
    also = _also_estimated(offenders[1:], output) if joint is None else _also(first.site.key, joint, output)
    return (
        f"{first.site.key} causes the output's {artifact}: repairing it alone {removes} "
        f"{_share(first.effect.value, output)} of it.{also}"
    )


def _drawn_at(site: SiteDiagnosis) -> tuple[float, ...] | None:
    """The period of what a site draws; None for stair-steps, which are told in pixels."""
    return site.site.period if site.effect.kind == "checkerboard" else None


def _share(value: float, output: SeverityMeasures) -> str:
    return f"{min(1.0, value / output.severity):.0%}"


def _also_estimated(others: Sequence[SiteDiagnosis], output: SeverityMeasures) -> str:
    """The other offenders of a fast diagnosis, each by itself."""
    if not others:
        return ""
    rest = ", ".join(f"{site.site.key} ({_share(site.effect.value, output)} alone)" for site in others)
    return f" Also suspect: {rest}."


def _also(first: str, joint: Sequence[JointStep], output: SeverityMeasures) -> str:
    """What repairing the other offenders adds, one after the other, and what remains then.

    All are shares of one whole, so that they add up with that of the first: each step takes a part of what those
    before it left, by energy as everywhere.
    """
    if len(joint) < 2:
        return ""
    left, severity, shares = 1.0, output.severity, []
    for step in joint:
        taken = left * min(1.0, max(0.0, step.adds.value / severity))
        shares.append((step.key, taken))
        left, severity = left - taken, max(step.severity, SILENT)
    rest = ", ".join(f"{key} ({_more(share)})" for key, share in shares if key != first)
    return f" Also guilty: {rest}. All repaired, " + (
        "nothing shows." if joint[-1].severity < VISIBLE else f"{_part(left)} is left."
    )


def _more(share: float) -> str:
    """What a further offender takes; a small part of something loud may well show by itself."""
    return f"{_part(share)} more" + (", which shows once the others are repaired" if share < HARDLY else "")


def _part(share: float) -> str:
    """A part that is there, and so never 0%."""
    return f"{share:.0%}" if share >= HARDLY else "under 1%"


def _likely(site: SiteDiagnosis, output: SeverityMeasures, names: Sequence[str]) -> str:
    """What is known where a repair takes most of the artifact, and its interval does not exclude nothing."""
    effect = site.effect
    artifact = artifact_text(output, names, _drawn_at(site), site.effect.kind)
    start = (
        f"Cannot tell for sure: the output shows {artifact}, and {site.site.key} is the likeliest cause:"
        f" repairing it removes an estimated {_share(effect.value, output)} of it"
    )
    if effect.low is None or effect.high is None:
        return f"{start}, but {ONE_CROP}"
    low, high = (min(1.0, max(0.0, end / output.severity)) for end in (effect.low, effect.high))
    return f"{start}, {low:.0%} to {high:.0%} with nine chances in ten. More or larger inputs narrow that down."


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


def _unmeasured(sites: Sequence[SiteDiagnosis], period: tuple[int, ...], names: Sequence[str]) -> str:
    """Sites whose own lattice has a longer period than the outputs can show, in the directions where it has."""
    too_long: dict[str, list[tuple[str, int]]] = {}
    for diagnosed in sites:
        own = lattice_period(diagnosed.site.period)
        for name, joint, spacing in zip(names, period, own, strict=True):
            if joint % spacing:
                too_long.setdefault(diagnosed.site.key, []).append((name, smallest_side(spacing)))
    if not too_long:
        return ""
    size = size_text([side for sides in too_long.values() for side in sides], names)
    return f" Not measured in full: {', '.join(too_long)}; that takes outputs of {size}."
