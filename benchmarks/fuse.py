"""What fusing a resize with its convolution saves: CPU time and memory over the pair's, in turns, one thread."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from cost import resident
from publish import arguments, markdown_table, publish
from torch import Tensor, nn

from artifactlab.fix.fuse import fuse
from artifactlab.fix.response import Response, impulse_response
from artifactlab.fix.upsample import ResizeConvUpsample

SCALES, CHANNELS, SIDES = (2, 4), (16, 64, 128), (64, 128)
RESAMPLES = ("nearest", "bilinear")
LEFT_OUT = (4, 128, 128)
"""scale, channels and side whose pair alone takes seconds"""
REPEATS = 5
FEW = 3
"""... where one takes long"""
SAME = 0.97
"""a ratio above is no gain"""
PEAK = "import sys; sys.path.insert(0, sys.argv[1]); import fuse; fuse.print_peaks()"
Cell = tuple[str, int, int]
"""resample, scale, channels"""
MEASURED = 64
"""side of the input whose memory is measured"""


def main() -> None:
    options = arguments(__doc__).parse_args()
    torch.set_num_threads(1)
    memory = peaks()
    with torch.no_grad():
        rows = [row(resample, scale, c, memory) for resample in RESAMPLES for scale in SCALES for c in CHANNELS]
        ways = [other_ways(resample, scale) for resample in RESAMPLES for scale in SCALES]
    sizes = [f"{MEASURED}x{MEASURED}: memory", *(f"{side}x{side}: time" for side in SIDES)]
    text = markdown_table(("resize, 3x3 kernel", *sizes, "largest difference"), rows)
    text += (
        "\n\nOver the pair of resize and convolution: medians of CPU time, and peak memory beside weights and input."
    )
    text += " In parentheses the pair's own. At zero padding, 64 channels, 64x64, and other ways to fuse:\n\n"
    names = ("resize, 3x3 kernel", "`fuse`: a convolution per phase", "phases as channels, pixel shuffle")
    text += markdown_table((*names, "transposed convolution"), ways)
    publish("fuse", text, options.publish)


def row(resample: str, scale: int, channels: int, memory: dict[Cell, list[float]]) -> list[str]:
    """Ratios at each size of the input."""
    used = memory[resample, scale, channels]
    texts, differences = [f"{used[0] / used[1]:.2f} ({used[1]:.0f} MiB)"], []
    for side in SIDES:
        if (scale, channels, side) == LEFT_OUT:
            texts.append("not run")
            continue
        pair, fused, x = make(resample, scale, channels, side)
        expected = pair(x)
        differences.append(float((fused(x) - expected).abs().max() / expected.square().mean().sqrt()))
        ours, plain = cpu_seconds(
            [lambda m=fused, x=x: m(x), lambda m=pair, x=x: m(x)], FEW if side * channels > 4096 else REPEATS
        )
        texts.append(f"{ours / plain:.2f}{verdict(ours / plain)} ({1e3 * plain:.0f} ms)")
    return [f"{resample} x{scale}, {channels} channels", *texts, f"{max(differences):.1e} of the rms"]


def verdict(ratio: float) -> str:
    """What a ratio that is no gain is to be read as."""
    return "" if ratio <= SAME else ", no faster" if ratio < 2 - SAME else ", slower"


def make(resample: str, scale: int, channels: int, side: int) -> tuple[nn.Module, nn.Module, Tensor]:
    """The pair, what `fuse` makes of it, and an input."""
    torch.manual_seed(0)
    pair = ResizeConvUpsample(channels, channels, scale=scale, resample=resample).eval()
    return pair, fuse(pair), torch.randn(1, channels, side, side)


def other_ways(resample: str, scale: int, channels: int = 64, side: int = 64) -> list[str]:
    """One row of ratios to the pair with zero padding; the other ways are not even charged for the border."""
    torch.manual_seed(0)
    pair = nn.Sequential(nn.Upsample(scale_factor=scale, mode=resample), nn.Conv2d(channels, channels, 3, padding=1))
    fused, x = fuse(pair), torch.randn(1, channels, side, side)
    response = impulse_response(pair, channels)
    shuffled, transposed = as_shuffle(response), as_transposed(response)
    inside = (..., slice(8, -8), slice(8, -8))
    expected = pair(x)
    for way in (fused, shuffled, transposed):
        assert torch.allclose(way(x)[inside], expected[inside], atol=1e-4)
    *others, plain = cpu_seconds([lambda m=m: m(x) for m in (fused, shuffled, transposed, pair)], REPEATS)
    first, *rest = (f"{took / plain:.2f}" for took in others)
    return [f"{resample} x{scale}", f"{first}{verdict(others[0] / plain)} ({1e3 * plain:.0f} ms)", *rest]


def as_shuffle(response: Response) -> Callable[[Tensor], Tensor]:
    """All phases as channels of one convolution."""
    out, inside, r, _, taps, _ = response.kernel.shape
    weight = response.kernel.permute(0, 2, 3, 1, 4, 5).reshape(out * r * r, inside, taps, taps).float().contiguous()
    bias = response.bias.flatten().float()
    return lambda x: F.pixel_shuffle(F.conv2d(x, weight, bias, padding=response.reach), r)


def as_transposed(response: Response) -> Callable[[Tensor], Tensor]:
    """The kernel with the resize's folded in, without the zeros around it."""
    r, reach = response.scale[0], response.reach
    # output pixel r y + a reads input pixel y + u: row a + r (reach - u) of the kernel
    kernel = response.kernel.flip(-2, -1).permute(1, 0, 4, 2, 5, 3).flatten(4, 5).flatten(2, 3)
    used = (kernel.abs().amax((0, 1, 2)) > 1e-6 * kernel.abs().max()).nonzero().flatten()
    first, last = int(used[0]), int(used[-1])
    weight = kernel[..., first : last + 1, first : last + 1].float().contiguous()
    bias = response.bias[:, 0, 0].float()
    return lambda x: F.conv_transpose2d(x, weight, bias, stride=r, padding=r * reach - first)


def cpu_seconds(functions: Sequence[Callable[[], object]], repeats: int) -> list[float]:
    """Medians, taken in turns, of functions that ran before; of the process's own time, as the cores are shared."""
    times: list[list[float]] = [[] for _ in functions]
    for _ in range(repeats):
        for function, found in zip(functions, times, strict=True):
            start = time.process_time()
            function()
            found.append(time.process_time() - start)
    return [statistics.median(found) for found in times]


def peaks() -> dict[Cell, list[float]]:
    """Mebibytes of fused and pair, in a fresh interpreter in which large tensors are mapped one by one."""
    command = [sys.executable, "-c", PEAK, str(Path(__file__).parent)]
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": str(2**18)}
    lines = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout.splitlines()
    split = [line.split() for line in lines]
    return {(s[0], int(s[1]), int(s[2])): [float(s[3]), float(s[4])] for s in split}


def print_peaks() -> None:
    """A line per cell: resample, scale, channels, mebibytes that fused and pair add at their highest."""
    torch.set_num_threads(1)
    _, fused, x = make("nearest", 2, 16, MEASURED)
    fused(x)  # the first of a process needs more
    for resample in RESAMPLES:
        for scale in SCALES:
            for channels in CHANNELS:
                pair, fused, x = make(resample, scale, channels, MEASURED)
                print(resample, scale, channels, added(fused, x), added(pair, x))


@torch.no_grad()
def added(module: nn.Module, x: Tensor) -> float:
    module(x[..., :8, :8])  # loads the libraries' code, which counts as memory, too
    Path("/proc/self/clear_refs").write_text("5")  # the highest is now
    before = resident("VmRSS")
    module(x)
    return resident("VmHWM") - before


if __name__ == "__main__":
    main()
