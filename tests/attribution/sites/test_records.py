"""What a site is known by."""

from __future__ import annotations

from artifactlab.attribution.sites.records import Site, SiteKey


def test_a_key_equals_the_bare_tuple_and_stands_for_it_in_sets_and_dicts() -> None:
    key = SiteKey("dec.up2", "interpolate", 1)
    assert key == ("dec.up2", "interpolate", 1)
    assert {("dec.up2", "interpolate", 1): "found"}[key] == "found"


def test_a_site_is_called_as_its_first_key_and_has_one_for_each_call() -> None:
    site = Site("up", "pixel_shuffle", 2, (2, 2), (4, 4), (1, 4, 8, 8), (1, 1, 16, 16), calls=(2, 3))
    assert (site.key, str(site.first_key)) == ("up/pixel_shuffle#2", "up/pixel_shuffle#2")
    assert site.keys == {("up", "pixel_shuffle", 2), ("up", "pixel_shuffle", 3)}
    assert str(SiteKey("", "interpolate", 0)) == "interpolate#0"
