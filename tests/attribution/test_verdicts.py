"""The verdict of one site: from numbers to one of five words."""

from __future__ import annotations

import pytest

from artifactlab.attribution.investigation import judge_sites
from artifactlab.attribution.records import Effect
from artifactlab.attribution.screening import Examined
from artifactlab.attribution.sites.records import Evidence, Site
from artifactlab.attribution.verdicts import adds_enough, judge

LOUD = Evidence(edge_jaggedness=0.0, axis_excess=0.0, checkerboard_energy=0.9)
QUIET = Evidence(edge_jaggedness=0.0, axis_excess=0.0, checkerboard_energy=0.0)


def effect(value: float, low: float | None, high: float | None, share: float = 0.0) -> Effect:
    return Effect(value, low, high, share, "checkerboard")


@pytest.mark.parametrize(
    ("value", "low", "remaining", "total", "enough"),
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
    value: float, low: float | None, remaining: float, total: float, enough: bool
) -> None:
    assert adds_enough(effect(value, low, 99.0), remaining, total) == enough


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
    site = Site("a", "interpolate", 0, (2, 2), (4, 4), (1, 1, 8, 8), (1, 1, 16, 16))
    assert judge(site, evidence, effect(value, low, high), severity, guilty) == verdict


def test_what_is_likely_and_not_sure_is_suspect_and_not_harmless() -> None:
    site = Site("a", "interpolate", 0, (2, 2), (4, 4), (1, 1, 8, 8), (1, 1, 16, 16))
    assert judge(site, LOUD, effect(4.0, None, None), 5.0, guilty=False, likely=True) == "suspect"


@pytest.mark.parametrize(
    ("value", "low", "accuses", "verdict"),
    [
        (4.0, None, True, "suspect"),
        (4.0, -1.0, True, "suspect"),
        (1.0, None, True, "harmless"),  # a fifth of what shows
        (4.0, None, False, "harmless"),  # the input brought it
    ],
)
def test_where_nobody_is_guilty_the_first_is_suspect_if_it_takes_most(
    value: float, low: float | None, accuses: bool, verdict: str
) -> None:
    first, second = (Site(name, "interpolate", 0, (2, 2), (4, 4), (1, 1, 8, 8), (1, 1, 16, 16)) for name in "ab")
    effects = {first: effect(value, low, None if low is None else 9.0), second: effect(0.1, None, None)}
    examined = Examined(effects, dict.fromkeys((first, second)), accuses=accuses)  # type: ignore[arg-type]
    judged = judge_sites([second, first], {"a/interpolate#0": LOUD, "b/interpolate#0": LOUD}, examined, 5.0, False)
    assert [found.verdict for found in judged] == [verdict, "harmless"]


def test_nothing_compensates_a_site_that_no_layer_follows() -> None:
    for follows, verdict in (("layers", "compensated"), ("pointwise", "harmless"), ("bounding", "harmless")):
        site = Site("head", "interpolate", 0, (2, 2), (4, 4), (1, 1, 8, 8), (1, 1, 16, 16), followed_by=follows)
        assert judge(site, LOUD, effect(-9.0, -11.0, -7.0), 0.1, False) == verdict
