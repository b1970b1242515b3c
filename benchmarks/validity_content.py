"""What `metric_validity.py` measures on: crops of all photos that ship with three packages, and rendered scenes.

scikit-learn's photos are for development, those of scikit-image and matplotlib for the test. None is left out for what
it shows. Charts, logos, a binary silhouette and a phantom are no photos; `moon` is an exact x2 replica as it is shipped
and has a row of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from content import SEEDS, Image, photo, scenes
from degradations import Degradation
from numpy.typing import NDArray
from validity_readings import Measure, read

PHOTOS = {
    "development": ("china", "flower"),
    "test": (
        *("astronaut", "brick", "camera", "cell", "chelsea", "clock_motion", "coffee", "coins", "grace_hopper"),
        *("grass", "gravel", "hubble_deep_field", "ihc", "microaneurysms", "motorcycle_left", "motorcycle_right"),
        *("page", "retina", "rocket", "text"),
    ),
}
SIDE = 160
"""of the crops that most claims are about"""
EACH = {"development": 8, "test": 2}
"""crops of that side per photo; development has two photos only, and takes all of theirs"""
RENDERED = 20


@dataclass(eq=False)
class Content:
    """Images of one kind, and what has been read on them already."""

    name: str
    images: list[Image]
    kinds: list[str]
    """of each image: the photo's name or the kind of scene"""
    seed: int
    _known: dict[tuple[Measure, Degradation], NDArray[np.float64]] = field(default_factory=dict, repr=False)
    _last: tuple[Degradation, list[Image]] | None = field(default=None, repr=False)

    def read(self, measure: Measure, degradation: Degradation) -> NDArray[np.float64]:
        """What the measure reads on each image after the degradation."""
        key = measure, degradation
        if key not in self._known:
            self._known[key] = read(measure, self.degraded(degradation))
        return self._known[key]

    def read_all(
        self, measures: Iterable[Measure], families: Mapping[str, Degradation]
    ) -> dict[Measure, dict[str, NDArray[np.float64]]]:
        """What each measure reads under each family; every family is made once."""
        found: dict[Measure, dict[str, NDArray[np.float64]]] = {measure: {} for measure in measures}
        for name, family in families.items():
            for measure, by_name in found.items():
                by_name[name] = self.read(measure, family)
        return found

    def degraded(self, degradation: Degradation) -> list[Image]:
        """The images after the degradation, in 8 bits; every image has a seed of its own."""
        if self._last is None or self._last[0] is not degradation:
            seeds = [np.random.default_rng((self.seed, number)) for number in range(len(self.images))]
            images = [eight_bit(degradation(image, rng)) for image, rng in zip(self.images, seeds, strict=True)]
            self._last = degradation, images
        return self._last[1]


def eight_bit(image: Image) -> Image:
    """As an image file keeps it."""
    return (np.round(np.clip(image, 0, 1) * 255) / 255).astype(np.float32)


@dataclass(frozen=True)
class Split:
    """All content of one split."""

    name: str

    @property
    def seed(self) -> int:
        return SEEDS[self.name]

    @cached_property
    def photos(self) -> Content:
        """The crops that most claims are about."""
        return self.photo_crops(SIDE, EACH[self.name])

    @cached_property
    def rendered(self) -> Content:
        """Scenes with exact anti-aliasing, of the same size."""
        kinds, found = zip(*scenes(self.name, RENDERED, SIDE), strict=True)
        return Content("rendered", [scene.render() for scene in found], list(kinds), self.seed)

    def photo_crops(self, side: int, each: int) -> Content:
        """Up to `each` crops per photo, at seeded places that do not overlap; smaller photos as they are."""
        rng = np.random.default_rng(self.seed)
        images, kinds = [], []
        for name in PHOTOS[self.name]:
            crops = crops_of(photo(name), side)
            for number in rng.permutation(len(crops))[:each]:
                images.append(crops[number])
                kinds.append(name)
        return Content("photos", images, kinds, self.seed)

    def whole_photos(self) -> Content:
        """Every photo as it is shipped."""
        names = PHOTOS[self.name]
        return Content("whole photos", [photo(name) for name in names], list(names), self.seed)

    def described(self) -> str:
        """One sentence on what there is."""
        return (
            f"{self.name.capitalize()} split: {len(self.photos.images)} crops of {SIDE}x{SIDE} of"
            f" {len(PHOTOS[self.name])} photos ({', '.join(PHOTOS[self.name])}), and {RENDERED} rendered scenes."
        )


def crops_of(image: Image, side: int) -> list[Image]:
    """All crops from the upper left corner on that do not overlap."""
    height, width = (min(side, whole) for whole in image.shape)
    return [
        image[top : top + height, left : left + width]
        for top in range(0, image.shape[0] - height + 1, height)
        for left in range(0, image.shape[1] - width + 1, width)
    ]


def mosaic(images: Sequence[Image], tiles: int, overlap: int, rng: np.random.Generator) -> Image:
    """One large image of turned and mirrored square images, which fade into each other where they overlap."""
    side = images[0].shape[0]
    stride = side - overlap
    ramp = np.minimum((np.arange(side) + 0.5) / overlap, 1)
    weight = np.outer(ramp * ramp[::-1], ramp * ramp[::-1])
    total = np.zeros((stride * tiles + overlap,) * 2)
    weights = np.zeros_like(total)
    for number in range(tiles * tiles):
        tile = images[int(rng.integers(len(images)))]
        tile = np.rot90(tile if rng.random() < 0.5 else tile.T, int(rng.integers(4)))
        top, left = (stride * k for k in divmod(number, tiles))
        total[top : top + side, left : left + side] += weight * tile
        weights[top : top + side, left : left + side] += weight
    return (total / weights).astype(np.float32)
