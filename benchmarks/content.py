"""What the benchmarks are run on: photos that ship with packages, and scenes rendered with exact anti-aliasing.

Development and test share no photo and no seed. Images are gray, `(H, W)` float32 in [0, 1].
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath
from numpy.typing import NDArray

Image = NDArray[np.float32]

PHOTOS = {
    "development": ("astronaut", "camera", "chelsea", "coins", "gravel", "hubble_deep_field", "page", "rocket"),
    "test": (
        *("brick", "cell", "clock_motion", "coffee", "grass", "ihc", "microaneurysms"),
        *("motorcycle_left", "motorcycle_right", "retina", "text"),
    ),
}
"""every photo inside scikit-image's wheel but `moon`, which is itself an exact x2 replica; charts, logos and the binary
horse are no photos"""
SEEDS = {"development": 0, "test": 10_000}
PHOTO_FOLDERS = {"skimage": "data", "sklearn": "datasets/images", "matplotlib": "mpl-data/sample_data"}
"""package -> where its photos are"""
SIDE = 256
OVERSAMPLING = 16
FRACTION_BITS = 4
"""of the coordinates given to OpenCV: vertices lie on a 1/16 of an oversampled pixel"""


def photo(name: str, colour: bool = False) -> Image:
    """One photo of scikit-image, scikit-learn or matplotlib in gray; or (H, W, 3) in red, green and blue."""
    for package, folder in PHOTO_FOLDERS.items():
        found = importlib.util.find_spec(package)
        root = Path(found.origin).parent if found is not None and found.origin else None
        for file in (root / folder / f"{name}{suffix}" for suffix in (".png", ".jpg") if root):
            flag = cv2.IMREAD_COLOR if colour else cv2.IMREAD_GRAYSCALE
            image = cv2.imread(str(file), flag) if file.exists() else None
            if image is not None:
                return np.ascontiguousarray(image[..., ::-1] if colour else image, np.float32) / 255
    raise SystemExit(f"no readable photo {name}: install {', '.join(PHOTO_FOLDERS)}")


def photo_crops(split: str, side: int = SIDE, each: int = 4) -> Iterator[tuple[str, Image]]:
    """Up to `each` crops per photo that do not overlap, from seeded places; photos smaller than `side` whole.

    Sides are multiples of 24, so that every integer replication factor fits.
    """
    rng = np.random.default_rng(SEEDS[split])
    for name in PHOTOS[split]:
        image = photo(name)
        height, width = (min(side, s) // 24 * 24 for s in image.shape)
        places = [
            (top, left)
            for top in range(0, image.shape[0] - height + 1, height)
            for left in range(0, image.shape[1] - width + 1, width)
        ]
        for k in rng.permutation(len(places))[:each]:
            top, left = places[k]
            yield name, image[top : top + height, left : left + width]


def scenes(split: str, count: int, side: int = 240) -> Iterator[tuple[str, Scene]]:
    """Rendered scenes, one kind after the other."""
    kinds = ("polygons", "discs", "lines", "curves", "glyphs")
    for k in range(count):
        kind = kinds[k % len(kinds)]
        yield kind, Scene(kind, SEEDS[split] + k, side)


class Scene:
    """A scene of one kind of object, which can be rendered at any resolution."""

    def __init__(self, kind: str, seed: int, side: int) -> None:
        rng = np.random.default_rng(seed)
        self.side = side
        background = rng.uniform(0, 1)
        self.background = background
        self.objects = []
        for _ in range({"lines": 7, "curves": 5, "glyphs": 6}.get(kind, 5)):
            contrast = rng.uniform(0.25, 0.9) * (1 if background < 0.5 else -1)
            level = float(np.clip(background + contrast, 0, 1))
            self.objects.append((_OUTLINES[kind](rng, side), level))

    def render(self, scale: int = 1) -> Image:
        """The scene on `side / scale` pixels: exact area coverage from `OVERSAMPLING` sub-pixels a side."""
        size = self.side // scale
        zoom = OVERSAMPLING * size / self.side
        canvas = np.full((size * OVERSAMPLING,) * 2, round(self.background * 255), np.uint8)
        for rings, level in self.objects:
            points = [np.round((ring * zoom - 0.5) * 2**FRACTION_BITS).astype(np.int32) for ring in rings]
            cv2.fillPoly(canvas, points, round(level * 255), cv2.LINE_8, FRACTION_BITS)
        return cv2.resize(canvas.astype(np.float32), (size, size), interpolation=cv2.INTER_AREA) / 255


def _polygon(rng: np.random.Generator, side: int) -> list[NDArray[Any]]:
    corners = int(rng.integers(3, 6))
    angles = np.sort(rng.uniform(0, 2 * math.pi) + np.arange(corners) * 2 * math.pi / corners)
    radius = rng.uniform(0.12, 0.25) * side
    centre = rng.uniform(0.2, 0.8, 2) * side
    return [centre + radius * np.stack([np.cos(angles), np.sin(angles)], 1)]


def _disc(rng: np.random.Generator, side: int) -> list[NDArray[Any]]:
    t = np.linspace(0, 2 * math.pi, 400, endpoint=False)
    a, b = rng.uniform(0.08, 0.25, 2) * side
    turn = rng.uniform(0, math.pi)
    x, y = a * np.cos(t), b * np.sin(t)
    ring = np.stack([x * math.cos(turn) - y * math.sin(turn), x * math.sin(turn) + y * math.cos(turn)], 1)
    return [rng.uniform(0.2, 0.8, 2) * side + ring]


def _stroke(path: NDArray[Any], width: float) -> list[NDArray[Any]]:
    tangent = np.gradient(path, axis=0)
    normal = np.stack([-tangent[:, 1], tangent[:, 0]], 1) / np.linalg.norm(tangent, axis=1, keepdims=True)
    return [np.concatenate([path + normal * width / 2, (path - normal * width / 2)[::-1]])]


def _line(rng: np.random.Generator, side: int) -> list[NDArray[Any]]:
    angle, length = rng.uniform(0, math.pi), rng.uniform(0.4, 0.9) * side
    direction = np.array([math.cos(angle), math.sin(angle)])
    centre = rng.uniform(0.25, 0.75, 2) * side
    return _stroke(centre + np.linspace(-0.5, 0.5, 50)[:, None] * length * direction, rng.uniform(1.5, 16))


def _curve(rng: np.random.Generator, side: int) -> list[NDArray[Any]]:
    knots = rng.uniform(0.05, 0.95, (4, 2)) * side
    t = np.linspace(0, 1, 200)[:, None]
    bezier = sum(math.comb(3, i) * (1 - t) ** (3 - i) * t**i * knots[i] for i in range(4))
    return _stroke(np.asarray(bezier), rng.uniform(1.5, 16))


def _glyph(rng: np.random.Generator, side: int) -> list[NDArray[Any]]:
    family = rng.choice(["DejaVu Sans", "DejaVu Serif", "STIXGeneral", "cmr10"])
    letter = rng.choice(list("AKMRSVWXZaekmsvwxyz24780&"))
    size = rng.uniform(0.3, 0.7) * side
    rings = TextPath((0, 0), letter, size=size, prop=FontProperties(family=family)).to_polygons(closed_only=True)
    turn, centre = rng.uniform(0, 2 * math.pi), rng.uniform(0.1, 0.6, 2) * side
    rotation = np.array([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]])
    middle = np.concatenate(rings).mean(0)
    return [(ring - middle) @ rotation + centre + size / 4 for ring in rings]


_OUTLINES = {"polygons": _polygon, "discs": _disc, "lines": _line, "curves": _curve, "glyphs": _glyph}


def plain_scene(kind: str, seed: int, side: int = 240) -> Image:
    """What has edges but no oblique contour to follow: axis-parallel boxes, chessboards, fine texture, upright text."""
    rng = np.random.default_rng(seed)
    low, high = sorted(rng.uniform(0, 1, 2) * 0.4 + (0, 0.6))
    if kind == "boxes":
        mask = np.zeros((side, side), np.float32)
        for _ in range(12):
            top, left, height, width = rng.uniform(0, side / 2, 4)
            cover = [
                np.clip(np.minimum(np.arange(side) + 1, start + length) - np.maximum(np.arange(side), start), 0, 1)
                for start, length in ((top, height), (left, width))
            ]
            mask = np.maximum(mask, np.outer(*cover))
    elif kind == "chessboard":
        size = rng.uniform(8, 40)
        fine = (np.arange(side * 8) / 8 // size) % 2
        mask = shrink_exactly((fine[:, None] != fine[None]).astype(np.float32), 8)
    elif kind == "texture":
        mask = cv2.GaussianBlur(rng.normal(0, 1, (side, side)).astype(np.float32), (0, 0), rng.uniform(0.6, 1.5))
        mask = np.clip(0.5 + mask / mask.std() / 4, 0, 1)
    else:
        canvas = np.zeros((side * 8, side * 8), np.uint8)
        size = rng.uniform(9, 16) * 8
        for row in range(int(side * 8 / size / 1.6)):
            words = "".join(rng.choice(list("etaoinshrdlucmfwypvbgkqjxz  EAHT"), 60))
            text = TextPath((0, 0), words, size=size, prop=FontProperties(family="DejaVu Sans"))
            rings = [np.round((ring * (1, -1) + (16, (row + 1) * size * 1.6)) * 16) for ring in text.to_polygons()]
            cv2.fillPoly(canvas, [ring.astype(np.int32) for ring in rings], 255, cv2.LINE_8, FRACTION_BITS)
        mask = shrink_exactly(canvas.astype(np.float32) / 255, 8)
    return (low + (high - low) * mask).astype(np.float32)


def periodic_scene(kind: str, seed: int, side: int = 240) -> Image:
    """Regular texture of its own spacing: cloth, screens of dots, fences, masonry, pages of text."""
    rng = np.random.default_rng(seed)
    if kind == "text":
        return plain_scene("text", seed, side)
    spacing, turn = rng.uniform(3, 16), rng.normal(0, 0.05)
    y, x = (np.mgrid[0 : side * 4, 0 : side * 4] + 0.5) / 4
    u, v = x * math.cos(turn) + y * math.sin(turn), y * math.cos(turn) - x * math.sin(turn)
    stretch = rng.uniform(0.7, 1.4)
    waves = np.cos(2 * math.pi * u / spacing), np.cos(2 * math.pi * v / spacing / stretch)
    if kind == "cloth":
        mask = (waves[0] > 0) ^ (waves[1] > 0)
    elif kind == "screen":
        mask = waves[0] + waves[1] > rng.uniform(0, 1.2)
    elif kind == "fence":
        mask = waves[0] > rng.uniform(-0.5, 0.8)
    else:
        course = v // (2 * spacing)
        mask = (v % (2 * spacing) > 1.5) & ((u + course % 2 * 2 * spacing) % (4 * spacing) > 1.5)
    light = rng.uniform(0.5, 1) + 0.15 * cv2.GaussianBlur(rng.normal(0, 20, (side, side)), (0, 0), 20)
    return np.clip(shrink_exactly(mask.astype(np.float32), 4) * 0.6 * light + 0.2, 0, 1).astype(np.float32)


def tinted(image: Image, rng: np.random.Generator) -> Image:
    """A gray image between two colors instead of black and white, (H, W, 3)."""
    dark, light = rng.uniform(0, 1, (2, 3)).astype(np.float32)
    return dark + (light - dark) * image[..., None]


def shrink_exactly(image: Image, factor: int) -> Image:
    """The mean over blocks."""
    height, width = image.shape
    return image.reshape(height // factor, factor, width // factor, factor).mean((1, 3))
