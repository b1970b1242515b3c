"""From numbers to words."""

from __future__ import annotations

import pytest

from artifactlab.records import Effect, Evidence, Site, SiteDiagnosis
from artifactlab.verdicts import judge, sentence

LOUD = Evidence(edge_jaggedness=0.0, axis_excess=0.0, checkerboard_energy=0.9)
QUIET = Evidence(edge_jaggedness=0.0, axis_excess=0.0, checkerboard_energy=0.0)


def effect(value: float, low: float | None, high: float | None, share: float = 0.0) -> Effect:
    return Effect(value, low, high, share, "checkerboard")


@pytest.mark.parametrize(
    ("evidence", "value", "low", "high", "severity", "verdict"),
    [
        (LOUD, 4.0, 3.0, 5.0, 5.0, "offender"),
        (QUIET, 4.0, 3.0, 5.0, 5.0, "offender"),  # evidence is not asked
        (LOUD, 4.0, None, None, 5.0, "offender"),  # one crop: no interval
        (LOUD, 4.0, -0.1, 9.0, 5.0, "harmless"),  # the interval contains zero
        (LOUD, 0.9, 0.8, 0.95, 0.95, "harmless"),  # all of it, but nothing shows
        (LOUD, 2.0, 1.5, 2.5, 30.0, "offender"),  # a small share that would show on its own
        (LOUD, 0.5, 0.4, 0.6, 30.0, "harmless"),  # a small share that would not
        (LOUD, 1.2, 1.0, 1.4, 90.0, "harmless"),  # drowned
        (LOUD, -5.0, -6.0, -4.0, 0.1, "compensated"),
        (LOUD, -5.0, -11.0, 0.1, 0.1, "harmless"),
        (LOUD, -0.3, -0.4, -0.2, 0.1, "harmless"),  # worse, but it still would not show
        (QUIET, -0.3, -0.4, -0.2, 0.1, "clean"),
        (QUIET, 0.0, 0.0, 0.0, 0.0, "clean"),
    ],
)
def test_a_verdict_needs_an_effect_that_is_sure_and_shows(
    evidence: Evidence, value: float, low: float, high: float, severity: float, verdict: str
) -> None:
    assert judge(evidence, effect(value, low, high), severity) == verdict


def diagnosed(name: str, verdict: str, share: float, period: tuple[int, int] = (4, 4)) -> SiteDiagnosis:
    site = Site(name, "interpolate", 0, (2, 2), period, (1, 1, 8, 8), (1, 1, 16, 16))
    return SiteDiagnosis(site, LOUD, effect(1.0, 0.5, 1.5, share), verdict, 1)  # type: ignore[arg-type]


def output(severity: float, grid: float, jaggedness: float) -> dict[str, float]:
    return {"severity": severity, "lattice_amplitude": grid, "edge_jaggedness": jaggedness}


def test_the_sentence_names_the_offender_its_share_and_its_period() -> None:
    text = sentence([diagnosed("dec.up2", "offender", 0.934)], output(9.0, 3 / 255, 0.02))
    assert text == "dec.up2/interpolate#0 causes 93% of the output's checkerboard (3.0/255 rms), a grid of period 4."


def test_the_sentence_names_what_must_be_left_alone() -> None:
    text = sentence([diagnosed("up", "compensated", -8.0)], output(0.2, 0.2 / 255, 0.0))
    assert text == (
        "No offender: the output is clean (grid 0.2/255 rms, jaggedness 0.00 px, both below what shows). "
        "Leave up/interpolate#0 alone: later layers cancel its grid."
    )


def test_the_sentence_says_when_no_single_site_explains_what_shows() -> None:
    text = sentence([diagnosed("up", "harmless", 0.01)], output(9.0, 0.0, 0.3))
    assert text == "No offender: the output shows stair-steps (0.30 px), but repairing no single site removes it."


def test_several_offenders_are_listed_with_their_shares() -> None:
    sites = [diagnosed("a", "offender", 0.6, (4, 2)), diagnosed("b", "offender", 0.3)]
    text = sentence(sites, output(9.0, 3 / 255, 0.3))
    assert text.startswith("a/interpolate#0 causes 60% of the output's checkerboard (3.0/255 rms) and stair-steps")
    assert text.endswith("a grid of period 4x2; so does b/interpolate#0 (30%).")
