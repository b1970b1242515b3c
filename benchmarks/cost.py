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
from publish import arguments, mark, markdown_table, publish
from speed import race
from torch import Tensor, nn

import artifactlab

REPEATS = 5
DIAGNOSES = 3
FORWARDS = 3
"""plain ones, that a diagnosis is allowed beside one for every site"""
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


class Decoder(nn.Module):
    """An autoencoder as of latent diffusion, narrow: residual blocks with group norms, three nearest resizes."""

    def __init__(self, widths: tuple[int, ...] = (128, 128, 64, 32)) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, widths[-1], 3, padding=1)
        self.down = nn.ModuleList(
            nn.Sequential(Residual(a, b), nn.Conv2d(b, b, 3, 2, 1)) for a, b in pairwise(widths[::-1])
        )
        self.up = nn.ModuleList(nn.Sequential(Residual(a, b), Residual(b, b)) for a, b in pairwise(widths))
        self.smooth = nn.ModuleList(nn.Conv2d(b, b, 3, padding=1) for b in widths[1:])
        self.last = nn.Conv2d(widths[-1], 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        for down in self.down:
            x = down(x)
        for up, smooth in zip(self.up, self.smooth, strict=True):
            x = smooth(F.interpolate(up(x), scale_factor=2.0))
        return self.last(F.silu(x))


class Residual(nn.Module):
    """Two convolutions, each behind a norm and an activation."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for channels in (before, after):
            layers += [nn.GroupNorm(8, channels), nn.SiLU(), nn.Conv2d(channels, after, 3, padding=1)]
        self.body = nn.Sequential(*layers)
        self.skip = nn.Conv2d(before, after, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.skip(x) + self.body(x)


class Dense(nn.Module):
    """As ESRGAN, with three of its 69 dense blocks, and two nearest resizes; 64x64 in, 256x256 out."""

    def __init__(self, width: int = 64, growth: int = 32) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, width, 3, padding=1)
        self.blocks = nn.ModuleList(
            nn.ModuleList(nn.Conv2d(width + k * growth, growth if k < 4 else width, 3, padding=1) for k in range(5))
            for _ in range(3)
        )
        self.up = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(3))
        self.last = nn.Conv2d(width, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        for block in self.blocks:
            features = [x]
            for layer in block:
                features.append(F.leaky_relu(layer(torch.cat(features, 1)), 0.2))
            x = x + 0.2 * features[-1]
        for up in self.up[:2]:
            x = F.leaky_relu(up(F.interpolate(x, scale_factor=2.0)), 0.2)
        return self.last(F.leaky_relu(self.up[2](x), 0.2))


class Sampler(nn.Module):
    """Eighty transposed convolutions, all of which run twenty times; one pixel phase of two is too bright."""

    def __init__(self) -> None:
        super().__init__()
        ramp = torch.tensor([0.25, 0.75, 0.75, 0.25])
        self.up = nn.ModuleList(nn.ConvTranspose2d(3, 3, 4, 2, 1, bias=False) for _ in range(80))
        with torch.no_grad():
            for number, up in enumerate(self.up):
                up.weight.copy_(torch.eye(3)[:, :, None, None] * torch.outer(ramp, ramp))
                up.weight[:, :, 1::2, 1::2] *= 4 if number in (40, 70) else 1

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(20):
            for up in self.up:
                x = 0.99 * x + 0.01 * up(F.avg_pool2d(x, 2))
        return x


MODELS: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "U-Net": (UNet, 256),
    "super-resolution": (Upscaler, 64),
    "autoencoder": (Decoder, 256),
    "dense super-resolution": (Dense, 64),
    "sampler": (Sampler, 128),
}
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
    rows = [row for name in ("U-Net", "super-resolution") for row in costs(name)]
    rows += [capture_row(name, *make(name)) for name in ("autoencoder", "dense super-resolution")]
    rows += many_sites()
    publish("cost", markdown_table(("cost", "target", "measured", ""), rows), options.readme)


def costs(name: str) -> list[tuple[str, str, str, str]]:
    """The rows of one model."""
    model, image = make(name)
    sites = len(watch(model, image).sites)
    peaks = [peak_of_a_process(name, how) for how in ("watched", "plain")]
    return [
        capture_row(name, model, image),
        (
            "... peak memory, over that of the plain forward, weights left out",
            "<= 1.1",
            f"{peaks[0] / peaks[1]:.2f} ({peaks[0]:.0f} and {peaks[1]:.0f} MiB)",
            mark(peaks[0] <= 1.1 * peaks[1]),
        ),
        diagnosis_row("... a full `diagnose`", sites, model, image),
        *fast_rows(sites, model, image),
    ]


def capture_row(name: str, model: nn.Module, image: Tensor) -> tuple[str, str, str, str]:
    with torch.no_grad():
        watched, plain = race(lambda: watch(model, image), lambda: model(image), REPEATS)
    shape = f"{len(image)}x3x{image.shape[2]}x{image.shape[3]}"
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


def fast_rows(sites: int, model: nn.Module, image: Tensor) -> list[tuple[str, str, str, str]]:
    """`diagnose(fast=True)`, where this version has it."""
    if "fast" not in inspect.signature(artifactlab.diagnose).parameters:
        return []
    return [diagnosis_row("... `diagnose(fast=True)`", sites, model, image, fast=True)]


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
