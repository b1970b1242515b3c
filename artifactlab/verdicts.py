"""From numbers to words: the verdict of a site, and the sentence about all of them."""

from __future__ import annotations

from collections.abc import Sequence

from artifactlab.records import Effect, Evidence, SiteDiagnosis, Verdict

VISIBLE = 1.0
"""severity below which an output is innocent, whatever its activations look like"""
LARGE_SHARE = 0.2
"""a site that causes this much of the output's severity is an offender, however little that is"""
SMALL_SHARE = 0.05
"""one that would show on its own is an offender too, unless it drowns in what others cause"""
EVIDENCE = Evidence(edge_jaggedness=0.1, axis_excess=0.25, checkerboard_energy=0.05)
"""above any of these an activation shows an artifact"""


def judge(evidence: Evidence, effect: Effect, severity: float) -> Verdict:
    """The verdict of one site, from its evidence, its effect, and the output's severity as it is.

    An interval that contains zero accuses nobody; neither does an artifact that does not show.
    """
    share = effect.value / severity if severity > 0 else 0.0
    surely_better = effect.value > 0 and (effect.low is None or effect.low > 0)
    surely_worse = effect.value < 0 and (effect.high is None or effect.high < 0)
    matters = share >= LARGE_SHARE or (effect.value >= VISIBLE and share >= SMALL_SHARE)
    if severity >= VISIBLE and surely_better and matters:
        return "offender"
    shows_then = severity - effect.value >= VISIBLE and -effect.value >= LARGE_SHARE * max(VISIBLE, severity)
    if surely_worse and shows_then:
        return "compensated"
    return "harmless" if shows(evidence) else "clean"


def shows(evidence: Evidence) -> bool:
    """Whether an activation shows an artifact at all."""
    return (
        evidence.edge_jaggedness >= EVIDENCE.edge_jaggedness
        or evidence.axis_excess >= EVIDENCE.axis_excess
        or evidence.checkerboard_energy >= EVIDENCE.checkerboard_energy
    )


def sentence(sites: Sequence[SiteDiagnosis], output: dict[str, float]) -> str:
    """The verdict in plain words."""
    offenders = [site for site in sites if site.verdict == "offender"]
    artifact = _artifact(output)
    if output["severity"] < VISIBLE:
        return f"No offender: the output is clean ({_levels(output)})." + _aside(sites)
    if not offenders:
        return f"No offender: the output shows {artifact}, but repairing no single site removes it." + _aside(sites)
    first = offenders[0]
    share = min(1.0, first.effect.share or 0.0)
    text = f"{first.site.key} causes {share:.0%} of the output's {artifact}"
    if first.effect.kind == "checkerboard":
        text += f", a grid of period {_period(first.site.period)}"
    if len(offenders) > 1:
        rest = ", ".join(f"{site.site.key} ({min(1.0, site.effect.share or 0.0):.0%})" for site in offenders[1:])
        text += f"; so do {rest}" if len(offenders) > 2 else f"; so does {rest}"
    return text + "." + _aside(sites)


def _artifact(output: dict[str, float]) -> str:
    """The output's artifacts that show, by name and size."""
    grid, steps = f"checkerboard ({_grid(output)})", f"stair-steps ({output['edge_jaggedness']:.2f} px)"
    if output["edge_jaggedness"] < 0.1:
        return grid
    return f"{grid} and {steps}" if output["lattice_amplitude"] >= 1 / 255 else steps


def _grid(output: dict[str, float]) -> str:
    return f"{255 * output['lattice_amplitude']:.1f}/255 rms"


def _levels(output: dict[str, float]) -> str:
    return f"grid {_grid(output)}, jaggedness {output['edge_jaggedness']:.2f} px, both below what shows"


def _aside(sites: Sequence[SiteDiagnosis]) -> str:
    """What a reader of the activations alone would have got wrong."""
    compensated = [site.site.key for site in sites if site.verdict == "compensated"]
    if not compensated:
        return ""
    whose = "its" if len(compensated) == 1 else "their"
    return f" Leave {', '.join(compensated)} alone: later layers cancel {whose} grid."


def _period(period: tuple[float, float]) -> str:
    return f"{period[0]:g}" if period[0] == period[1] else f"{period[0]:g}x{period[1]:g}"
