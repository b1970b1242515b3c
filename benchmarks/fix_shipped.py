"""Cures trained networks from PyPI and npm: `python benchmarks/fix_shipped.py` (about 15 minutes).

Nobody planted anything in them, see `shipped_models.py`. Every offender that `diagnose` names is replaced and trained,
one after the other, on crops of some of scikit-image's photos; it is judged on others, against the first output.
"""

from __future__ import annotations

import copy
import time
from typing import Any

import numpy as np
import skimage
import torch
from publish import arguments, markdown_table, publish
from shipped_models import MODELS
from torch import Tensor

import artifactlab
from artifactlab.fix import check_fix, distil, replace_upsampler
from artifactlab.fix.verify import FixCheck

TRAINED_ON = ("immunohistochemistry", "retina", "hubble_deep_field", "rocket")
JUDGED_ON = ("astronaut", "coffee", "chelsea")
SIDES = {"style15": (192, 256), "style17": (192, 256), "style19": (192, 256), "slim_x8": (48, 96)}
"""network -> pixels a side of the crops that are trained and judged on"""
CROPS = 60
LADDER = (("interpolate_conv", 0, 2.0), ("interpolate_conv", 300, 2.0), ("subpixel", 1000, 4.0))
"""(mode, steps of training, weight of the lattice), the cheapest first"""


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


def cure(name: str) -> dict[str, Any]:
    """Fix one network, offender by offender, each by the cheapest way that cures it, else by the last."""
    factory, data_range, package = MODELS[name]
    old = factory()
    training, judging = SIDES[name]
    taught = crops(TRAINED_ON, CROPS, training, data_range)
    judged = crops(JUDGED_ON, len(JUDGED_ON), judging, data_range)
    before = artifactlab.diagnose(old, judged, data_range=data_range)
    sites = {site.site.key: site.site for site in before.sites}
    start, new, done = time.perf_counter(), old, []
    for step in before.joint:
        for mode, steps, weight in LADDER:
            made = copy.deepcopy(new)
            swap = replace_upsampler(made, sites[step.key], mode)
            if steps:
                distil(made, new, swap, taught, steps=steps, lattice_weight=weight, data_range=data_range)
            if check_fix(new, made, sites[step.key], judged, data_range=data_range).cured:
                break
        new = made
        done.append(f"`{step.key}` by {mode}, {f'{steps} steps' if steps else 'closed form'}")
    seconds = time.perf_counter() - start
    named = [sites[step.key] for step in before.joint] or [before.sites[0].site]
    widest = max(named, key=lambda site: max(site.period))
    return {
        "package": package,
        "done": done,
        "seconds": seconds,
        "before": before,
        "after": artifactlab.diagnose(new, judged, data_range=data_range),
        "check": check_fix(old, new, widest, judged, data_range=data_range),
    }


def row(name: str, found: dict[str, Any]) -> list[str]:
    check: FixCheck = found["check"]
    grid = [f"{255 * amplitude:.2f}" for amplitude in check.lattice_amplitude]
    steps = [f"{jaggedness:.2f}" for jaggedness in check.edge_jaggedness]
    severity = [f"{diagnosis.output.severity:.2f}" for diagnosis in (found["before"], found["after"])]
    return [
        f"`{name}` ({found['package']})",
        "; ".join(found["done"]),
        " -> ".join(grid),
        "-" if check.energy_drop is None else f"{check.energy_drop:.0%}",
        " -> ".join(steps),
        " -> ".join(severity),
        f"{check.psnr:.1f} dB",
        f"{found['seconds']:.0f} s",
        "fixed" if check.cured else "**not fixed**",
    ]


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--only", nargs="+", choices=list(SIDES), default=list(SIDES), help="not to be published")
    options = parser.parse_args()
    cured = {name: cure(name) for name in options.only}
    header = ["network", "replaced", "grid, 1/255", "energy gone", "stair-steps, px", "severity", "PSNR", "time", ""]
    verdicts = "\n".join(f"- `{name}`: {found['check'].verdict}" for name, found in cured.items())
    publish(
        "fix_shipped",
        markdown_table(header, [row(name, found) for name, found in cured.items()]) + f"\n\n{verdicts}",
        options.publish,
    )


if __name__ == "__main__":
    main()
