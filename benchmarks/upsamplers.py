"""Every upsampler in the same two small nets: what it costs, and how good and how clean their outputs are.

About half an hour on one core. Results of trainings are kept in `benchmarks/.cache/upsamplers` by their settings; empty
it after a change of the library.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import scipy.stats
import torch
import torch.nn.functional as F
import upsampler_nets
from cost import resident
from publish import arguments, markdown_table, publish
from torch import Tensor, nn
from train_planted import BATCH, training_images
from upsampler_nets import (
    NETS,
    SIDE,
    STRIP,
    assess,
    build,
    grid,
    held_out,
    measures,
    multiplications,
    outputs,
    train,
    train_step,
)

SEEDS = (0, 1, 2)
REPEATS, PEAKS = 15, 3
CACHE = Path(__file__).with_name(".cache") / "upsamplers"
SETTINGS = ("SIDE", "STEPS", "RATE", "CLIP", "NOISE", "BLUR", "WIDTHS", "WIDTH", "DEPTH", "SLOPE")
PEAK = "import sys; sys.path.insert(0, sys.argv[1]); import upsamplers; upsamplers.print_peaks()"
HEADER = (
    *("", "weights: levels, net (1000)", "MACs (M)", "forward", "training step", "memory", "PSNR (dB)"),
    *("jaggedness", "lattice untrained", "lattice", "border, middle"),
)
RESIZE, BLOCK, BEST = "interpolate_conv", "PixelShuffleUpBlock", "learnable block, res_skip"
PLAIN, K3, NONE, ADD, GATED = (
    *("subpixel, plain init", "deconv k3"),
    *(f"{RESIZE}, fusion {kind}" for kind in ("none", "add", "gated")),
)
COSTS = ("macs", "forward", "step")
CLAIMS = (
    (
        "PixelShuffle suppresses stair-steps weakly, a learnable upsampler strongly",
        *(-1, ("jaggedness", "lattice"), ((BLOCK, K3), (BEST, K3), (BEST, BLOCK), (RESIZE, PLAIN))),
    ),
    ("skip fusion helps", 1, ("psnr",), ((ADD, NONE), (RESIZE, NONE), (GATED, NONE))),
    ("gating helps", 1, ("psnr",), ((GATED, RESIZE), (GATED, ADD), ("learnable block, attention", RESIZE))),
    ("subpixel is the cheapest", -1, COSTS, (("subpixel", ""),)),
)
"""claim, the sign it wants, of which measures, in which pairs of rows; "" is the lowest other row"""
Results = dict[tuple[str, str], dict[str, list[float]]]
"""(net, row) -> measure -> a value per seed; "forward" and "step" in milliseconds, a value per repeat"""


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--pictures", type=Path, help="a folder for a picture per net: an output of each row")
    options = parser.parse_args()
    torch.set_num_threads(1)
    results: Results = {(net, row): {} for net, (_, rows) in NETS.items() for row in rows}
    images = training_images()
    for seed in SEEDS:
        for net, row in results:
            for name, value in trained(net, row, seed, images).items():
                results[net, row].setdefault(name, []).append(value)
    measure_costs(results)
    if options.pictures:
        for net, (_, rows) in NETS.items():
            sheet = np.hstack([np.array(results[net, row]["sample"][0], np.uint8) for row in rows])
            cv2.imwrite(str(options.pictures / f"upsamplers_{net.replace(' ', '_')}.png"), sheet)
    publish("upsamplers", report(results), options.publish)


def trained(net: str, row: str, seed: int, images: list[Tensor]) -> dict:
    """What one training leads to, from the cache where it is there."""
    settings = [net, row, seed, {name: getattr(upsampler_nets, name) for name in SETTINGS}]
    kept = CACHE / (hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:16] + ".json")
    if kept.exists():
        return json.loads(kept.read_text())["result"]
    start = time.time()
    model = build(net, row, seed)
    with torch.no_grad():
        result = {"untrained": grid(outputs(model, held_out()[0]), model.period)}
    train(model, images, seed)
    result |= assess(model)
    CACHE.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps({"settings": settings, "result": result}))
    numbers = ", ".join(f"{k} {v:.3f}" for k, v in result.items() if k != "sample")
    print(f"{seed} {net}: {row}: {numbers} ({time.time() - start:.0f} s)", file=sys.stderr, flush=True)
    return result


def measure_costs(results: Results) -> None:
    """Weights, MACs, peak memory, and CPU time: all rows of a net in turns, as the cores are shared."""
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": str(2**16)}
    command = [sys.executable, "-c", PEAK, str(Path(__file__).parent)]
    lines = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout.splitlines()
    for key, line in zip(results, lines, strict=True):
        results[key]["memory"] = [float(line)]
    for net, (_, rows) in NETS.items():
        steps, forwards = {}, {}
        for row in rows:
            model = build(net, row)
            sizes = [sum(p.numel() for p in m.parameters()) / 1e3 for m in (model.levels, model)]
            results[net, row] |= {"weights": sizes, "macs": [multiplications(model)], "forward": [], "step": []}
            steps[row], forwards[row] = work(model)
        for repeat in range(REPEATS + 1):
            for name, functions in (("forward", forwards), ("step", steps)):
                for row, function in functions.items():
                    start = time.process_time()
                    function()
                    if repeat:  # the first warms up
                        results[net, row][name].append(1e3 * (time.process_time() - start))


def work(model: nn.Module) -> tuple[Callable[[], None], Callable[[], None]]:
    """A training step as it is trained, and a forward pass of a 128x128 output."""
    rng = torch.Generator().manual_seed(0)
    clean, large = torch.rand(BATCH, 1, SIDE, SIDE, generator=rng), torch.rand(1, 1, 128, 128, generator=rng)
    given, given_large = model.degrade(clean, rng), model.degrade(large, rng)
    optimiser = torch.optim.Adam(model.parameters(), 0.0)
    return lambda: train_step(model, optimiser, given, clean), torch.no_grad()(lambda: model(given_large))


def print_peaks() -> None:
    """A line per net and row: mebibytes that a training step adds at its highest, where large tensors are mapped."""
    torch.set_num_threads(1)
    for net, (_, rows) in NETS.items():
        for row in rows:
            step, _ = work(build(net, row))
            step()  # loads the libraries' code and makes the optimiser's state
            print(statistics.median(added(step) for _ in range(PEAKS)))


def added(step: Callable[[], None]) -> float:
    Path("/proc/self/clear_refs").write_text("5")  # the highest is now
    before = resident("VmRSS")
    step()
    return resident("VmHWM") - before


def report(results: Results) -> str:
    """Both tables, what they mean, and the claims."""
    clean = torch.cat(held_out())
    parts = []
    for net, (kind, rows) in NETS.items():
        base = results[net, "deconv"]
        parts.append(f"{net[0].upper()}{net[1:]}, period {kind.period}:")
        parts.append(markdown_table(HEADER, [cells(row, results[net, row], base) for row in rows]))
        own = measures(clean, clean, kind.period)
        parts.append(
            f"`deconv` itself: {middle(base, 'forward'):.1f} ms, {middle(base, 'step'):.0f} ms,"
            f" {base['memory'][0]:.1f} MiB. The clean images: jaggedness {own['jaggedness']:.3f}, lattice"
            f" {own['lattice']:.2f}. {without(kind, clean)}"
        )
    parts.append(
        f"{len(SEEDS)} seeds, mean ± standard deviation; {upsampler_nets.STEPS} steps of {BATCH} {SIDE}x{SIDE} crops"
        " each, on scikit-image photos and rendered scenes. PSNR on 28 held-out 128x128 crops of other photos, all"
        " together; jaggedness (pixels) and lattice (rms, 1/255) on these and 28 other scenes, untrained on the photos."
        f" Border: the lattice of the error along the outermost {STRIP} pixels; middle: the same along strips through"
        f" the middle. MACs of a {SIDE}x{SIDE} image by torch's `FlopCounterMode`, plus, per output pixel and channel,"
        " 4 for a bilinear read and 25 for CARAFE's sum. Times and memory over `deconv`'s: medians of"
        f" {REPEATS} of CPU time in turns; forward of a 128x128 image, training step and its peak memory at batch"
        f" {BATCH}. `gated` and `{GATED}` are one net, with other random weights at first."
    )
    chance = [2 * scipy.stats.t.sf(2, len(values) - 1) for values in (SEEDS, range(REPEATS))]
    parts.append(
        "Four claims of a design discussion: differences paired by seeds, or by repeats for times, in dB, pixels,"
        " 1/255, millions and milliseconds, ± standard error. A verdict is about the sign of its row's difference, not"
        f" about its size, and asks for two standard errors: {len(SEEDS)} seeds that differ by chance alone exceed them"
        f" in {chance[0]:.0%} of rows, {REPEATS} repeats in {chance[1]:.0%}."
    )
    parts.append(markdown_table(("claim", "compared", *NETS), claims(results)))
    return "\n\n".join(parts)


def middle(result: dict[str, list[float]], name: str) -> float:
    return statistics.median(result[name])


def without(kind: type[nn.Module], clean: Tensor) -> str:
    """What is reached without any net: by the input, or by plain resizes of it."""
    given = kind.degrade(clean, torch.Generator().manual_seed(1000))
    plain = {"the input": given}
    if given.shape != clean.shape:
        plain = {mode: F.interpolate(given, clean.shape[-2:], mode=mode) for mode in ("nearest", "bicubic")}
    found = {name: measures(output, clean, kind.period) for name, output in plain.items()}
    texts = [f"{name} {own['psnr']:.2f} dB, jaggedness {own['jaggedness']:.3f}" for name, own in found.items()]
    return f"Without a net: {'; '.join(texts)}."


def spread(values: Sequence[float], digits: int) -> str:
    return f"{statistics.mean(values):.{digits}f} ± {statistics.stdev(values):.{digits}f}"


def cells(row: str, found: dict[str, list[float]], base: dict[str, list[float]]) -> list[str]:
    """One row of the table."""
    return [
        row,
        "{:.1f}, {:.1f}".format(*found["weights"]),
        f"{found['macs'][0]:.1f}",
        *(f"{middle(found, name) / middle(base, name):.2f}" for name in ("forward", "step", "memory")),
        spread(found["psnr"], 2),
        spread(found["jaggedness"], 3),
        *(spread(found[name], 2) for name in ("untrained", "lattice")),
        f"{spread(found['border'], 2)}, {statistics.mean(found['middle']):.2f}",
    ]


def claims(results: Results) -> list[list[str]]:
    """What a design discussion held, and what was measured in each net that has both rows."""
    lines = []
    for claim, wanted, names, pairs in CLAIMS:
        for name in names:
            for ours, theirs in pairs:
                shown = f"{ours} less {theirs or 'the lowest of the others'}"
                lines.append(
                    [claim, f"{name}: {shown}", *(compared(results, net, name, ours, theirs, wanted) for net in NETS)]
                )
                claim = ""
    return lines


def compared(results: Results, net: str, name: str, ours: str, theirs: str, wanted: int) -> str:
    """The mean difference, paired by seeds or repeats, and whether it has the sign that is wanted."""
    if not theirs:
        others = [row for row in NETS[net][1] if "subpixel" not in row]
        theirs = min(others, key=lambda row: middle(results[net, row], name))
    if not {ours, theirs} <= set(NETS[net][1]):
        return ""
    values = [results[net, row][name] for row in (ours, theirs)]
    differences = [a - b for a, b in zip(*values, strict=True)]
    mean = statistics.mean(differences)
    error = statistics.stdev(differences) / math.sqrt(len(differences)) if len(differences) > 1 else 0.0
    verdict = "cannot tell" if abs(mean) <= 2 * error else "holds" if mean * wanted > 0 else "does not hold"
    figure = f"{mean:+.3g} ± {error:.2g}" if error else f"{mean:+.3g}"
    return f"{figure} (to {statistics.mean(values[1]):.3g}{' of ' + theirs if name in COSTS else ''}): {verdict}"


if __name__ == "__main__":
    main()
