"""Sites as users name them: those of a diagnosis, `Site`s, or their keys in words."""

from __future__ import annotations

from collections.abc import Iterable

from artifactlab.attribution.records import SiteDiagnosis
from artifactlab.attribution.sites.records import Site, SiteKey
from artifactlab.errors import InputError

NamedSite = SiteDiagnosis | Site | str
"""What names a site."""


def keys_of(sites: NamedSite | Iterable[NamedSite]) -> list[SiteKey]:
    """The keys of all calls of each layer, each key once; of one call where a string names it.

    Raises:
        InputError: if one of them is no site.

    >>> keys_of("dec.up2/interpolate#0")
    [SiteKey(name='dec.up2', op='interpolate', call=0)]
    """
    given = [sites] if isinstance(sites, NamedSite) else sites
    return list(dict.fromkeys(key for site in given for key in _keys(site)))


def _keys(site: NamedSite) -> list[SiteKey]:
    if isinstance(site, SiteDiagnosis):
        site = site.site
    if isinstance(site, Site):
        return sorted(site.keys)
    path, _, call = site.rpartition("#") if isinstance(site, str) else ("", "", "")
    name, _, op = path.rpartition("/")
    if not op or not call.isdecimal():
        raise InputError(
            f"{site!r} is no site; expected one of a diagnosis, or a key such as {_like(site)!r}: a module, what it"
            " calls, and the number of the call, as `diagnosis.sites` and `artifactlab.capture` list them"
        )
    return [SiteKey(name, op, int(call))]


def _like(given: object) -> str:
    """A key that what was given may stand for: a module that was named, or a call without its number."""
    if not isinstance(given, str) or not given or "#" in given:
        return "dec.up2/interpolate#0"
    return f"{given}#0" if "/" in given else f"{given}/conv_transpose2d#0"
