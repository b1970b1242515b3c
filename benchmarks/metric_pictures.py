"""Pictures of the metrics reference: what 0, 1 and much of each metric look like. And the first notebook's figures.

    python benchmarks/metric_pictures.py

Each panel is an image that is scored as `artifactlab score` scores it; the number above it is what was read. Panels
show the middle of what is scored, at twice its size, without resampling. They are written to docs/images/.
"""

from __future__ import annotations

import base64
import io
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import cv2
import matplotlib.pyplot as plt
import numpy as np
import skimage.data
from numpy.typing import NDArray
from PIL import Image

from artifactlab import score_images
from artifactlab.scoring.measures import METRICS

ROOT = Path(__file__).resolve().parent.parent
PICTURES = ROOT / "docs" / "images"
NOTEBOOK = ROOT / "notebooks" / "1_what_a_stair_step_is.ipynb"
NOTEBOOK_PICTURES = {
    "notebook_enlarged": "magnified(image, top=22",
    "notebook_spectrum": "def zeros_between",
    "notebook_filtered": "def left_of_sinusoid",
}
"""Name of a figure, and how the source of its cell is known."""
SIDE, SHOWN, ZOOM = 256, 128, 2
FINE = 8
"""Samples per pixel and axis of what is drawn."""
GAP, HEAD = 12, 24
Pixels = NDArray[np.float64]


def photo() -> Pixels:
    """A face, in gray."""
    return cv2.cvtColor(skimage.data.astronaut(), cv2.COLOR_RGB2GRAY)[:SIDE, 96 : 96 + SIDE].astype(float)


def circles() -> Pixels:
    """Rings as a camera would see them: each pixel is the mean of what falls on it."""
    y, x = np.mgrid[: SIDE * FINE, : SIDE * FINE] / FINE - SIDE / 2
    rings = 60 + 140 * (np.hypot(y + 0.2, x + 0.3) % 40 < 20)
    return rings.reshape(SIDE, FINE, SIDE, FINE).mean((1, 3))


def grid(levels: float, period: int) -> Pixels:
    """A lattice of dots every so many pixels, of that rms in levels of 255 and of mean 0."""
    dots = np.zeros((SIDE, SIDE))
    dots[::period, ::period] = 1
    dots -= dots.mean()
    return levels * dots / dots.std()


def in_one_place(pattern: Pixels) -> Pixels:
    """A pattern in 64 x 64 pixels of the middle alone."""
    kept = np.zeros_like(pattern)
    kept[96:160, 96:160] = pattern[96:160, 96:160]
    return kept


def replicated(image: Pixels, factor: int) -> Pixels:
    """An image reduced to means of blocks, each of which is repeated."""
    small = image.reshape(SIDE // factor, factor, SIDE // factor, factor).mean((1, 3))
    return small.repeat(factor, 0).repeat(factor, 1)


def stripes() -> Pixels:
    """A wave along the rows."""
    return np.broadcast_to(128 + 60 * np.sin(np.arange(SIDE) / 5), (SIDE, SIDE)).copy()


PANELS: dict[str, Callable[[], list[Pixels]]] = {
    "severity": lambda: [photo(), photo() + grid(1.45, 4), photo() + grid(12, 4)],
    "worst_window": lambda: [photo(), photo() + in_one_place(grid(1.2, 4)), photo() + in_one_place(grid(16, 4))],
    "edge_jaggedness": lambda: [circles(), replicated(circles(), 4), replicated(circles(), 8)],
    "axis_excess": lambda: [circles(), cv2.GaussianBlur(replicated(circles(), 4), (0, 0), 1), replicated(circles(), 4)],
    "checkerboard_energy": lambda: [photo(), photo() + grid(1.2, 2), 128 + grid(12, 2)],
    "lattice_amplitude": lambda: [photo(), photo() + grid(1.1, 4), photo() + grid(16, 4)],
    "period": lambda: [photo(), photo() + grid(12, 2), photo() + grid(12, 8)],
    "replication_factor": lambda: [photo(), replicated(photo(), 2), replicated(photo(), 8)],
    "direction_divergence": lambda: [circles(), replicated(circles(), 4), stripes()],
}
"""What shows little, some and much of each metric."""
REFERENCES = {"direction_divergence": lambda: [circles(), circles(), stripes().T]}


def write(folder: Path, images: list[Pixels]) -> list[NDArray[np.uint8]]:
    """Images as files of 8 bits, and what is in them."""
    folder.mkdir()
    rounded = [image.round().clip(0, 255).astype(np.uint8) for image in images]
    for number, image in enumerate(rounded):
        cv2.imwrite(str(folder / f"{number}.png"), image)
    return rounded


def draw(name: str, scratch: Path) -> None:
    """The picture of one metric."""
    images = write(scratch / name, PANELS[name]())
    reference = scratch / f"{name}, reference" if name in REFERENCES else None
    if reference:
        write(reference, REFERENCES[name]())
    report = score_images([scratch / name], metrics=[name], reference=reference)
    scores = [row.scores[name] for row in sorted(report.images, key=lambda row: row.path)]
    side = SHOWN * ZOOM
    canvas = np.full((side + HEAD, 3 * side + 2 * GAP), 255, np.uint8)
    figure = plt.figure(figsize=(canvas.shape[1] / 100, canvas.shape[0] / 100), dpi=100)
    for number, (image, score) in enumerate(zip(images, scores, strict=True)):
        middle = image[(SIDE - SHOWN) // 2 :, (SIDE - SHOWN) // 2 :][:SHOWN, :SHOWN]
        left = number * (side + GAP)
        canvas[HEAD:, left : left + side] = middle.repeat(ZOOM, 0).repeat(ZOOM, 1)
        label = f"{name}: {score:.3g}" if score is not None else f"{name}: ?"
        figure.text((left + side / 2) / canvas.shape[1], 1 - 12 / canvas.shape[0], label, ha="center", va="center")
    figure.canvas.draw()
    words = np.asarray(figure.canvas.buffer_rgba())[..., 0]  # type: ignore[attr-defined]  # of the agg canvas
    canvas[:HEAD] = words[:HEAD]
    plt.close(figure)
    Image.fromarray(canvas).save(PICTURES / f"metric_{name}.png", optimize=True)


def copy_from_notebook() -> None:
    """The figures of the first notebook, as its last run left them."""
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    for name, start in NOTEBOOK_PICTURES.items():
        (cell,) = [cell for cell in cells if start in "".join(cell["source"])]
        (picture,) = [o["data"]["image/png"] for o in cell["outputs"] if "image/png" in o.get("data", {})]
        figure = Image.open(io.BytesIO(base64.b64decode("".join(picture)))).convert("RGB")
        figure.quantize(64, dither=Image.Dither.NONE).save(PICTURES / f"{name}.png", optimize=True)


def main() -> None:
    plt.switch_backend("agg")
    PICTURES.mkdir(exist_ok=True)
    missing = [name for name in METRICS if name not in PANELS]
    if missing:
        raise SystemExit(f"no panels for {', '.join(missing)}: add them to PANELS")
    with tempfile.TemporaryDirectory() as scratch:
        for name in PANELS:
            draw(name, Path(scratch))
    copy_from_notebook()


if __name__ == "__main__":
    main()
