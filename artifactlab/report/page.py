"""A diagnosis as one HTML page that needs nothing else: pictures and data are inside, and nothing is fetched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from artifactlab.attribution.artifact_words import kind_text, period_text
from artifactlab.attribution.diagnosis import Diagnosis
from artifactlab.attribution.records import SiteDiagnosis
from artifactlab.attribution.verdict_text import share_text, strength_text
from artifactlab.report.flat import NAMES
from artifactlab.report.glossary import verdict_meanings
from artifactlab.report.next_steps import Invocation, Step, next_steps
from artifactlab.report.page_template import rendered
from artifactlab.report.page_views import ZOOMS, Drawn, Shown, View, drawn_of, view_of
from artifactlab.report.page_words import level_numbers, page_words, sides_text
from artifactlab.scoring.severity import VISIBLE

LARGEST = 5_000_000
"""Bytes of a page, at most; see docs/decisions.md, *Under 5 MB by trying*."""
MOST_PICTURED = 12
"""Sites that have pictures; the others have their numbers. Each one more would leave smaller close-ups to all."""
SIZES = ((256, 4), (192, 4), (128, 4), (96, 3), (64, 2), (48, 1))
"""(pixels per side of close-ups, inputs) to try until the page is small enough, from all that a diagnosis keeps."""


@dataclass(frozen=True)
class Panel:
    """One site, as the page has it."""

    found: SiteDiagnosis
    """The site and what was found out about it."""
    handle: str
    """What the site is called where its key is long."""
    period: str
    """Period of the site's lattice as text."""
    kind: str
    """The artifact that its repair changes most, by name."""
    sides: str
    """What its sizes are: channels, and its own directions."""
    steps: list[Step]
    """What the reader may do next about the site."""
    views: list[View]
    """The site on each input; empty for a site beyond `MOST_PICTURED`."""


AllDrawn = dict[tuple[str, int], Drawn]
"""Pictures by site key and number of the input."""


def report_page(diagnosis: Diagnosis, called: Invocation | None = None) -> str:
    """The report: verdict, the model as its sites, pictures of each, what to do next, and the JSON.

    It works in any browser with or without scripts, by keyboard, in print, in the dark; its content security policy
    forbids it to load or send anything.

    Args:
        diagnosis: what `artifactlab.diagnose` returned.
        called: the command line it came from, which the next commands repeat; without it there is only code.

    Returns:
        HTML of at most 5 MB: close-ups are cut, and the later inputs left out, until it is.

    >>> import torch, artifactlab
    >>> model = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3, padding=1), torch.nn.PixelShuffle(2))
    >>> page = report_page(artifactlab.diagnose(model, torch.full((1, 1, 64, 64), 0.5), data_range=1.0))
    >>> page.startswith("<!DOCTYPE html>"), "src=\\"http" in page
    (True, False)
    """
    largest = diagnosis.sites[0].site.key
    shown = [Shown.of(example, diagnosis.directions, largest) for example in diagnosis.examples]
    drawn = {
        (site.site.key, number): drawn_of(site, each)
        for site in diagnosis.sites[:MOST_PICTURED]
        for number, each in enumerate(shown)
    }
    for side, inputs in SIZES:
        page = _rendered(diagnosis, called, shown[:inputs], drawn, side)
        if len(page.encode()) <= LARGEST:
            break
    return page


def _rendered(
    diagnosis: Diagnosis, called: Invocation | None, shown: Sequence[Shown], drawn: AllDrawn, side: int
) -> str:
    return rendered(
        "report.html.j2",
        styles=("report.css",),
        scripts=("pairs.js", "report.js"),
        diagnosis=diagnosis,
        severity=diagnosis.output.severity,
        visible=VISIBLE,
        strength=strength_text(diagnosis.output.severity),
        meanings=verdict_meanings(diagnosis.config.fast),
        shares=share_text,
        levels=level_numbers(diagnosis.output, diagnosis.directions),
        handles=diagnosis.handles,
        words=page_words(diagnosis.directions),
        wholes=[each.whole for each in shown],
        panels=[_panel(diagnosis, site, shown, called, drawn, side) for site in diagnosis.sites],
        largest=max([1.0, *(abs(site.effect.value) for site in diagnosis.sites)]),
        most_pictured=MOST_PICTURED,
        zooms=ZOOMS,
        data=diagnosis.to_dict(),
    )


def _panel(
    diagnosis: Diagnosis,
    site: SiteDiagnosis,
    shown: Sequence[Shown],
    called: Invocation | None,
    drawn: AllDrawn,
    side: int,
) -> Panel:
    key, names, own = site.site.key, diagnosis.directions, NAMES[len(site.site.out_shape) - 2]
    pictured = shown if site.rank <= MOST_PICTURED else ()
    return Panel(
        found=site,
        handle=diagnosis.handles[key],
        period=period_text(site.site.period, names),
        kind=kind_text(site.effect.kind, names),
        sides=sides_text(names if len(names) == len(own) else own),
        steps=next_steps(diagnosis, site, called),
        views=[view_of(site, each, drawn[key, number], side) for number, each in enumerate(pictured)],
    )
