"""A diagnosis as one HTML page that needs nothing else: pictures and data are inside, and nothing is fetched."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING

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

if TYPE_CHECKING:
    from jinja2 import Environment

LARGEST = 5_000_000
"""Bytes of a page, at most; see docs/decisions.md, *Under 5 MB by trying*."""
MOST_PICTURED = 12
"""Sites that have pictures; the others have their numbers. Each one more would leave smaller close-ups to all."""
SIZES = ((256, 4), (192, 4), (128, 4), (96, 3), (64, 2), (48, 1))
"""(pixels per side of close-ups, inputs) to try until the page is small enough, from all that a diagnosis keeps."""
ZOOMS = (1, 2, 4, 8)
"""Whole multiples of pixels, as any other zoom would draw a lattice of its own."""
CLOSE_UP = 540
"""Pixels of the screen that a close-up takes at first, at most: a column of the page."""
MOST_MARKED = 16
"""Period up to which the points of a lattice are told apart in a spectrum, eight pixels from each other."""

LEAST_RIM = 0.01
"""Least share that reaches the rim of a rose; 1/36 is even, so that less is an image without gradients."""


@dataclass(frozen=True)
class Spectrum:
    """A power spectrum with the points of a lattice."""

    title: str
    """Heading, which says of what it is the spectrum."""
    picture: str
    """The spectrum as a PNG, in a data URI."""
    marks: list[tuple[float, float]]
    """Points of the lattice, (x, y) in [0, 1] of the picture."""


@dataclass(frozen=True)
class Rose:
    """Directions of gradients as petals, and those of another image as a line around them."""

    title: str
    """Heading, which says of what the directions are."""
    petals: str
    """SVG path of the petals."""
    line: str
    """SVG path of the line around the petals; empty where there is no other image."""
    most: float
    """Share of the gradients that reaches the rim."""


@dataclass(frozen=True)
class Drawn:
    """The pictures of one site on one input that do not depend on the size of close-ups."""

    change: tuple[str, float] | None
    """Picture of where the repair changes the output, and by how many 1/255 where it is opaque."""
    spectra: list[Spectrum]
    """Spectra of the activation, where the site runs, and of the output."""
    roses: list[Rose]
    """Directions in the activation, where the site runs, and in the output."""


@dataclass(frozen=True)
class View:
    """The pictures of one site on one input; None where a fast diagnosis has none, or the site does not run."""

    ran: bool
    """Whether the site runs for this input."""
    pair: tuple[str, str] | None
    """Close-ups of the output as it is and with the site repaired."""
    side: tuple[int, int]
    """Width and height of a close-up in pixels."""
    zoom: int
    """Zoom at which the close-up is opened, the largest that fits."""
    sheet: str | None
    """Channels of the activation."""
    drawn: Drawn
    """Pictures that do not depend on the size of close-ups."""


@dataclass(frozen=True)
class Panel:
    """One site, as the page has it."""

    found: SiteDiagnosis
    """The site and what was found out about it."""
    period: str
    """Period of the site's lattice as text."""
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
    folder = resources.files("artifactlab.report").joinpath("page")
    style = folder.joinpath("report.css").read_text()
    script = folder.joinpath("report.js").read_text()
    examples = diagnosis.examples[:inputs]
    page = (
        _environment()
        .get_template("report.html.j2")
        .render(
            diagnosis=diagnosis,
            severity=diagnosis.output.severity,
            visible=VISIBLE,
            grid=255 * diagnosis.output.lattice_amplitude,
            wholes=[pictures.output_uri(example.output) for example in examples],
            panels=[_panel(diagnosis, site, examples, called, drawn, side) for site in diagnosis.sites],
            largest=max([1.0, *(abs(site.effect.value) for site in diagnosis.sites)]),
            most_pictured=MOST_PICTURED,
            zooms=ZOOMS,
            data=diagnosis.to_dict(),
            style=style,
            script=script,
            policy=_policy(style, script),
        )
    )
    return page.encode(errors="backslashreplace").decode()  # a file's name need not be UTF-8


def _environment() -> Environment:
    """Templates in which all text is escaped, and a name that is missing is an error."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("artifactlab.report", "page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["signed"] = signed
    environment.filters["plain"] = _two_decimals
    return environment


def _two_decimals(value: float) -> str:
    """A number without the sign of what rounds to nothing."""
    return f"{value:.2f}".replace("-0.00", "0.00")


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
    """The pictures of a site on one input; a fast diagnosis has only those of the activation and the output."""
    activation, after = _activation_and_repair(found, example)
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
    activation, after = _activation_and_repair(found, example)
    before = example.output if after is None else after.cut(example.output)
    spectra = [_spectrum("of the output", before, lattice_period(site.period))]
    roses = [_rose("of the output", before, None if after is None else after.pixels)]
    if activation is not None:
        spectra.insert(0, _spectrum("of the activation", activation, lattice_period(site.scale)))
        roses.insert(0, _rose("of the activation", activation, None))
    return Drawn(None if after is None else pictures.map_uri(example.changes[site.key]), spectra, roses)


def _activation_and_repair(found: SiteDiagnosis, example: Example) -> tuple[Tensor | None, Window | None]:
    """A site's activation and the repaired output; None where it does not run, or nothing is repaired."""
    activation = example.activations.get(found.site.key)
    return activation, None if activation is None else example.repaired.get(found.site.key)


def _spectrum(title: str, image: Tensor, period: tuple[int, int]) -> Spectrum:
    marked = lattice_frequencies(period) if max(period) <= MOST_MARKED else []
    return Spectrum(title, pictures.spectrum_uri(image, period), [(h + 0.5, v + 0.5) for v, h in marked])


def _rose(title: str, image: Tensor, other: Tensor | None) -> Rose:
    shares = direction_shares(image[None])
    if other is None:
        most = max(LEAST_RIM, shares.max())
        return Rose(title, pictures.petals(shares, most), "", most)
    around = direction_shares(other[None])
    most = max(LEAST_RIM, shares.max(), around.max())
    return Rose(title, pictures.petals(shares, most), pictures.outline(around, most), most)
