"""A diagnosis as one HTML page that needs nothing else: pictures and data are inside, and nothing is fetched."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

from torch import Tensor

from artifactlab.attribution.diagnosis import Diagnosis, Example
from artifactlab.attribution.records import SiteDiagnosis
from artifactlab.attribution.verdict_text import period_text, signed
from artifactlab.attribution.windows import Window
from artifactlab.metrics.spectrum import lattice_frequencies
from artifactlab.report import page_pictures as pictures
from artifactlab.report.next_steps import Invocation, Step, next_steps
from artifactlab.report.pictures import direction_shares
from artifactlab.scoring.periods import lattice_period
from artifactlab.scoring.severity import VISIBLE

LARGEST = 5_000_000
"""bytes of a page"""
MOST_PICTURED = 12
"""sites that have pictures; the others have their numbers"""
SIZES = ((256, 4), (192, 4), (128, 4), (96, 3), (64, 2), (48, 1))
"""(pixels per side of close-ups, inputs) to try until the page is small enough"""
ZOOMS = (1, 2, 4, 8)
CLOSE_UP = 540
"""pixels of the screen that a close-up takes at first, at most"""
MOST_MARKED = 16
"""period up to which the points of a lattice are told apart in a spectrum"""


@dataclass(frozen=True)
class Spectrum:
    """A power spectrum with the points of a lattice."""

    title: str
    picture: str
    marks: list[tuple[float, float]]
    """(x, y) in [0, 1] of the picture"""


@dataclass(frozen=True)
class Rose:
    """Directions of gradients: petals, and a line around others to compare with."""

    title: str
    petals: str
    line: str
    most: float
    """share that reaches the rim"""


@dataclass(frozen=True)
class Drawn:
    """Of one site on one input, what does not depend on the size of close-ups."""

    change: tuple[str, float] | None
    """where the repair changes the output, and by how many 1/255 where it is opaque"""
    spectra: list[Spectrum]
    """of the activation and the output"""
    roses: list[Rose]
    """likewise"""


@dataclass(frozen=True)
class View:
    """The pictures of one site on one input; None where a fast diagnosis has none, or the site does not run."""

    ran: bool
    """whether the site runs for this input"""
    pair: tuple[str, str] | None
    """close-up of the output as it is and with the site repaired"""
    side: tuple[int, int]
    """its width and height in pixels"""
    zoom: int
    """at which the close-up is shown first: the largest that fits"""
    sheet: str | None
    """channels of the activation"""
    drawn: Drawn
    """what does not depend on the size"""


@dataclass(frozen=True)
class Panel:
    """One site."""

    found: SiteDiagnosis
    period: str
    steps: list[Step]
    views: list[View]
    """one per input; empty for a site beyond `MOST_PICTURED`"""


AllDrawn = dict[tuple[str, int], Drawn]
"""by site key and number of the input"""


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
    drawn = {
        (site.site.key, number): _drawn(site, example)
        for site in diagnosis.sites[:MOST_PICTURED]
        for number, example in enumerate(diagnosis.examples)
    }
    for side, inputs in SIZES:
        page = _rendered(diagnosis, called, drawn, side, inputs)
        if len(page.encode()) <= LARGEST:
            break
    return page


def _rendered(diagnosis: Diagnosis, called: Invocation | None, drawn: AllDrawn, side: int, inputs: int) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("artifactlab.report", "page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["signed"] = signed
    environment.filters["plain"] = lambda value: f"{value:.2f}".replace("-0.00", "0.00")
    style, script = (
        resources.files("artifactlab.report").joinpath("page", name).read_text() for name in ("report.css", "report.js")
    )
    examples = diagnosis.examples[:inputs]
    return environment.get_template("report.html.j2").render(
        diagnosis=diagnosis,
        severity=diagnosis.output.severity,
        visible=VISIBLE,
        grid=255 * diagnosis.output.lattice_amplitude,
        wholes=[pictures.whole_uri(example.output) for example in examples],
        panels=[_panel(diagnosis, site, examples, called, drawn, side) for site in diagnosis.sites],
        largest=max([1.0, *(abs(site.effect.value) for site in diagnosis.sites)]),
        most_pictured=MOST_PICTURED,
        zooms=ZOOMS,
        data=diagnosis.to_dict(),
        style=style,
        script=script,
        policy=_policy(style, script),
    )


def _policy(style: str, script: str) -> str:
    """What the page may do: show its own pictures, style and script, known by their digests."""
    digests = [base64.b64encode(hashlib.sha256(part.encode()).digest()).decode() for part in (style, script)]
    return (
        f"default-src 'none'; img-src data:; style-src 'sha256-{digests[0]}'; script-src 'sha256-{digests[1]}';"
        " base-uri 'none'; form-action 'none'"
    )


def _panel(
    diagnosis: Diagnosis,
    site: SiteDiagnosis,
    examples: Sequence[Example],
    called: Invocation | None,
    drawn: AllDrawn,
    side: int,
) -> Panel:
    pictured = examples if site.rank <= MOST_PICTURED else ()
    return Panel(
        found=site,
        period=period_text(site.site.period),
        steps=next_steps(diagnosis, site, called),
        views=[_view(site, example, drawn[site.site.key, k], side) for k, example in enumerate(pictured)],
    )


def _view(found: SiteDiagnosis, example: Example, drawn: Drawn, side: int) -> View:
    """What one input shows of a site; of a fast diagnosis only the activation and the output."""
    activation, after = _seen(found, example)
    before = example.output if after is None else after.cut(example.output)
    height, width = (min(side, length) for length in before.shape[1:])
    return View(
        ran=activation is not None,
        pair=None if after is None else pictures.pair_uris(before, after.pixels, example.output, side),
        side=(width, height),
        zoom=max(zoom for zoom in ZOOMS if zoom == 1 or zoom * width <= CLOSE_UP),
        sheet=None if activation is None else pictures.sheet_uri(activation, side // 2),
        drawn=drawn,
    )


def _drawn(found: SiteDiagnosis, example: Example) -> Drawn:
    """The pictures that are the same however small the page has to be."""
    site = found.site
    activation, after = _seen(found, example)
    before = example.output if after is None else after.cut(example.output)
    spectra = [_spectrum("of the output", before, lattice_period(site.period))]
    roses = [_rose("of the output", before, None if after is None else after.pixels)]
    if activation is not None:
        spectra.insert(0, _spectrum("of the activation", activation, lattice_period(site.scale)))
        roses.insert(0, _rose("of the activation", activation, None))
    return Drawn(None if after is None else pictures.map_uri(example.changes[site.key]), spectra, roses)


def _seen(found: SiteDiagnosis, example: Example) -> tuple[Tensor | None, Window | None]:
    """A site's activation and the repaired output; None where it does not run, or nothing is repaired."""
    activation = example.activations.get(found.site.key)
    return activation, None if activation is None else example.repaired.get(found.site.key)


def _spectrum(title: str, image: Tensor, period: tuple[int, int]) -> Spectrum:
    marked = lattice_frequencies(period) if max(period) <= MOST_MARKED else []
    return Spectrum(title, pictures.spectrum_uri(image, period), [(h + 0.5, v + 0.5) for v, h in marked])


def _rose(title: str, image: Tensor, other: Tensor | None) -> Rose:
    shares = direction_shares(image[None])
    around = shares if other is None else direction_shares(other[None])
    most = max(0.01, shares.max(), around.max())
    line = "" if other is None else pictures.outline(around, most)
    return Rose(title, pictures.petals(shares, most), line, most)
