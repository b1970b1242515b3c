"""What nets are trained on in `training.py`: one font drawn as another, and photos enlarged four times.

Training, validation (for choosing weights) and test share no photo and no letter. Letters of different scripts may look
alike (Latin, Greek and Cyrillic capitals): a tenth of the test's.
"""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import cv2
import matplotlib
import numpy as np
import torch
import torch.nn.functional as F
from content import PHOTOS, photo, photo_crops
from matplotlib.font_manager import FontProperties, findSystemFonts
from matplotlib.ft2font import FT2Font
from matplotlib.textpath import TextPath
from numpy.typing import NDArray
from torch import Tensor, nn

from artifactlab.fix.upsample import LearnableInterpolationUpsample, UNetGenerator

SIDE, BATCH = 64, 8
CROP, LARGE, VALIDATION = 96, 192, ("camera", "coins")
"""pixels a side of the photos' crops that are judged, and that nets are diagnosed on; the photos of the validation"""
OVERSAMPLING, FRACTION_BITS = 16, 4
EM, ORIGIN, SPREAD = 44, (10, 46), 4
"""pixels: size of the fonts, and where a glyph's origin (x, y) lies in its image, give or take: lest the stems of all
glyphs keep step with each other"""
PLACES = 3
"""at which a glyph is drawn that nets are judged by"""
MOST = 2500
"""characters of a pair of fonts"""
SPLITS, SHARES = ("train", "validation", "test"), (0.7, 0.1, 0.2)


class Pairs(NamedTuple):
    """Inputs and targets, (N, 1, h, w) in [0, 1]."""

    given: Tensor
    wanted: Tensor


class Task(NamedTuple):
    """What is trained, on what."""

    title: str
    period: int
    """of the coarsest lattice that is scored"""
    steps: int
    net: Callable[[], nn.Module]
    batch: Callable[[np.random.Generator], Pairs]
    validation: Pairs
    test: Pairs
    diagnosed: Tensor
    """inputs of the validation split that a net is diagnosed on"""


class Styled(nn.Module):
    """pix2pix's U-Net with the U-Net's up-convolutions (kernel 2, stride 2); without skips, as glyphs of another font
    cannot be traced."""

    def __init__(self) -> None:
        super().__init__()
        self.net = UNetGenerator(1, 1, num_downs=4, ngf=16, fusion="none")
        for module in list(self.net.modules()):
            if isinstance(module, LearnableInterpolationUpsample):
                old = module.up.conv
                module.up = nn.ConvTranspose2d(old.in_channels, old.out_channels, 2, 2)

    def forward(self, x: Tensor) -> Tensor:
        return (self.net(2 * x - 1) + 1) / 2


class Enlarger(nn.Module):
    """Residual features at the input's size, then twice the U-Net's up-convolution: kernel 2, stride 2."""

    def __init__(self, width: int = 32, depth: int = 6) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, width, 3, padding=1)
        layers = [layer for _ in range(depth) for layer in (nn.Conv2d(width, width, 3, padding=1), nn.LeakyReLU(0.1))]
        self.body = nn.Sequential(*layers)
        self.up1 = nn.ConvTranspose2d(width, width, 2, 2)
        self.up2 = nn.ConvTranspose2d(width, width, 2, 2)
        self.head = nn.Conv2d(width, 1, 3, padding=1)
        self.act = nn.LeakyReLU(0.1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        x = x + self.body(x)
        return self.head(self.act(self.up2(self.act(self.up1(x)))))


def font_task(source: str, target: str, title: str) -> Task:
    """Glyphs of one font drawn as another's."""
    pairs = fonts(source, target)
    train = pairs["train"]

    def batch(rng: np.random.Generator) -> Pairs:
        chosen = torch.from_numpy(rng.integers(len(train.given), size=BATCH))
        return Pairs(train.given[chosen], train.wanted[chosen])

    return Task(title, 4, 800, Styled, batch, pairs["validation"], pairs["test"], pairs["validation"].given[::16])


def photo_task() -> Task:
    """Photos enlarged four times."""
    sources = [torch.from_numpy(photo(name)) for name in PHOTOS["development"] if name not in VALIDATION]

    def batch(rng: np.random.Generator) -> Pairs:
        crops = []
        for _ in range(BATCH):
            image = sources[int(rng.integers(len(sources)))]
            top, left = (int(rng.integers(size - SIDE + 1)) for size in image.shape)
            crops.append(torch.rot90(image[top : top + SIDE, left : left + SIDE], int(rng.integers(4))))
        return shrunk(torch.stack(crops)[:, None])

    validation = [crop for name, crop in photo_crops("development", CROP, 12) if name in VALIDATION]
    test = [crop for _, crop in photo_crops("test", CROP, 8)]
    large = [crop for name, crop in photo_crops("development", LARGE, 3) if name in VALIDATION]
    pairs = [shrunk(images(crops)) for crops in (validation, test, large)]
    return Task("super-resolution x4", 4, 500, Enlarger, batch, *pairs[:2], pairs[2].given)


def shrunk(clean: Tensor) -> Pairs:
    return Pairs(F.avg_pool2d(clean, 4), clean)


def glyph(file: str, character: str, origin: NDArray[np.float64]) -> NDArray[np.float32]:
    """A character on `SIDE` pixels a side, white on black, from an origin (x, y) on: exact area coverage."""
    path = TextPath((0, 0), character, size=EM, prop=FontProperties(fname=file))
    canvas = np.zeros((SIDE * OVERSAMPLING,) * 2, np.uint8)
    rings = [
        np.round(((ring * (1, -1) + origin) * OVERSAMPLING - 0.5) * 2**FRACTION_BITS).astype(np.int32)
        for ring in path.to_polygons(closed_only=True)
    ]
    cv2.fillPoly(canvas, rings, 255, cv2.LINE_8, FRACTION_BITS)
    return cv2.resize(canvas.astype(np.float32), (SIDE, SIDE), interpolation=cv2.INTER_AREA) / 255


def characters(*files: str) -> list[str]:
    """Letters and digits that all these fonts have, in the order of their code points; Hangul's fillers are blank."""
    shared = set.intersection(*(set(FT2Font(file).get_charmap()) for file in files))
    letters = [chr(code) for code in sorted(shared) if chr(code).isalnum()]
    return [letter for letter in letters if "FILLER" not in unicodedata.name(letter, "")]


def installed(*names: str) -> list[str]:
    """The system's fonts of these file names; none if one is missing."""
    files = {Path(file).name: file for file in findSystemFonts()}
    return [files[name] for name in names] if set(names) <= set(files) else []


def shipped(name: str) -> str:
    """A font in matplotlib's wheel."""
    return str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name)


@functools.cache
def fonts(source: str, target: str) -> dict[str, Pairs]:
    """One font's glyphs and the other's: a tenth for validation, a fifth for the test."""
    rng = np.random.default_rng(0)
    found = characters(source, target)
    if len(found) > MOST:
        found = sorted(rng.choice(found, MOST, replace=False))
    letters = sorted({base(c) for c in found})
    part = dict(zip(letters, rng.choice(SPLITS, len(letters), p=SHARES), strict=True))
    drawn: dict[str, list[list[NDArray[np.float32]]]] = {split: [] for split in SPLITS}
    for character in found:
        split = part[base(character)]
        for _ in range(1 if split == "train" else PLACES):
            origin = ORIGIN + rng.uniform(-SPREAD, SPREAD, 2)
            pair = [glyph(file, character, origin) for file in (source, target)]
            if all(image.any() for image in pair):
                drawn[split].append(pair)
    return {split: Pairs(*map(images, zip(*pairs, strict=True))) for split, pairs in drawn.items()}


def base(character: str) -> str:
    """The letter without its accents, by which glyphs are kept apart."""
    return unicodedata.normalize("NFKD", character)[0].casefold()


def images(arrays: list[NDArray[np.float32]]) -> Tensor:
    return torch.from_numpy(np.stack(arrays))[:, None]


def tasks() -> dict[str, Callable[[], Task]]:
    """What makes each; Chinese, Japanese and Korean only where Debian's fonts-noto-cjk is installed."""
    sans, serif = shipped("DejaVuSans.ttf"), shipped("DejaVuSerif-BoldItalic.ttf")
    made = {
        "fonts": functools.partial(font_task, sans, serif, "DejaVu Sans to DejaVu Serif Bold Italic"),
        "photos": photo_task,
    }
    if cjk := installed("NotoSansCJK-Regular.ttc", "NotoSerifCJK-Bold.ttc"):
        made["cjk"] = functools.partial(font_task, *cjk, "Noto Sans CJK to Noto Serif CJK Bold")
    return made
