"""One font drawn as another: the pairs of glyphs that a net of `training.py` is trained and judged on.

Training, validation and test share no letter. Letters of different scripts may look alike (Latin, Greek and Cyrillic
capitals): a tenth of the test's.
"""

from __future__ import annotations

import functools
import unicodedata
from pathlib import Path
from typing import NamedTuple

import cv2
import matplotlib
import numpy as np
import torch
from matplotlib.font_manager import FontProperties
from matplotlib.ft2font import FT2Font
from matplotlib.textpath import TextPath
from numpy.typing import NDArray
from training_nets import Styled
from training_objectives import plain
from training_records import Pairs, Task, as_batch

SIDE, BATCH, OVERSAMPLING, FRACTION_BITS = 64, 8, 16, 4
EM, ORIGIN, SPREAD = 44, (10, 46), 4
"""pixels: size of the fonts, and where a glyph's origin (x, y) lies in its image, give or take: lest the stems of all
glyphs keep step with each other"""
MOST = 1500
"""characters of a pair of fonts"""
SPLITS, SHARES = ("train", "validation", "test"), (0.7, 0.1, 0.2)


Ring = NDArray[np.float64]
"""(corners, 2) places (x, y) in pixels, a closed outline; pixel k is centred at k + 1/2"""


class Drawn(NamedTuple):
    """A split's pairs of glyphs."""

    pairs: Pairs
    outlines: list[list[Ring]]
    """of each target"""


def font_task(source: str, target: str, title: str) -> Task:
    """Glyphs of one font drawn as another's."""
    drawn = fonts(source, target)
    train, validation, test = (drawn[split].pairs for split in SPLITS)

    def batch(rng: np.random.Generator) -> Pairs:
        chosen = torch.from_numpy(rng.integers(len(train.given), size=BATCH))
        return Pairs(train.given[chosen], train.wanted[chosen])

    outlines = {split: drawn[split].outlines for split in SPLITS[1:]}
    diagnosed = validation.given[::4]
    return Task(title, 4, 300, Styled, lambda: plain, batch, None, outlines, validation, test, diagnosed)


def outline(file: str, character: str, origin: NDArray[np.float64]) -> list[Ring]:
    """The outlines of a character from an origin (x, y) on."""
    path = TextPath((0, 0), character, size=EM, prop=FontProperties(fname=file))
    return [ring * (1, -1) + origin for ring in path.to_polygons(closed_only=True)]


def filled(outlines: list[Ring]) -> NDArray[np.float32]:
    """A glyph on `SIDE` pixels a side, white on black: exact area coverage."""
    canvas = np.zeros((SIDE * OVERSAMPLING,) * 2, np.uint8)
    rings = [np.round((ring * OVERSAMPLING - 0.5) * 2**FRACTION_BITS).astype(np.int32) for ring in outlines]
    cv2.fillPoly(canvas, rings, 255, cv2.LINE_8, FRACTION_BITS)
    return cv2.resize(canvas.astype(np.float32), (SIDE, SIDE), interpolation=cv2.INTER_AREA) / 255


def characters(*files: str) -> list[str]:
    """Letters and digits that all these fonts have, in the order of their code points; Hangul's fillers are blank."""
    shared = set.intersection(*(set(FT2Font(file).get_charmap()) for file in files))
    letters = [chr(code) for code in sorted(shared) if chr(code).isalnum()]
    return [letter for letter in letters if "FILLER" not in unicodedata.name(letter, "")]


def shipped(name: str) -> str:
    """A font in matplotlib's wheel."""
    return str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name)


@functools.cache
def fonts(source: str, target: str) -> dict[str, Drawn]:
    """One font's glyphs and the other's: a tenth for validation, a fifth for the test."""
    rng = np.random.default_rng(0)
    found = characters(source, target)
    if len(found) > MOST:
        found = sorted(rng.choice(found, MOST, replace=False))
    letters = sorted({base(c) for c in found})
    part = dict(zip(letters, rng.choice(SPLITS, len(letters), p=SHARES), strict=True))
    glyphs: dict[str, list[list[list[Ring]]]] = {split: [] for split in SPLITS}
    for character in found:
        origin = ORIGIN + rng.uniform(-SPREAD, SPREAD, 2)
        glyphs[part[base(character)]].append([outline(file, character, origin) for file in (source, target)])
    return {split: drawn(pairs) for split, pairs in glyphs.items()}


def drawn(outlines: list[list[list[Ring]]]) -> Drawn:
    """The pairs of glyphs of which neither is blank."""
    pairs = [[filled(rings) for rings in pair] for pair in outlines]
    seen = [k for k, pair in enumerate(pairs) if all(image.any() for image in pair)]
    given, wanted = (as_batch([pairs[k][one] for k in seen]) for one in (0, 1))
    return Drawn(Pairs(given, wanted), [outlines[k][1] for k in seen])


def base(character: str) -> str:
    """The letter without its accents, by which glyphs are kept apart."""
    return unicodedata.normalize("NFKD", character)[0].casefold()
