"""What the page shows of one site on one input: close-ups, map, activation, spectra and directions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from artifactlab.attribution.diagnosis import Example
from artifactlab.attribution.records import SiteDiagnosis
from artifactlab.attribution.sites.activations import picture_side
from artifactlab.attribution.windows import Window, part
from artifactlab.metrics.spectrum import lattice_frequencies
from artifactlab.report import page_pictures as pictures
from artifactlab.report.flat import Flat, flat_for, names_for
from artifactlab.report.pictures import direction_shares
from artifactlab.report.slices import Rectangle, sections, strongest
from artifactlab.report.tracks import tones
from artifactlab.scoring.periods import lattice_period

ZOOMS = (1, 2, 4, 8)
"""Whole multiples of pixels, as any other zoom would draw a lattice of its own."""
CLOSE_UP = 540
"""Pixels of the screen that a close-up takes at first, at most: a column of the page."""
MOST_MARKED = 16
"""Period up to which the points of a lattice are told apart in a spectrum, eight pixels from each other."""

TILE_SAMPLES = 32
"""Samples of a signal's channel in a sheet per pixel of a close-up: eight whole ones would be half of a page."""
LARGEST_TILE = 512
"""Pixels per side of the slices or the spectrogram of a channel, at most."""
LEAST_RIM = 0.01
"""Least share that reaches the rim of a rose; 1/36 is even, so that less is an image without gradients."""


@dataclass(frozen=True)
class Spectrum:
    """A power spectrum with the points of a lattice, or of a signal with the lines."""

    title: str
    """Heading, which says of what it is the spectrum."""
    picture: str
    """The spectrum as a PNG, in a data URI; empty for a signal."""
    line: str
    """SVG path of a signal's spectrum, empty for others."""
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
    """The pictures of a site on one input; None where a fast diagnosis has none, or the site does not run."""

    ran: bool
    """Whether the site runs for this input."""
    pair: tuple[pictures.Picture, pictures.Picture] | None
    """Close-ups of the output as it is and with the site repaired."""
    frames: list[Rectangle]
    """Where the close-ups are in the map."""
    zoom: int
    """Zoom at which the close-up is opened, the largest that fits."""
    sheet: str | None
    """Channels of the activation."""
    drawn: Drawn
    """Pictures that do not depend on the size of close-ups."""


@dataclass(frozen=True)
class Shown:
    """One input, as all sites show it."""

    example: Example
    """What a diagnosis keeps of it."""
    names: Sequence[str]
    """Names of the directions of the output."""
    flat: Flat
    """What lays the output flat; of a volume through the place where the largest effect is strongest."""

    @classmethod
    def of(cls, example: Example, names: Sequence[str], largest: str) -> Shown:
        """One input with the slices to show; `largest` is the key of the site with the largest effect."""
        change = example.changes.get(largest)
        place = None if change is None else strongest(change)
        return cls(example, names, flat_for(example.output, names, place))

    @property
    def whole(self) -> pictures.Picture:
        """The output in grey."""
        return pictures.output_picture(self.example.output, self.flat)


def view_of(found: SiteDiagnosis, shown: Shown, drawn: Drawn, side: int) -> View:
    """The pictures of a site on one input; a fast diagnosis has only those of the activation and the output."""
    example, names = shown.example, shown.names
    activation, after = _activation_and_repair(found, example)
    pair, frames = None, []
    if after is not None:
        inside = flat_for(after.pixels, names, _place_in(after, example.changes[found.site.key]))
        pair = pictures.pair_uris(after.cut(example.output), after.pixels, example.output, inside, side)
        frames = shown.flat.frames(*_framed(after, side))
    return View(
        ran=activation is not None,
        pair=pair,
        frames=frames,
        zoom=max(zoom for zoom in ZOOMS if zoom == 1 or (pair and zoom * pair[0].width <= CLOSE_UP)),
        sheet=None if activation is None else _sheet(activation, names, side),
        drawn=drawn,
    )


def drawn_of(found: SiteDiagnosis, shown: Shown) -> Drawn:
    """The pictures that are the same however small the page has to be."""
    site, example = found.site, shown.example
    activation, after = _activation_and_repair(found, example)
    before = _middle_of(example.output) if after is None else after.cut(example.output)
    change = None if after is None else pictures.map_uri(example.changes[site.key], shown.flat)
    spectra = _spectra("of the output", before, lattice_period(site.period), shown.names)
    roses = _roses("of the output", before, None if after is None else after.pixels, shown.names)
    if activation is not None:
        names = names_for(activation, shown.names)
        spectra = _spectra("of the activation", activation, lattice_period(site.scale), names) + spectra
        roses = _roses("of the activation", activation, None, names) + roses
    return Drawn(change, spectra, roses)


def _activation_and_repair(found: SiteDiagnosis, example: Example) -> tuple[Tensor | None, Window | None]:
    """A site's activation and the repaired output; None where it does not run, or nothing is repaired."""
    activation = example.activations.get(found.site.key)
    return activation, None if activation is None else example.repaired.get(found.site.key)


def _place_in(window: Window, change: Tensor) -> tuple[int, ...]:
    """Where the change is strongest in a window."""
    return strongest(part(change, window.corner, window.size))


def _framed(window: Window, side: int) -> tuple[list[int], list[int]]:
    """Corner and size of what a close-up shows of a window: all, but of images the middle."""
    size = [min(side, length) if len(window.size) == 2 else length for length in window.size]
    return [at + (all_of - own) // 2 for at, all_of, own in zip(window.corner, window.size, size, strict=True)], size


def _middle_of(image: Tensor, side: int | None = None) -> Tensor:
    """A whole image; of others so many pixels a side from the middle, by default as many as are kept."""
    if image.ndim == 3:
        return image
    side = side or picture_side(image.ndim - 1)
    size = tuple(min(side, length) for length in image.shape[1:])
    return part(image, tuple((whole - own) // 2 for whole, own in zip(image.shape[1:], size, strict=True)), size)


def _sheet(activation: Tensor, names: Sequence[str], side: int) -> str:
    """Channels of an activation, the smaller the smaller close-ups are."""
    shown = _middle_of(activation, side * TILE_SAMPLES if activation.ndim == 2 else side // 4)
    return pictures.sheet_uri(shown, names_for(activation, names), side // 2 if activation.ndim == 3 else LARGEST_TILE)


def _spectra(title: str, image: Tensor, period: tuple[int, ...], names: Sequence[str]) -> list[Spectrum]:
    if image.ndim == 2:
        marked = [2 * frequency for frequency in tones(period[0])] if period[0] <= MOST_MARKED else []
        return [Spectrum(title, "", pictures.spectrum_line(image, period[0]), [(at, 0.0) for at in marked])]
    spectra = []
    for section in sections(image, names):
        own = period[section.axes[0]], period[section.axes[1]]
        marks = lattice_frequencies(own) if max(own) <= MOST_MARKED else []
        picture = pictures.spectrum_uri(section.batch, own)
        spectra.append(Spectrum(title + section.title, picture, "", [(h + 0.5, v + 0.5) for v, h in marks]))
    return spectra


def _roses(title: str, image: Tensor, other: Tensor | None, names: Sequence[str]) -> list[Rose]:
    """Directions of gradients; a signal has none."""
    if image.ndim == 2:
        return []
    others = [None, None] if other is None else [section.batch for section in sections(other, names)]
    return [
        _rose(title + section.title, section.batch, around)
        for section, around in zip(sections(image, names), others, strict=False)
    ]


def _rose(title: str, batch: Tensor, other: Tensor | None) -> Rose:
    shares = direction_shares(batch)
    if other is None:
        most = max(LEAST_RIM, shares.max())
        return Rose(title, pictures.petals(shares, most), "", most)
    around = direction_shares(other)
    most = max(LEAST_RIM, shares.max(), around.max())
    return Rose(title, pictures.petals(shares, most), pictures.outline(around, most), most)
