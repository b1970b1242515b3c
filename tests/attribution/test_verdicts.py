"""From numbers to words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from artifactlab.attribution.records import Effect, Finding, JointStep, SiteDiagnosis
from artifactlab.attribution.sites.records import Evidence, Site
from artifactlab.attribution.verdicts import adds_enough, judge, sentence
from artifactlab.scoring.severity import VISIBLE_STEPS

LOUD = Evidence(edge_jaggedness=0.0, axis_excess=0.0, checkerboard_energy=0.9)
QUIET = Evidence(edge_jaggedness=0.0, axis_excess=0.0, checkerboard_energy=0.0)


def effect(value: float, low: float | None, high: float | None, share: float = 0.0) -> Effect:
    return Effect(value, low, high, share, "checkerboard")


@pytest.mark.parametrize(
    ("value", "low", "left", "whole", "enough"),
    [
        (4.0, 3.0, 5.0, 5.0, True),
        (4.0, None, 5.0, 5.0, False),  # one crop: no interval, no accusation
        (4.0, -0.1, 5.0, 5.0, False),  # the interval contains zero
        (0.9, 0.8, 0.95, 0.95, False),  # all of it, but nothing shows
        (2.0, 1.5, 30.0, 30.0, True),  # a small share that would show on its own
        (0.5, 0.4, 30.0, 30.0, False),  # a small share that would not
        (1.2, 1.0, 90.0, 90.0, False),  # drowned
        (1.2, 1.0, 2.0, 90.0, True),  # ... until the loud one is repaired
        (1.2, 1.0, 2.0, 900.0, False),  # within what other repairs leave over
    ],
)
def test_a_repair_is_named_if_it_surely_takes_enough(
    value: float, low: float | None, left: float, whole: float, enough: bool
) -> None:
    assert adds_enough(effect(value, low, 99.0), left, whole) == enough


@pytest.mark.parametrize(
    ("evidence", "value", "low", "high", "severity", "guilty", "verdict"),
    [
        (LOUD, 4.0, 3.0, 5.0, 5.0, True, "offender"),
        (QUIET, 4.0, 3.0, 5.0, 5.0, True, "offender"),  # evidence is not asked
        (LOUD, 4.0, 3.0, 5.0, 5.0, False, "harmless"),
        (LOUD, -5.0, -6.0, -4.0, 0.1, False, "compensated"),
        (LOUD, -5.0, -11.0, 0.1, 0.1, False, "harmless"),
        (LOUD, -0.3, -0.4, -0.2, 0.1, False, "harmless"),  # worse, but it still would not show
        (QUIET, -0.3, -0.4, -0.2, 0.1, False, "clean"),
        (QUIET, -5.0, -6.0, -4.0, 0.1, False, "clean"),  # nothing there to compensate: the repair has failed
        (QUIET, 0.0, 0.0, 0.0, 0.0, False, "clean"),
    ],
)
def test_a_verdict_asks_what_repairs_do_before_what_activations_show(
    evidence: Evidence, value: float, low: float, high: float, severity: float, guilty: bool, verdict: str
) -> None:
    site = diagnosed("a", "clean", 0.0).site
    assert judge(site, evidence, effect(value, low, high), severity, guilty) == verdict


def test_nothing_compensates_a_site_that_no_layer_follows() -> None:
    """Before a sigmoid alone a repair that makes things worse has failed, and the sentence says so."""
    worse = effect(-9.0, -11.0, -7.0)
    for follows, verdict in (("layers", "compensated"), ("pointwise", "harmless"), ("bounding", "harmless")):
        site = replace(diagnosed("head", "clean", 0.0).site, followed_by=follows)
        assert judge(site, LOUD, worse, 0.1, False) == verdict
        told = SiteDiagnosis(site, LOUD, worse, verdict, 1, 1)  # type: ignore[arg-type]
        text = sentence([told], (), (), output(0.3, 0.0), (4, 4))
        assert ("Could not repair head/interpolate#0" in text) == (follows != "layers")
        assert ("later layers cancel" in text) == (follows == "layers")


def diagnosed(
    name: str, verdict: str, share: float, period: tuple[int, int] = (4, 4), low: float | None = 0.5
) -> SiteDiagnosis:
    site = Site(name, "interpolate", 0, (2, 2), period, (1, 1, 8, 8), (1, 1, 16, 16))
    return SiteDiagnosis(site, LOUD, effect(share * 9.0, low, 1.5, share), verdict, 1, 1)  # type: ignore[arg-type]


def output(grid: float, jaggedness: float) -> dict[str, float]:
    """Of a grid in 1/255 and a jaggedness in pixels."""
    severity = grid**2 + (jaggedness / VISIBLE_STEPS) ** 2
    return {"severity": severity, "lattice_amplitude": grid / 255, "edge_jaggedness": jaggedness}


def test_the_sentence_names_the_offender_its_share_and_its_period() -> None:
    text = sentence([diagnosed("dec.up2", "offender", 0.934)], (), (), output(3.0, 0.02), (4, 4))
    assert text == (
        "dec.up2/interpolate#0 causes the output's checkerboard (3.0/255 rms, period 4): "
        "repairing it alone removes 93% of it."
    )


def test_the_sentence_names_what_must_be_left_alone() -> None:
    text = sentence([diagnosed("up", "compensated", -8.0)], (), (), output(0.2, 0.0), (4, 4))
    assert text == (
        "No offender: the output is clean (grid 0.2/255 rms, jaggedness 0.00 px; neither shows). "
        "Leave up/interpolate#0 alone: later layers cancel what it draws."
    )


def test_the_sentence_says_when_no_single_site_explains_what_shows() -> None:
    text = sentence([diagnosed("up", "harmless", 0.01)], (), (), output(0.0, 0.3), (4, 4))
    assert text == "No offender: the output shows stair-steps (0.30 px), but repairing no single site removes it."


def test_the_sentence_admits_that_one_crop_cannot_tell() -> None:
    text = sentence([diagnosed("up", "harmless", 0.9, low=None)], (), (), output(3.0, 0.0), (4, 4))
    assert text.startswith("Cannot tell: the output shows checkerboard (3.0/255 rms), but is too small for an interval")
    assert "give more or larger inputs" in text  # of a generator, whose outputs have one size, more codes do


def test_several_offenders_are_listed_with_what_each_adds_and_what_is_left() -> None:
    sites = [diagnosed("a", "offender", 0.6, (4, 2)), diagnosed("b", "offender", 0.3)]
    whole = output(3.0, 0.31)["severity"]
    adds = effect(whole * 0.25, 1.0, 9.0, 0.4)
    joint = (JointStep("a/interpolate#0", adds, 9.0), JointStep("b/interpolate#0", adds, 0.5))
    text = sentence(sites, joint, (), output(3.0, 0.31), (4, 4))
    assert text.startswith("a/interpolate#0 causes the output's stair-steps (0.31 px) and checkerboard (3.0/255 rms, ")
    assert text.endswith("Also guilty: b/interpolate#0 (25% more). All repaired, nothing shows.")
    left = (joint[0], JointStep("b/interpolate#0", adds, whole * 0.1))
    assert sentence(sites, left, (), output(3.0, 0.31), (4, 4)).endswith("All repaired, 10% is left.")


def test_coarse_causes_are_told_besides() -> None:
    seam = Finding("seam", "output", (48.0, 0.0), (0.0, 0.0), "the output has straight seams.")
    text = sentence([diagnosed("a", "clean", 0.0)], (), (seam,), output(0.0, 0.0), (4, 4))
    assert text.endswith("Besides, the output has straight seams.")


def test_a_severity_just_above_one_from_both_kinds_names_the_larger() -> None:
    text = sentence([diagnosed("a", "harmless", 0.05)], (), (), output(0.8, 0.07), (4, 4))
    assert "shows checkerboard (0.8/255 rms)," in text


def test_a_site_whose_repair_takes_most_is_named_however_wide_its_interval_is() -> None:
    wide = diagnosed("a", "harmless", 0.1)
    wide = replace(wide, effect=effect(8.9, -2.0, 15.0, 0.99))
    text = sentence([wide, diagnosed("b", "clean", 0.0)], (), (), output(3.0, 0.0), (4, 4))
    assert text.startswith(
        "Cannot tell for sure: the output shows checkerboard (3.0/255 rms, period 4), and a/interpolate#0"
    )
    assert "removes an estimated 99% of it, 0% to 100%" in text
    assert "No offender" not in text


def test_sites_wider_than_the_output_are_named_not_called_clean() -> None:
    sites = [diagnosed("wide", "clean", 0.0, (64, 64)), diagnosed("a", "clean", 0.0)]
    text = sentence(sites, (), (), output(0.0, 0.0), (4, 4))
    assert text.endswith("Not measured in full: wide/interpolate#0; that takes outputs of 272 pixels a side.")
