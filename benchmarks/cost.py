"""What watching and diagnosing cost, over the model's own plain forward pass: in one run, in turns, one thread."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import skimage.data
import torch
import torch.nn.functional as F
from publish import arguments, markdown_table, publish
from speed import race
from torch import Tensor, nn

import artifactlab

REPEATS = 5
DIAGNOSES = 3
PEAK = "import sys; sys.path.insert(0, sys.argv[1]); import cost; print(cost.peak(*sys.argv[2:]))"


class UNet(nn.Module):
    """An encoder and a decoder of four transposed convolutions with skips, 64 to 256 channels wide; 256x256 in, out."""

    def __init__(self) -> None:
        super().__init__()
        widths = (64, 128, 256, 256, 256)
        self.first = convolved(3, widths[0])
        self.down = nn.ModuleList(convolved(a, b) for a, b in pairwise(widths))
        upwards = list(zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.up = nn.ModuleList(nn.ConvTranspose2d(a, b, 2, 2) for a, b in upwards)
        self.join = nn.ModuleList(convolved(2 * b, b) for _, b in upwards)
        self.last = nn.Conv2d(widths[0], 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        skips = [self.first(x)]
        for down in self.down:
            skips.append(down(F.max_pool2d(skips[-1], 2)))
        x = skips.pop()
        for up, join in zip(self.up, self.join, strict=True):
            x = join(torch.cat([up(x), skips.pop()], 1))
        return self.last(x)


class Upscaler(nn.Module):
    """Sixteen residual blocks of 64 channels and two pixel shuffles, as in EDSR's baseline: 64x64 in, 256x256 out."""

    def __init__(self) -> None:
        super().__init__()
        width = 64
        self.head, self.body_end = (nn.Conv2d(c, width, 3, padding=1) for c in (3, width))
        self.body = nn.ModuleList(
            nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, width, 3, padding=1))
            for _ in range(16)
        )
        shuffles = [m for _ in range(2) for m in (nn.Conv2d(width, 4 * width, 3, padding=1), nn.PixelShuffle(2))]
        self.tail = nn.Sequential(*shuffles, nn.Conv2d(width, 3, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        head = x = self.head(x)
        for block in self.body:
            x = x + block(x)
        return self.tail(head + self.body_end(x))


def convolved(before: int, after: int) -> nn.Sequential:
    """Two convolutions, each with its norm and activation."""
    layers: list[nn.Module] = []
    for channels in (before, after):
        layers += [nn.Conv2d(channels, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


MODELS: dict[str, tuple[Callable[[], nn.Module], int]] = {"U-Net": (UNet, 256), "super-resolution": (Upscaler, 64)}
"""name -> (factory, side of the input)"""


def make(name: str) -> tuple[nn.Module, Tensor]:
    """A model with random weights, and a photo for it."""
    torch.manual_seed(0)
    factory, side = MODELS[name]
    photo = torch.from_numpy(skimage.data.astronaut()).permute(2, 0, 1)[None, :, :side, :side] / 255
    return factory().eval(), photo.contiguous()


def main() -> None:
    options = arguments(__doc__).parse_args()
    torch.set_num_threads(1)
    rows = [row for name in MODELS for row in costs(name)]
    publish("cost", markdown_table(("cost", "target", "measured"), rows), options.readme)


def costs(name: str) -> list[tuple[str, str, str]]:
    """The rows of one model."""
    model, image = make(name)
    with torch.no_grad():
        watched, plain = race(lambda: watch(model, image), lambda: model(image), REPEATS)
    sites = len(watch(model, image).sites)
    peaks = [peak_of_a_process(name, how) for how in ("watched", "plain")]
    shape = f"{len(image)}x3x{image.shape[2]}x{image.shape[3]}"
    return [
        (
            f"{name}, {sites} sites: capture with all evidence, over the plain forward of {shape}",
            "<= 1.3",
            f"{watched / plain:.2f} ({1e3 * watched:.0f} and {1e3 * plain:.0f} ms)",
        ),
        (
            "... peak memory, over that of the plain forward, weights left out",
            "<= 1.1",
            f"{peaks[0] / peaks[1]:.2f} ({peaks[0]:.0f} and {peaks[1]:.0f} MiB)",
        ),
        diagnosis_row("... a full `diagnose`", sites, model, image),
        *fast_rows(sites, model, image),
    ]


def fast_rows(sites: int, model: nn.Module, image: Tensor) -> list[tuple[str, str, str]]:
    """`diagnose(fast=True)`, where this version has it."""
    if "fast" not in inspect.signature(artifactlab.diagnose).parameters:
        return []
    return [diagnosis_row("... `diagnose(fast=True)`", sites, model, image, fast=True)]


def diagnosis_row(claim: str, sites: int, model: nn.Module, image: Tensor, **options: bool) -> tuple[str, str, str]:
    with torch.no_grad():
        whole, plain = race(
            lambda: artifactlab.diagnose(model, image, data_range=1.0, **options), lambda: model(image), DIAGNOSES
        )
    share = whole / ((sites + 2) * plain)
    return f"{claim}, over (sites + 2) plain forwards", "<= 1.3", f"{share:.2f} ({whole:.1f} s)"


def watch(model: nn.Module, image: Tensor) -> artifactlab.Capture:
    """One forward pass, every site measured."""
    with torch.no_grad(), artifactlab.capture(model) as found:
        model(image)
    return found


def peak_of_a_process(name: str, how: str) -> float:
    """`peak` in a fresh interpreter, in which large tensors are mapped one by one: what malloc keeps is no need."""
    command = [sys.executable, "-c", PEAK, str(Path(__file__).parent), name, how]
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": str(2**20)}
    return float(subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout)


def peak(name: str, how: str) -> float:
    """Mebibytes that one forward pass adds at its highest to what the process holds before it."""
    torch.set_num_threads(1)
    model, image = make(name)
    watch(model, image)  # loads the libraries' code, which counts as memory, too
    Path("/proc/self/clear_refs").write_text("5")  # the highest is now
    before = resident("VmRSS")
    if how == "watched":
        watch(model, image)
    else:
        with torch.no_grad():
            model(image)
    return resident("VmHWM") - before


def resident(field: str) -> float:
    """The process's own memory in mebibytes: now (VmRSS), or at most (VmHWM; ru_maxrss would be its parent's)."""
    return int(re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024


if __name__ == "__main__":
    main()
