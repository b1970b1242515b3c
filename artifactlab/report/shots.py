"""Pictures of an image file for pages: all of it in small, its worst window in large, and what is explained of it."""

from __future__ import annotations

import base64
import math
from dataclasses import replace
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

from artifactlab.inputs.images import Picture, luma
from artifactlab.metrics import remove_spectral_images, spectral_images_map
from artifactlab.metrics.local_screening import WINDOW
from artifactlab.metrics.spectral_repair import FAINT
from artifactlab.report.page_pictures import data_uri
from artifactlab.report.pictures import VERMILION

THUMB = 320
"""Pixels of the longer side of an image that is shown as a whole: a column of the page."""
JPEG_QUALITY = 80
"""Of what is shown as a whole, 15 KB each. Windows are PNG: JPEG would draw a lattice of its own into them."""
MAPPED = 1024
"""Pixels per side of the part that is mapped, around the worst window: a second of arithmetic per image."""
AROUND = 256
"""Pixels per side of the part in which a lattice is looked for that a single window is too small to confirm."""
LEAST_OPAQUE = 2 / 255
"""Least rms at which the map is opaque, that of a fine grid that just shows: what is fainter is to look faint."""
NEARLY_ALL = 0.95
"""Share of the map that is not opaque: one edge must not leave all else pale."""
MAP_STEP = 8
"""Pixels of the image per pixel of its map, whose blocks have 16."""
GAINS = (32, 16, 8, 4, 2, 1)
"""What is explained is shown so many times as strong, as strong as it fits."""

Place = tuple[int, int, int]
"""Top, left and side of a window in pixels."""


class Part(NamedTuple):
    """A part of an image in pixels, as SVG has it."""

    top: int
    """Its first row."""
    left: int
    """Its first column."""
    height: int
    """Its rows."""
    width: int
    """Its columns."""

    @property
    def slices(self) -> tuple[slice, slice]:
        """Its rows and columns."""
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)


class Zoom(NamedTuple):
    """A window of an image, pixel by pixel."""

    title: str
    """What it shows."""
    uri: str
    """It as a PNG, in a data URI."""
    width: int
    """Columns."""
    height: int
    """Rows."""


class Mapped(NamedTuple):
    """What of an image is in step with a lattice."""

    uri: str
    """Orange, as opaque as it is strong, as a PNG in a data URI."""
    part: Part
    """The part of the image that it covers."""
    period: int
    """Spacing of the lattice in pixels."""
    most: float
    """Rms, as a fraction of white, at which it is opaque."""


class Shot(NamedTuple):
    """The pictures of one image."""

    whole: str
    """The image, reduced, as a JPEG in a data URI."""
    width: int
    """Columns of the image itself."""
    height: int
    """Rows of the image itself."""
    mapped: Mapped | None
    """What is explained; None where there is nothing."""
    place: Place
    """The window that is shown pixel by pixel: the worst, or else the middle."""
    zooms: list[Zoom]
    """That window: as it is, what of it is explained, and of the reference."""
    reference: str | None
    """What the image should look like, as `whole`; None where that is not known."""

    @property
    def size(self) -> int:
        """Bytes that it takes in a page."""
        parts = [self.whole, self.reference or "", *(zoom.uri for zoom in self.zooms)]
        return sum(map(len, parts)) + (0 if self.mapped is None else len(self.mapped.uri))


def shot_of(picture: Picture, window: Place | None, period: int, reference: Picture | None) -> Shot:
    """The pictures of an image.

    Args:
        picture: the image.
        window: its worst window; None where no lattice was found in one.
        period: of the lattice, in that window or else in the image; 0 where there is none.
        reference: what it should look like, if that is known.
    """
    height, width = picture.size
    place = window or middle_of(picture)
    mapped = _map_of(picture, place, window is not None, period) if period > 1 else None
    zooms = [zoom_of("as it is", cut(picture, place))]
    explained = _explained(picture, place, period) if period > 1 else None
    if explained is not None:
        gain = next((gain for gain in GAINS if gain * float(explained.abs().max()) <= 0.5), 1)
        zooms.append(zoom_of(f"period {period} in it, \u00d7{gain}", 0.5 + gain * explained))
    beside = None
    if reference is not None and reference.size == picture.size:
        zooms.append(zoom_of("the reference", cut(reference, place)))
        beside = thumb_uri(reference, THUMB)
    return Shot(thumb_uri(picture, THUMB), width, height, mapped, place, zooms, beside)


def middle_of(picture: Picture) -> Place:
    """The window in the middle of an image."""
    side = min(WINDOW, *picture.size)
    top, left = ((length - side) // 2 for length in picture.size)
    return top, left, side


def fits(place: Place, picture: Picture) -> bool:
    """Whether a window lies in an image."""
    return all(at >= 0 and at + place[2] <= length for at, length in zip(place[:2], picture.size, strict=True))


def cut(picture: Picture, place: Place) -> Tensor:
    """A window of an image, (3 or 1, side, side)."""
    top, left, side = place
    return picture.pixels(slice(top, top + side), slice(left, left + side))


def zoom_of(title: str, pixels: Tensor) -> Zoom:
    """A (3 or 1, h, w) window with values in [0, 1]."""
    values = np.round(255 * pixels.clamp(0, 1).numpy()).astype(np.uint8)
    values = values.transpose(1, 2, 0) if len(values) == 3 else values[0]
    return Zoom(title, data_uri(np.ascontiguousarray(values)), values.shape[1], values.shape[0])


def thumb_uri(picture: Picture, side: int) -> str:
    """An image in at most so many pixels a side, as a JPEG in a data URI."""
    height, width = picture.size
    shrink = min(1.0, side / max(height, width))
    size = (max(1, round(width * shrink)), max(1, round(height * shrink)))
    values = cv2.resize(picture.values, size, interpolation=cv2.INTER_AREA).reshape(size[1], size[0], -1)
    pixels = replace(picture, values=values).pixels()  # reduced before it becomes floats
    colours = np.round(255 * pixels.permute(1, 2, 0).clamp(0, 1).numpy()[..., ::-1]).astype(np.uint8)
    _, data = cv2.imencode(".jpg", colours, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode()


def _map_of(picture: Picture, place: Place, found_there: bool, period: int) -> Mapped | None:
    """What is in step with a period around a window, and in it by itself, where the image may not confirm it."""
    part, window = _around(picture, place, MAPPED), Part(place[0], place[1], place[2], place[2])
    strength = _strength(picture, part, period)
    if found_there:
        inside = _within(window, part)
        strength[inside] = torch.maximum(strength[inside], _strength(picture, window, period))
    if float(strength.max()) ** 2 <= FAINT:
        return None
    most = max(LEAST_OPAQUE, float(np.quantile(strength.numpy(), NEARLY_ALL)))
    opacity = np.round(255 * (strength / most).clamp(0, 1).numpy()).astype(np.uint8)
    height, width = (max(1, math.ceil(length / MAP_STEP)) for length in opacity.shape)
    reduced = cv2.resize(opacity, (width, height), interpolation=cv2.INTER_AREA)
    colour = np.broadcast_to(np.array(VERMILION[::-1], np.uint8), (*reduced.shape, 3))
    return Mapped(data_uri(np.dstack([colour, reduced])), part, period, most)


def _around(picture: Picture, place: Place, most: int) -> Part:
    """What lies around a window, at most so many pixels a side; all of an image that has no more."""
    sides = [min(most, length) for length in picture.size]
    top, left = (
        max(0, min(at + place[2] // 2 - side // 2, length - side))
        for at, side, length in zip(place[:2], sides, picture.size, strict=True)
    )
    return Part(top, left, *sides)


def _within(window: Part, part: Part) -> tuple[slice, slice]:
    """The rows and columns of a window in a part that holds it."""
    return window._replace(top=window.top - part.top, left=window.left - part.left).slices


def _strength(picture: Picture, part: Part, period: int) -> Tensor:
    """(h, w) local rms of what is in step with a period in a part of an image."""
    explained = spectral_images_map(luma(picture.pixels(*part.slices))[None], period)
    return torch.stack(list(explained)).square().sum(0).sqrt()[0, 0]


def _explained(picture: Picture, place: Place, period: int) -> Tensor | None:
    """What of a window is in step with a period: as the window by itself has it, or else what surrounds it."""
    window = Part(place[0], place[1], place[2], place[2])
    for part in (window, _around(picture, place, AROUND)):
        pixels = picture.pixels(*part.slices)[None]
        explained = (pixels - remove_spectral_images(pixels, period))[0]
        inside = explained[(slice(None), *_within(window, part))]
        if float(inside.square().mean()) > FAINT:
            return inside
    return None
