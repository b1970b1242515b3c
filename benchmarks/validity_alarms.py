"""Nothing is accused that only is regular: textures, text, photos, and everything else that no decoder drew."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
from content import Image, periodic_scene, photo, plain_scene
from validity_content import SIDE, Split, crops_of, eight_bit
from validity_readings import Reading, Row, percent, read, reading_of, spectral
from validity_textures import SCRIPTS, chessboard, screentone, text_page

OTHER_SIDES = {128: 4, 256: 4, 512: 1}
"""sides of crops -> crops per photo"""
COUNT = 100
PER_SCRIPT = 40


def regular_texture_is_not_accused(split: Split) -> Iterator[Row]:
    """Rendered texture, chessboards, screens and text."""
    for kind in ("cloth", "screen", "fence", "masonry"):
        images = [periodic_scene(kind, split.seed + number) for number in range(COUNT)]
        yield _row(f"{kind}, rendered", images, [kind] * COUNT)
    for kind in ("boxes", "texture"):
        images = [plain_scene(kind, split.seed + number) for number in range(COUNT)]
        yield _row(f"{kind}, rendered", images, [kind] * COUNT)
    for claim, whole_pixels in (("whole pixels", True), ("any size", False)):
        images = [chessboard(split.seed + number, whole_pixels) for number in range(COUNT)]
        yield _row(f"chessboards, cells of {claim}", images, ["chessboard"] * COUNT)
    yield _row("screentone", [screentone(split.seed + number) for number in range(COUNT)], ["screentone"] * COUNT)
    scripts = [script for script in SCRIPTS for _ in range(PER_SCRIPT)]
    pages = [text_page(script, split.seed + number) for number, script in enumerate(scripts)]
    yield _row(f"text, {', '.join(SCRIPTS)}", pages, scripts)


def photos_are_not_accused(split: Split) -> Iterator[Row]:
    """Photos as they are shipped, whole and in crops; scenes with exact anti-aliasing."""
    contents = [split.photos, *(split.photo_crops(side, each) for side, each in OTHER_SIDES.items())]
    for side, content in zip((SIDE, *OTHER_SIDES), contents, strict=True):
        yield _row(f"photos, crops of {side}", content.images, content.kinds)
    whole = split.whole_photos()
    yield _row("photos, whole", whole.images, whole.kinds)
    yield _row(f"scenes of {SIDE}", split.rendered.images, split.rendered.kinds)


def a_real_replica_is_named(split: Split) -> Iterator[Row]:
    """`skimage.data.moon` is an exact replica by 2, as it is shipped; it is nobody's to tune to."""
    moon = photo("moon")
    whole = _read([moon])
    crops = _read(crops_of(moon, SIDE))
    named = [(reading.told > 0) & (reading.period == 2) for reading in (whole, crops)]
    measured = f"whole: {int(whole.period[0])}, {whole.warp[0]:.2f} px; {named[1].sum()} of {named[1].size} crops"
    yield Row(f"moon is a replica by 2: whole, and crops of {SIDE}", "2, all", measured, all(map(np.all, named)))


def _row(claim: str, images: Sequence[Image], kinds: Sequence[str]) -> Row:
    """How many are said to show something, and what is read on the worst."""
    reading = _read(images)
    false = reading.shows()
    measured = f"{false.sum()} of {false.size} ({percent(false.mean())})"
    if false.any():
        accused = Counter(f"{kinds[k]}, period {int(reading.period[k])}" for k in np.flatnonzero(false))
        often = ", ".join(f"{name}: {count}" for name, count in accused.most_common(3))
        measured += f"; highest {_highest(reading, false)}; {often}"
    measured += f"; cannot tell {int((reading.told == 0).sum())}"
    return Row(f"false alarms: {claim}, any period", "<= 1%", measured, false.mean() <= 0.01)


def _highest(reading: Reading, among: np.ndarray) -> str:
    grid, follows, warp = (values[among].max() for values in (reading.grid, reading.modulation, reading.warp))
    return f"{grid * 255:.1f}/255, {follows * 255:.1f}/255, {warp:.2f} px"


def _read(images: Sequence[Image]) -> Reading:
    return reading_of(read(spectral(), [eight_bit(image) for image in images]))
