"""The verdict of a whole diagnosis, in plain words."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from artifactlab.attribution.records import Effect, Finding, JointStep, SeverityMeasures, SiteDiagnosis
from artifactlab.attribution.sites.records import Evidence, Site
from artifactlab.attribution.sites.sizes import UnseenGrowth
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


def told(*args: Any, **named: Any) -> str:
    """The whole of a verdict."""
    return str(verdict_text(*args, **named))


def test_a_verdict_is_its_main_finding_and_what_else_there_is_to_know() -> None:
    seam = Finding("seam", "output", (8, 0), (0.0, 0.0), "straight seams every 8 rows.")
    text = verdict_text(
        [diagnosed("up", "offender", 0.9), diagnosed("a", "compensated", -1.0)], (), (seam,), output(3.0, 0.0), (4, 4)
    )
    assert text.finding.startswith("up/interpolate#0 causes")
    assert text.finding.endswith("of it.")
    assert text.besides.startswith(" Leave a/interpolate#0 alone")
    assert text.besides.endswith("every 8 rows.")
    assert str(text) == text.finding + text.besides


def test_a_repair_that_makes_things_worse_has_failed_where_no_layer_follows() -> None:
    """So it is before a sigmoid alone."""
    for follows in ("layers", "pointwise", "bounding"):
        verdict = "compensated" if follows == "layers" else "harmless"
        site = replace(diagnosed("head", "clean", 0.0).site, followed_by=follows)
        worse = SiteDiagnosis(site, LOUD, effect(-9.0, -11.0, -7.0), verdict, 1, 1)
        text = told([worse], (), (), output(0.3, 0.0), (4, 4))
        assert ("Could not repair head/interpolate#0" in text) == (follows != "layers")
        assert ("later layers cancel" in text) == (follows == "layers")


def test_the_text_names_the_offender_its_share_and_its_period() -> None:
    text = told([diagnosed("dec.up2", "offender", 0.934)], (), (), output(3.0, 0.02), (4, 4))
    assert text == (
        "dec.up2/interpolate#0 causes the output's checkerboard (3.0/255 rms, period 4): "
        "repairing it alone removes 93% of it."
    )


def test_the_text_names_what_must_be_left_alone() -> None:
    text = told([diagnosed("up", "compensated", -8.0)], (), (), output(0.2, 0.0), (4, 4))
    assert text == (
        "No offender: the output is clean (grid 0.2/255 rms, jaggedness 0.00 px; neither shows). "
        "Leave up/interpolate#0 alone: later layers cancel what it draws."
    )


def test_the_text_says_when_no_single_site_explains_what_shows() -> None:
    text = told([diagnosed("up", "harmless", 0.01)], (), (), output(0.0, 0.3), (4, 4))
    assert text == "No offender: the output shows stair-steps (0.30 px), but repairing no single site removes it."


def test_the_text_admits_that_one_crop_cannot_tell() -> None:
    text = told([diagnosed("up", "harmless", 0.1, low=None)], (), (), output(3.0, 0.0), (4, 4))
    assert text.startswith("Cannot tell: the output shows checkerboard (3.0/255 rms), but one crop is too little")
    # of a larger output longer periods are measured, and of a net of one size there is none
    assert "give a second input of this size" in text


def test_the_likeliest_cause_is_named_though_one_crop_cannot_tell() -> None:
    text = told([diagnosed("up", "suspect", 0.9, low=None)], (), (), output(3.0, 0.0), (4, 4))
    assert "up/interpolate#0 is the likeliest cause: repairing it removes an estimated 90% of it, but one crop" in text


def test_several_offenders_are_listed_with_what_each_adds_and_what_is_left() -> None:
    sites = [diagnosed("a", "offender", 0.6, (4, 2)), diagnosed("b", "offender", 0.3)]
    total = output(3.0, 0.31).severity
    first = JointStep("a/interpolate#0", sites[0].effect, 12.0)
    joint = (first, JointStep("b/interpolate#0", effect(9.0, 1.0, 9.0), 0.5))
    text = told(sites, joint, (), output(3.0, 0.31), (4, 4))
    assert text.startswith("a/interpolate#0 causes the output's stair-steps (0.31 px) and checkerboard (3.0/255 rms, ")
    alone = 5.4 / total  # of the rest, the second one takes three quarters
    more = f"{(1 - alone) * 0.75:.0%}"
    assert f"removes {alone:.0%} of it" in text
    assert text.endswith(f"Also guilty: b/interpolate#0 ({more} more). All repaired, nothing shows.")
    remaining = (first, JointStep("b/interpolate#0", effect(9.0, 1.0, 9.0), 3.0))
    left = f"{(1 - alone) * 0.25:.0%} is left."
    assert told(sites, remaining, (), output(3.0, 0.31), (4, 4)).endswith(f"All repaired, {left}")


def test_shares_never_add_up_to_more_than_the_whole() -> None:
    """By energy the first takes 90% alone; of what is left then shows 60% of the severity, all of it the second's."""
    total = output(5.0, 0.0).severity
    sites = [diagnosed("a", "offender", 0.1), diagnosed("b", "offender", 0.1)]
    sites[0] = replace(sites[0], effect=effect(0.9 * total, 1.0, total))
    second = effect(0.6 * total, 1.0, total)
    joint = (JointStep("a/interpolate#0", sites[0].effect, 0.6 * total), JointStep("b/interpolate#0", second, 0.0))
    text = told(sites, joint, (), output(5.0, 0.0), (4, 4))
    assert text.endswith("removes 90% of it. Also guilty: b/interpolate#0 (10% more). All repaired, nothing shows.")


def test_a_part_that_is_there_is_never_called_0_percent() -> None:
    total = output(50.0, 0.0).severity
    sites = [diagnosed("a", "offender", 0.1), diagnosed("b", "offender", 0.1)]
    sites[0] = replace(sites[0], effect=effect(0.996 * total, 1.0, total))
    joint = (JointStep("a/interpolate#0", sites[0].effect, 20.0), JointStep("b/interpolate#0", effect(15, 9, 20), 5.0))
    text = told(sites, joint, (), output(50.0, 0.0), (4, 4))
    assert "b/interpolate#0 (under 1% more, which shows once the others are repaired)" in text
    assert text.endswith("All repaired, under 1% is left.")


def test_the_main_offender_is_not_also_guilty_where_another_was_repaired_before_it() -> None:
    sites = [diagnosed("whole", "offender", 0.6), diagnosed("whole.up", "offender", 0.5)]
    joint = (
        JointStep("whole.up/interpolate#0", effect(4.5, 1.0, 9.0), 4.0),
        JointStep("whole/interpolate#0", effect(2.0, 1.0, 9.0), 0.0),
    )
    text = told(sites, joint, (), output(3.0, 0.0), (4, 4))
    assert "Also guilty: whole.up/interpolate#0 (50% more). All repaired, nothing shows." in text


def of_signals(share: float, period: tuple[int, ...] = (8,)) -> SiteDiagnosis:
    found = diagnosed("net.up", "offender", share)
    site = replace(
        found.site, op="conv_transpose1d", scale=(8,), period=period, in_shape=(1, 1, 8), out_shape=(1, 1, 64)
    )
    return replace(found, site=site)


def test_what_a_signal_shows_is_told_in_decibels_and_samples() -> None:
    loud = SeverityMeasures(9.0, 0.008, 0.0)
    text = told([of_signals(0.9)], (), (), loud, (8,), names=("t",))
    assert text.startswith("net.up/conv_transpose1d#0 causes the output's tones (-42 dB rms, period 8): ")
    copies = SeverityMeasures((0.3 / VISIBLE_STEPS) ** 2, 0.0, 0.3)
    text = told([replace(of_signals(0.0), verdict="clean")], (), (), copies, (8,), names=("t",))
    assert "shows spectral images (0.30 samples), but" in text
    both = SeverityMeasures(1.1, 0.008, 0.3)  # both are told, first what the site draws
    drawn = replace(of_signals(0.9), effect=replace(of_signals(0.9).effect, kind="stair-step"))
    text = told([drawn], (), (), both, (8,), names=("t",))
    assert "causes the output's spectral images (0.30 samples) and tones (-42 dB rms): " in text
    clean = SeverityMeasures(0.0, 0.0, 0.0)
    text = told([of_signals(0.0)], (), (), clean, (8,), names=("t",))
    assert "(tones below -120 dB rms, spectral images 0.00 samples; neither shows)" in text
    assert "as many samples" in told([of_signals(0.0)], (), (), clean, (8,), 3.0, names=("t",))


def of_video(period: tuple[int, ...]) -> SiteDiagnosis:
    found = diagnosed("up", "offender", 0.9)
    site = replace(found.site, scale=(2, 2, 2), period=period, in_shape=(1, 1, 4, 8, 8), out_shape=(1, 1, 8, 16, 16))
    return replace(found, site=site)


def test_the_period_of_a_video_is_told_by_direction() -> None:
    text = told([of_video((1, 8, 8))], (), (), output(3.0, 0.0), (1, 8, 8), names=("t", "y", "x"))
    assert "causes the output's grid (3.0/255 rms, period t 1, y 8, x 8)" in text


def test_what_is_missing_is_told_by_direction() -> None:
    for names, period, joint, size in (
        (("t", "y", "x"), (4, 8, 8), (1, 8, 8), "32 frames"),
        (("t", "y", "x"), (4, 8, 8), (1, 8, 1), "32 frames and 48 pixels a side"),
        (("z", "y", "x"), (8, 8, 8), (1, 8, 8), "48 slices"),
    ):
        text = told([of_video(period)], (), (), output(0.0, 0.0), joint, names=names)
        assert text.endswith(f"Not measured in full: up/interpolate#0; that takes outputs of {size}.")
    text = told([of_signals(0.0, (64,))], (), (), output(0.0, 0.0), (1,), names=("t",))
    assert text.endswith("Not measured in full: net.up/conv_transpose1d#0; that takes outputs of 272 samples.")


def test_growth_that_was_not_seen_is_told_by_direction() -> None:
    unseen = (UnseenGrowth("the input", "the output", (1, 2, 2), (1, 4, 4)),)
    text = told([of_video((1, 4, 4))], (), (), output(0.0, 0.0), (1, 4, 4), unseen=unseen, names=("t", "y", "x"))  # type: ignore[arg-type]
    assert "the sites explain x1x4x4 of the x1x8x8 by which videos grow" in text


def test_coarse_causes_are_told_besides() -> None:
    seam = Finding("seam", "output", (48.0, 0.0), (0.0, 0.0), "the output has straight seams.")
    text = told([diagnosed("a", "clean", 0.0)], (), (seam,), output(0.0, 0.0), (4, 4))
    assert text.endswith("Besides, the output has straight seams.")


def test_a_severity_just_above_one_from_both_kinds_names_the_larger() -> None:
    text = told([diagnosed("a", "harmless", 0.05)], (), (), output(0.8, 0.07), (4, 4))
    assert "shows checkerboard (0.8/255 rms)," in text


def test_a_site_whose_repair_takes_most_is_named_however_wide_its_interval_is() -> None:
    likely = replace(diagnosed("a", "harmless", 0.1), effect=effect(8.9, -2.0, 15.0, 0.99))
    text = told([likely, diagnosed("b", "clean", 0.0)], (), (), output(3.0, 0.0), (4, 4))
    assert text.startswith(
        "Cannot tell for sure: the output shows checkerboard (3.0/255 rms, period 4), and a/interpolate#0"
    )
    assert "removes an estimated 99% of it, 0% to 100%" in text
    assert "No offender" not in text


def test_sites_of_a_longer_period_than_the_output_shows_are_named_not_called_clean() -> None:
    sites = [diagnosed("wide", "clean", 0.0, (64, 64)), diagnosed("a", "clean", 0.0)]
    text = told(sites, (), (), output(0.0, 0.0), (4, 4))
    assert text.endswith("Not measured in full: wide/interpolate#0; that takes outputs of 272 pixels a side.")
