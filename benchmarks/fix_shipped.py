"""Cures trained networks from PyPI and npm: `python benchmarks/fix_shipped.py` (about 20 minutes).

Nobody planted anything in them, see `shipped_models.py`. All offenders that `diagnose` names are replaced at once, in
several ways, and fitted to crops of some of scikit-image's photos or to synthetic images; it is judged on other photos.
A plain bilinear resize at the same places is the floor to beat.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import skimage
import torch
from publish import arguments, markdown_table, publish
from shipped_models import MODELS
from torch import Tensor

from artifactlab.fix import Fix, fix_site

TRAINED_ON = ("immunohistochemistry", "retina", "hubble_deep_field", "rocket")
JUDGED_ON = ("astronaut", "coffee", "chelsea")
SIDES = {"style15": (192, 256), "style17": (192, 256), "style19": (192, 256), "slim_x8": (48, 96)}
"""network -> pixels a side of the crops that are trained and judged on"""
CROPS = 60
WAYS: dict[str, dict[str, Any]] = {
    "bilinear, as it is": {"mode": "bilinear", "steps": 0},
    "interpolate_conv, in seconds": {"mode": "interpolate_conv"},
    "subpixel, in seconds": {"mode": "subpixel"},
    "subpixel, on images": {"mode": "subpixel", "distil_on": True, "steps": 1000},
    "subpixel and neighbours, on images": {"mode": "subpixel", "distil_on": True, "steps": 1000, "neighbours": True},
}
"""name -> what `fix_site` is told; on images, those of `TRAINED_ON`"""


def crops(names: tuple[str, ...], count: int, side: int, data_range: float) -> list[Tensor]:
    """Random squares of photos, (1, 3, side, side)."""
    rng = np.random.default_rng(0)
    made = []
    for k in range(count):
        image = getattr(skimage.data, names[k % len(names)])()[..., :3]
        top, left = (int(rng.integers(size - side + 1)) for size in image.shape[:2])
        part = torch.from_numpy(image[top : top + side, left : left + side].copy())
        made.append(data_range / 255 * part.permute(2, 0, 1)[None])
    return made


def cure(name: str) -> list[list[str]]:
    """A row of the table for each way."""
    factory, data_range, package = MODELS[name]
    old = factory()
    training, judging = SIDES[name]
    taught = crops(TRAINED_ON, CROPS, training, data_range)
    judged = crops(JUDGED_ON, len(JUDGED_ON), judging, data_range)
    rows = []
    for way, told in WAYS.items():
        start = time.perf_counter()
        told = told | ({"distil_on": taught} if told.get("distil_on") else {})
        made = fix_site(old, judged, data_range=data_range, **told)
        rows.append([f"`{name}` ({package})", way, *row(made, time.perf_counter() - start)])
        print(name, way, made.check.verdict, flush=True)
    return rows


def row(made: Fix, seconds: float) -> list[str]:
    check = made.check
    severity = [diagnosis.output.severity or 0.0 for diagnosis in (made.before, made.after)]
    return [
        ", ".join(f"`{swap.replacement.paths[0]}`" for swap in made.swaps),
        arrow([255 * amplitude for amplitude in check.lattice_amplitude]),
        arrow(check.edge_jaggedness),
        arrow(severity),
        "-" if check.worst_window is None else arrow(check.worst_window),
        f"{check.psnr:.1f} dB",
        f"{seconds:.0f} s",
        "fixed" if check.cured else f"**not fixed**: {check.verdict.removeprefix('Not fixed: ')}",
    ]


def arrow(change: Sequence[float]) -> str:
    return " -> ".join(f"{number:.2f}" for number in change)


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--only", nargs="+", choices=list(SIDES), default=list(SIDES), help="not to be published")
    options = parser.parse_args()
    rows = [row for name in options.only for row in cure(name)]
    header = [
        *("network", "way", "replaced", "grid, 1/255", "stair-steps, px", "severity", "worst window", "PSNR"),
        *("all of it takes", "verdict"),
    ]
    publish("fix_shipped", markdown_table(header, rows), options.publish)


if __name__ == "__main__":
    main()
