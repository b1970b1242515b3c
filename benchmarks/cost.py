"""What watching and diagnosing cost, over the model's own plain forward pass: in one run, in turns, one thread."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import torch
from cost_nets import make
from publish import arguments, mark, markdown_table, publish
from speed import race
from torch import Tensor, nn

import artifactlab

REPEATS = 5
DIAGNOSES = 3
FORWARDS = 3
"""plain ones, that a diagnosis is allowed beside one for every site"""
WHOLLY = ("U-Net", "super-resolution", "U-Net of volumes", "video decoder")
"""Nets that are diagnosed, too."""
MOST_MEMORY = 1.1
"""Peak memory, over that of the plain forward pass, that watching and diagnosing are allowed: evidence of one site."""
PEAK = "import sys; sys.path.insert(0, sys.argv[1]); import cost; print(cost.peak(*sys.argv[2:]))"


def main() -> None:
    options = arguments(__doc__).parse_args()
    torch.set_num_threads(1)
    rows = [row for name in WHOLLY for row in costs(name)]
    rows += [capture_row(name, *make(name)) for name in ("autoencoder", "dense super-resolution", "windows")]
    rows += many_sites()
    publish("cost", markdown_table(("cost", "target", "measured", ""), rows), options.publish)


def costs(name: str) -> list[tuple[str, str, str, str]]:
    """The rows of one model."""
    model, image = make(name)
    sites = len(watch(model, image).sites)
    plain = peak_of_a_process(name, "plain")
    return [
        capture_row(name, model, image),
        memory_row("... its peak memory", name, "watched", plain),
        diagnosis_row("... a full `diagnose`", sites, model, image),
        memory_row("... its peak memory", name, "diagnosed", plain),
        diagnosis_row("... `diagnose(fast=True)`", sites, model, image, fast=True),
    ]


def memory_row(claim: str, name: str, how: str, plain: float) -> tuple[str, str, str, str]:
    taken = peak_of_a_process(name, how)
    return (
        f"{claim}, over that of the plain forward, weights left out",
        f"<= {MOST_MEMORY}",
        f"{taken / plain:.2f} ({taken:.0f} and {plain:.0f} MiB)",
        mark(taken <= MOST_MEMORY * plain),
    )


def capture_row(name: str, model: nn.Module, image: Tensor) -> tuple[str, str, str, str]:
    with torch.no_grad():
        watched, plain = race(lambda: watch(model, image), lambda: model(image), REPEATS)
    shape = "x".join(map(str, image.shape))
    return (
        f"{name}, {len(watch(model, image).sites)} sites: capture with all evidence, over the plain forward of {shape}",
        "<= 1.5",
        f"{watched / plain:.2f} ({1e3 * watched:.0f} and {1e3 * plain:.0f} ms)",
        mark(watched <= 1.5 * plain),
    )


def many_sites() -> list[tuple[str, str, str, str]]:
    """Forward passes that a diagnosis takes, as they are counted and by the clock, on the net of many sites."""
    model, image = make("sampler")
    passes: list[int] = []
    with torch.no_grad():
        whole, plain = race(lambda: artifactlab.diagnose(model, image, data_range=1.0), lambda: model(image), 1)
    model.register_forward_hook(lambda *_: passes.append(1))
    diagnosis = artifactlab.diagnose(model, image, data_range=1.0)
    verified = sum(site.verified for site in diagnosis.sites)
    claim = f"sampler, {len(diagnosis.sites)} layers of 20 calls: `diagnose`, forward passes (backward counts as 2)"
    return [
        (claim, "< 20", f"{len(passes) + 2} ({verified} layers repaired)", mark(len(passes) + 2 < 20)),
        ("... the same by the clock, over the plain forward", "", f"{whole / plain:.1f} ({whole:.0f} s)", ""),
    ]


def diagnosis_row(
    claim: str, sites: int, model: nn.Module, image: Tensor, **options: bool
) -> tuple[str, str, str, str]:
    with torch.no_grad():
        whole, plain = race(
            lambda: artifactlab.diagnose(model, image, data_range=1.0, **options), lambda: model(image), DIAGNOSES
        )
    share = whole / ((sites + FORWARDS) * plain)
    return f"{claim}, over (sites + 3) plain forwards", "<= 1.3", f"{share:.2f} ({whole:.1f} s)", mark(share <= 1.3)


def watch(model: nn.Module, image: Tensor) -> artifactlab.Capture:
    """One forward pass, every site measured."""
    with torch.no_grad(), artifactlab.capture(model) as found:
        model(image)
    return found


def diagnosed(model: nn.Module, image: Tensor) -> artifactlab.Diagnosis:
    return artifactlab.diagnose(model, image, data_range=1.0)


def peak_of_a_process(name: str, how: str) -> float:
    """`peak` in a fresh interpreter, in which large tensors are mapped one by one: what malloc keeps is no need."""
    command = [sys.executable, "-c", PEAK, str(Path(__file__).parent), name, how]
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": str(2**20)}
    return float(subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout)


def peak(name: str, how: str) -> float:
    """Mebibytes that a pass, plain or watched, or a diagnosis adds at its highest to what the process held before."""
    torch.set_num_threads(1)
    model, image = make(name)
    run = {"plain": model, "watched": partial(watch, model), "diagnosed": partial(diagnosed, model)}[how]
    with torch.no_grad():
        run(image)  # loads the libraries' code, which counts as memory, too
        Path("/proc/self/clear_refs").write_text("5")  # the highest is now
        before = resident("VmRSS")
        run(image)
    return resident("VmHWM") - before


def resident(field: str) -> float:
    """The process's own memory in mebibytes: now (VmRSS), or at most (VmHWM; ru_maxrss would be its parent's)."""
    return int(re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024


if __name__ == "__main__":
    main()
