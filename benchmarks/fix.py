"""Does `fix` cure? `python benchmarks/fix.py`: a planted offender is replaced, fitted without labels, and checked.

One defect is planted at a site of a trained net, so that the healthy net is known: how near the fixed one comes to it
is the truth that no part of the fix has seen. Whether a defect shows, so that there is something to cure, is for FLIP
to say, of what it adds at its lattice's frequencies. Training images and those that it is judged on share no image.
"""

from __future__ import annotations

import copy
import math
import os
import time
from collections.abc import Sequence
from multiprocessing import get_context
from statistics import mean, median
from typing import Any

import numpy as np
import torch
from content import Image
from fix_flip import looks_off
from planted_cases import Case, Plan, make, plans
from planted_nets import Chain, trained
from planted_truth import at_lattice
from planting import with_planted
from publish import arguments, markdown_table, publish
from torch import Tensor, nn
from validity_content import eight_bit
from visibility_models import JUST_SEEN_FLIP, PIXELS_PER_DEGREE, flip

import artifactlab
from artifactlab.fix import FixCheck, check_fix, distil, replace_upsampler
from artifactlab.fix.synthetic_inputs import STEPS as SYNTHETIC_STEPS
from artifactlab.fix.synthetic_inputs import synthetic_inputs
from artifactlab.fix.teacher import sites_at
from artifactlab.models.calls import as_calls
from artifactlab.scoring.severity import VISIBLE

ROUNDS = {"development": 2, "test": 2}
"""cases per site"""
TRAINING = range(1, 7)
"""numbers of the sets of images that the new layer is trained on; the result is judged on set 0"""
WAYS = {
    "interpolate_conv, closed form": ("interpolate_conv", None),
    "interpolate_conv, in seconds": ("interpolate_conv", False),
    "interpolate_conv, on images": ("interpolate_conv", True),
    "subpixel, in seconds": ("subpixel", False),
    "subpixel, on images": ("subpixel", True),
}
"""name -> (mode, whether it is trained on images; on synthetic ones if not; None for not at all)"""
SEEING = flip(PIXELS_PER_DEGREE)


def run(plan: Plan) -> dict[str, Any] | None:
    """What each way of fixing one case does; None where what was planted does not show, say FLIP and severity."""
    torch.set_num_threads(1)
    case, healthy, old = planted(plan)
    judged = list(case.images(0).split(1))
    site = next(iter(sites_at(sites(old, judged[0]), [f"ups.{plan.guilty}"])))
    truth = check_fix(old, healthy, site, judged, data_range=1.0)
    is_seen = shows(old, healthy, case.images(0), case.periods[plan.guilty])
    if not is_seen and truth.severity[0] < VISIBLE:
        return None
    training = [image for number in TRAINING for image in case.images(number).split(1)]
    record: dict[str, Any] = {"plan": plan, "is_seen": is_seen, "truth": truth, "ways": {}}
    record["before"] = psnr(old, healthy, judged), error(old, healthy, case.images(0))
    for way, (mode, on_images) in WAYS.items():
        start, new = time.perf_counter(), copy.deepcopy(old)
        swap = replace_upsampler(new, site, mode)
        if on_images is not None:
            taught = training if on_images else synthetic_inputs(old, as_calls(judged), seed=0)
            distil(new, old, swap, taught, steps=600 if on_images else SYNTHETIC_STEPS, data_range=1.0)
        seconds = time.perf_counter() - start
        check = check_fix(old, new, site, judged, data_range=1.0)
        near = psnr(new, healthy, judged), error(new, healthy, case.images(0))
        record["ways"][way] = {"check": check, "seconds": seconds, "healthy": near}
    return record


def planted(plan: Plan) -> tuple[Case, nn.Module, nn.Module]:
    """A case, its healthy net, and that with the guilty site's defect alone."""
    case = make(plan)
    healthy = as_modules(trained(plan.split, plan.net), plan)
    return case, healthy, as_modules(with_planted(healthy, {plan.guilty: case.planted[plan.guilty]}), plan)


@torch.no_grad()
def shows(old: nn.Module, healthy: nn.Module, images: Tensor, period: int) -> bool:
    """Whether FLIP says that the defect is noticed in the median image, at its lattice's frequencies."""
    found = []
    for good, bad in zip(pictures(healthy(images)), pictures(old(images)), strict=True):
        shown = eight_bit(good)
        found.append(SEEING(shown, np.clip(shown + at_lattice(eight_bit(bad) - shown, period), 0, 1)))
    return median(found) >= JUST_SEEN_FLIP


@torch.no_grad()
def error(model: nn.Module, healthy: nn.Module, images: Tensor) -> float:
    """FLIP's mean error between a model's outputs and the healthy net's; .103 just shows."""
    return looks_off([model(images).clamp(0, 1)], [healthy(images).clamp(0, 1)], SEEING)


def as_modules(model: nn.Module, plan: Plan) -> nn.Module:
    """The net whose forward enlarges by itself, rewritten as `fix` advises: its calls become its modules'."""
    if plan.net.startswith("functional"):
        model.__class__ = Chain
    return model


def sites(model: nn.Module, image: Tensor) -> list[artifactlab.Site]:
    """The sites of a model."""
    with artifactlab.capture(model) as cap, torch.no_grad():
        model(image)
    return [found.site for found in cap.sites]


def pictures(outputs: Tensor) -> list[Image]:
    """Gray as (H, W), colours as (H, W, 3)."""
    return list((outputs[:, 0] if outputs.shape[1] == 1 else outputs.movedim(1, -1)).numpy())


def psnr(model: nn.Module, healthy: nn.Module, images: Sequence[Tensor]) -> float:
    """How near a model's outputs are to the healthy net's, in dB."""
    with torch.no_grad():
        errors = [(model(image) - healthy(image)).square().mean() for image in images]
    return -10 * math.log10(max(1e-12, float(torch.stack(errors).mean())))


def table(records: Sequence[dict[str, Any]]) -> str:
    """One column per way."""
    columns = {way: [record["ways"][way] for record in records] for way in WAYS}
    truths = [record["truth"] for record in records]

    def row(name: str, value: Any, text: str = "{}") -> list[str]:
        return [name, *(text.format(value(column)) for column in columns.values())]

    def share(test: Any) -> Any:
        return lambda column: f"{sum(map(test, column))} of {len(column)}"

    def drop(result: dict[str, Any]) -> float:
        return result["check"].energy_drop or 0.0

    def fraction(column: Sequence[dict[str, Any]]) -> str:
        parts = [drop(r) / (t.energy_drop or 1.0) for r, t in zip(column, truths, strict=True)]
        return f"{sum(part >= 0.8 for part in parts)} of {len(parts)}"

    rows = [
        row("lattice energy at the offender's period down by >= 80%", share(lambda r: drop(r) >= 0.8)),
        row("... by >= 80% of what taking the defect out removes", fraction),
        row("PSNR to the old output, lattice aside, >= 35 dB", share(lambda r: r["check"].psnr >= 35)),
        row("both", share(lambda r: drop(r) >= 0.8 and r["check"].psnr >= 35)),
        row("... or as near to it as the healthy net but for 1 dB", lambda c: _as_near(c, truths, drop)),
        row("a cure, says `check_fix`", share(lambda r: r["check"].cured)),
        row("median drop", lambda c: median(map(drop, c)), "{:.1%}"),
        row("median PSNR to the old output, lattice aside", lambda c: median(r["check"].psnr for r in c), "{:.1f} dB"),
        row("median PSNR to the healthy net", lambda c: median(r["healthy"][0] for r in c), "{:.1f} dB"),
        row("median FLIP error to the healthy net", lambda c: median(r["healthy"][1] for r in c), "{:.3f}"),
        row("nearer to the healthy net than the old one, PSNR", lambda c: _nearer(c, records, 0)),
        row("... FLIP", lambda c: _nearer(c, records, 1)),
        row("severity left, mean", lambda c: mean(r["check"].severity[1] for r in c), "{:.2f}"),
        row("seconds, median and longest", lambda c: _times(c)),
    ]
    return markdown_table(["", *WAYS], rows)


def _as_near(column: Sequence[dict[str, Any]], truths: Sequence[FixCheck], drop: Any) -> str:
    """Where the lattice went and the image is as near to the old one as can be asked."""
    pairs = zip(column, truths, strict=True)
    count = sum(drop(r) >= 0.8 and r["check"].psnr >= min(35.0, truth.psnr - 1) for r, truth in pairs)
    return f"{count} of {len(column)}"


def _nearer(column: Sequence[dict[str, Any]], records: Sequence[dict[str, Any]], number: int) -> str:
    """By PSNR, of which more is nearer, or by FLIP's error, of which less is."""
    sign = 1 if number == 0 else -1
    pairs = zip(column, records, strict=True)
    count = sum(sign * result["healthy"][number] > sign * record["before"][number] for result, record in pairs)
    return f"{count} of {len(column)}"


def _times(column: Sequence[dict[str, Any]]) -> str:
    seconds = [result["seconds"] for result in column]
    return f"{median(seconds):.1f}, {max(seconds):.1f}"


def by_size(records: Sequence[dict[str, Any]]) -> str:
    """The same for small, middling and gross defects."""
    rows = []
    for low, high in ((1, 10), (10, 100), (100, math.inf)):
        chosen = [r for r in records if low <= r["truth"].severity[0] < high]
        if not chosen:
            continue
        healthy = [r["truth"].psnr for r in chosen]
        cells = [f"{median(r['ways'][way]['check'].psnr for r in chosen):.1f} dB" for way in WAYS]
        name = f"{low:g} to {high:g}" if math.isfinite(high) else f"{low:g} and more"
        rows.append([name, str(len(chosen)), f"{median(healthy):.1f} dB", *cells])
    header = [
        "severity of the defect",
        "cases",
        "median PSNR of the healthy net to the old output, lattice aside",
        *WAYS,
    ]
    return markdown_table(header, rows)


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--split", choices=("development", "test"), default="test")
    parser.add_argument("--every", type=int, default=1, help="only every so manieth case; not to be published")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    options = parser.parse_args()
    start = time.perf_counter()
    chosen = [plan for plan in plans(options.split, ROUNDS[options.split]) if plan.kind == "planted"][:: options.every]
    with get_context("spawn").Pool(options.workers) as processes:
        found = list(processes.imap(run, chosen))
    records = [record for record in found if record is not None]
    minutes = (time.perf_counter() - start) / 60
    seen = [record for record in records if record["is_seen"]]
    measured = [record for record in records if record["truth"].severity[0] >= VISIBLE]
    text = (
        f"{options.split.capitalize()} split, {minutes:.0f} minutes. {len(seen)} cases of {len(chosen)} in which FLIP"
        f" says that the defect is noticed:\n\n{table(seen)}\n\nThe {len(measured)} of which `severity` says that it"
        f" shows, as this table had them before:\n\n{table(measured)}\n\n{by_size(measured)}"
    )
    publish("fix", text, options.publish)


if __name__ == "__main__":
    main()
