"""The verdict of a whole diagnosis, in plain words."""

from __future__ import annotations

from dataclasses import replace

from artifactlab.attribution.records import Effect, Finding, JointStep, SeverityMeasures, SiteDiagnosis
from artifactlab.attribution.sites.records import Evidence, Site
from artifactlab.attribution.verdict_text import verdict_text
from artifactlab.metrics.visible import VISIBLE_STEPS

LOUD = Evidence(edge_jaggedness=0.0, axis_excess=0.0, checkerboard_energy=0.9)


def effect(value: float, low: float | None, high: float | None, share: float = 0.0) -> Effect:
    return Effect(value, low, high, share, "checkerboard")


def diagnosed(
    name: str, verdict: str, share: float, period: tuple[int, int] = (4, 4), low: float | None = 0.5
) -> SiteDiagnosis:
    site = Site(name, "interpolate", 0, (2, 2), period, (1, 1, 8, 8), (1, 1, 16, 16))
    return SiteDiagnosis(site, LOUD, effect(share * 9.0, low, 1.5, share), verdict, 1, 1)  # type: ignore[arg-type]


def output(grid: float, jaggedness: float) -> SeverityMeasures:
    """What an output with a grid in 1/255 and a jaggedness in pixels shows."""
    return SeverityMeasures(grid**2 + (jaggedness / VISIBLE_STEPS) ** 2, grid / 255, jaggedness)


def test_a_repair_that_makes_things_worse_has_failed_where_no_layer_follows() -> None:
    """So it is before a sigmoid alone."""
    for follows in ("layers", "pointwise", "bounding"):
        verdict = "compensated" if follows == "layers" else "harmless"
        site = replace(diagnosed("head", "clean", 0.0).site, followed_by=follows)
        worse = SiteDiagnosis(site, LOUD, effect(-9.0, -11.0, -7.0), verdict, 1, 1)
        text = verdict_text([worse], (), (), output(0.3, 0.0), (4, 4))
        assert ("Could not repair head/interpolate#0" in text) == (follows != "layers")
        assert ("later layers cancel" in text) == (follows == "layers")


def test_the_text_names_the_offender_its_share_and_its_period() -> None:
    text = verdict_text([diagnosed("dec.up2", "offender", 0.934)], (), (), output(3.0, 0.02), (4, 4))
    assert text == (
        "dec.up2/interpolate#0 causes the output's checkerboard (3.0/255 rms, period 4): "
        "repairing it alone removes 93% of it."
    )


def test_the_text_names_what_must_be_left_alone() -> None:
    text = verdict_text([diagnosed("up", "compensated", -8.0)], (), (), output(0.2, 0.0), (4, 4))
    assert text == (
        "No offender: the output is clean (grid 0.2/255 rms, jaggedness 0.00 px; neither shows). "
        "Leave up/interpolate#0 alone: later layers cancel what it draws."
    )


def test_the_text_says_when_no_single_site_explains_what_shows() -> None:
    text = verdict_text([diagnosed("up", "harmless", 0.01)], (), (), output(0.0, 0.3), (4, 4))
    assert text == "No offender: the output shows stair-steps (0.30 px), but repairing no single site removes it."


def test_the_text_admits_that_one_crop_cannot_tell() -> None:
    text = verdict_text([diagnosed("up", "harmless", 0.9, low=None)], (), (), output(3.0, 0.0), (4, 4))
    assert text.startswith("Cannot tell: the output shows checkerboard (3.0/255 rms), but is too small for an interval")
    assert "give more or larger inputs" in text  # of a generator, whose outputs have one size, more codes do


def test_several_offenders_are_listed_with_what_each_adds_and_what_is_left() -> None:
    sites = [diagnosed("a", "offender", 0.6, (4, 2)), diagnosed("b", "offender", 0.3)]
    total = output(3.0, 0.31).severity
    adds = effect(total * 0.25, 1.0, 9.0, 0.4)
    joint = (JointStep("a/interpolate#0", adds, 9.0), JointStep("b/interpolate#0", adds, 0.5))
    text = verdict_text(sites, joint, (), output(3.0, 0.31), (4, 4))
    assert text.startswith("a/interpolate#0 causes the output's stair-steps (0.31 px) and checkerboard (3.0/255 rms, ")
    assert text.endswith("Also guilty: b/interpolate#0 (25% more). All repaired, nothing shows.")
    remaining = (joint[0], JointStep("b/interpolate#0", adds, total * 0.1))
    assert verdict_text(sites, remaining, (), output(3.0, 0.31), (4, 4)).endswith("All repaired, 10% is left.")


def test_coarse_causes_are_told_besides() -> None:
    seam = Finding("seam", "output", (48.0, 0.0), (0.0, 0.0), "the output has straight seams.")
    text = verdict_text([diagnosed("a", "clean", 0.0)], (), (seam,), output(0.0, 0.0), (4, 4))
    assert text.endswith("Besides, the output has straight seams.")


def test_a_severity_just_above_one_from_both_kinds_names_the_larger() -> None:
    text = verdict_text([diagnosed("a", "harmless", 0.05)], (), (), output(0.8, 0.07), (4, 4))
    assert "shows checkerboard (0.8/255 rms)," in text


def test_a_site_whose_repair_takes_most_is_named_however_wide_its_interval_is() -> None:
    likely = replace(diagnosed("a", "harmless", 0.1), effect=effect(8.9, -2.0, 15.0, 0.99))
    text = verdict_text([likely, diagnosed("b", "clean", 0.0)], (), (), output(3.0, 0.0), (4, 4))
    assert text.startswith(
        "Cannot tell for sure: the output shows checkerboard (3.0/255 rms, period 4), and a/interpolate#0"
    )
    assert "removes an estimated 99% of it, 0% to 100%" in text
    assert "No offender" not in text


def test_sites_of_a_longer_period_than_the_output_shows_are_named_not_called_clean() -> None:
    sites = [diagnosed("wide", "clean", 0.0, (64, 64)), diagnosed("a", "clean", 0.0)]
    text = verdict_text(sites, (), (), output(0.0, 0.0), (4, 4))
    assert text.endswith("Not measured in full: wide/interpolate#0; that takes outputs of 272 pixels a side.")
