"""The two small nets that upsamplers are compared in, their decoder levels, how they are trained and judged."""

from __future__ import annotations

import functools
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from planted_cases import pool
from planted_nets import THIN, Block
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from train_planted import batch

from artifactlab.fix.upsample import (
    MODES,
    CarafeUpsample,
    DySampleUpsample,
    LearnableInterpolationUpsample,
    PixelShuffleUpBlock,
    ResizeConvUpsample,
)
from artifactlab.metrics.visible import VISIBLE_STEPS
from artifactlab.scoring.severity import measure_severity

SIDE, STEPS, RATE, CLIP = 48, 250, 3e-3, 0.5
NOISE, BLUR = 0.04, (0.25, 0.5, 0.25)
"""what the U-Net is to undo"""
WIDTHS = (12, 16, 24, 32)
"""of the U-Net, from full size to an eighth"""
WIDTH, DEPTH = 24, 4
"""channels and convolutions of the super-resolution net before its upsamplers"""
SLOPE = 0.1
STRIP = 16
"""pixels of the border that are judged on their own"""
Maker = Callable[[int, int, int], nn.Module]
"""channels before, channels after, channels of the skip (0 for none) -> a decoder level that doubles the size"""


class UNet(nn.Module):
    """Three halvings and three levels; thin skips at all but the full size, lest the deep path be ignored."""

    period = 8

    def __init__(self, make: Maker) -> None:
        super().__init__()
        steps = list(pairwise(WIDTHS))
        self.stem = Block(1, WIDTHS[0], SLOPE)
        self.downs = nn.ModuleList(Block(a, b, SLOPE, stride=2) for a, b in steps)
        self.thin = nn.ModuleList(nn.Conv2d(width, THIN, 1) for width in WIDTHS[1:-1])
        self.head = nn.Conv2d(WIDTHS[0], 1, 3, padding=1, padding_mode="replicate")
        self.levels = nn.ModuleList(make(b, a, THIN if k else 0) for k, (a, b) in reversed(list(enumerate(steps))))

    def forward(self, x: Tensor) -> Tensor:
        skips: list[Tensor] = []
        x = self.stem(x)
        for down, thin in zip(self.downs, [*self.thin, None], strict=True):
            x = down(x)
            if thin is not None:
                skips.append(thin(x))
        for level in self.levels:
            x = level(x, skips.pop() if skips else None)
        return self.head(x)

    @staticmethod
    def degrade(clean: Tensor, rng: torch.Generator) -> Tensor:
        """Blurred and noisy."""
        line = torch.tensor(BLUR)
        blurred = F.conv2d(F.pad(clean, (1, 1, 1, 1), mode="replicate"), torch.outer(line, line)[None, None])
        return blurred + NOISE * torch.randn(clean.shape, generator=rng)


class SuperResolution(nn.Module):
    """Convolutions at the input's size, one of them around the others, and two levels: four times larger."""

    period = 4

    def __init__(self, make: Maker) -> None:
        super().__init__()
        self.first = Block(1, WIDTH, SLOPE)
        self.body = nn.Sequential(*(Block(WIDTH, WIDTH, SLOPE) for _ in range(DEPTH)))
        self.head = nn.Conv2d(WIDTH, 1, 3, padding=1, padding_mode="replicate")
        self.levels = nn.ModuleList(make(WIDTH, WIDTH, 0) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        x = x + self.body(x)
        for level in self.levels:
            x = level(x)
        return self.head(x)

    @staticmethod
    def degrade(clean: Tensor, _: torch.Generator) -> Tensor:
        """Four times smaller."""
        return F.avg_pool2d(clean, 4)


def level(mode: str, before: int, after: int, skip: int, *, fusion: str = "concat", **options: bool) -> nn.Module:
    """The library's block; where there is no skip, "gated" is the resize and convolution that it is made of."""
    if not skip:
        mode = "interpolate_conv" if mode == "gated" else mode
        options.pop("attention", None)
    return LearnableInterpolationUpsample(before, after, skip, mode, fusion, activation="leaky_relu", **options)


def shuffle_block(before: int, after: int, skip: int) -> nn.Module:
    return PixelShuffleUpBlock(before, after, skip, activation="leaky_relu")


def usual(kind: str, before: int, after: int, skip: int) -> nn.Module:
    """The same level around what people write, as torch initialises it."""
    block = level("deconv", before, after, skip)
    if kind == "k3":
        block.up = nn.ConvTranspose2d(before, after, 3, 2, 1, output_padding=1)
    else:
        block.up = nn.Sequential(nn.Conv2d(before, 4 * after, 3, padding=1), nn.PixelShuffle(2))
    return block


USUAL: dict[str, Maker] = {
    "deconv k3": functools.partial(usual, "k3"),
    "subpixel, plain init": functools.partial(usual, "shuffle"),
}
BLOCKS: dict[str, Maker] = {
    "PixelShuffleUpBlock": shuffle_block,
    "learnable block, res_skip": functools.partial(level, "interpolate_conv", res_skip=True),
}
FUSED: dict[str, Maker] = {
    "interpolate_conv, fusion none": functools.partial(level, "interpolate_conv", fusion="none"),
    "interpolate_conv, fusion add": functools.partial(level, "interpolate_conv", fusion="add"),
    "interpolate_conv, fusion gated": functools.partial(level, "interpolate_conv", fusion="gated"),
    "learnable block, attention": functools.partial(level, "interpolate_conv", attention=True),
}
MADE: dict[str, Maker] = {mode: functools.partial(level, mode) for mode in MODES}
NETS: dict[str, tuple[type[nn.Module], dict[str, Maker]]] = {
    "U-Net": (UNet, MADE | USUAL | FUSED | BLOCKS),
    "super-resolution x4": (SuperResolution, {k: v for k, v in MADE.items() if k != "gated"} | USUAL | BLOCKS),
}
"""name -> the net, and row -> what makes its levels"""


def build(net: str, row: str, seed: int = 0) -> nn.Module:
    """An untrained net; what is no level has the same weights in every row."""
    torch.manual_seed(seed)
    kind, rows = NETS[net]
    return kind(rows[row])


def train(model: nn.Module, images: list[Tensor], seed: int) -> None:
    """L1, Adam, one cycle; every row gets the same crops and noise."""
    crops, noise = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    optimiser = torch.optim.Adam(model.parameters(), RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=STEPS)
    for _ in range(STEPS):
        clean = batch(images, crops)[..., :SIDE, :SIDE]
        train_step(model, optimiser, model.degrade(clean, noise), clean)
        schedule.step()


def train_step(model: nn.Module, optimiser: torch.optim.Optimizer, given: Tensor, clean: Tensor) -> None:
    optimiser.zero_grad()
    F.l1_loss(model(given), clean).backward()
    nn.utils.clip_grad_norm_(model.parameters(), CLIP)
    optimiser.step()


def multiplications(model: nn.Module, side: int = SIDE) -> float:
    """Millions of MACs for one image: half of what torch's `FlopCounterMode` counts (convolutions, matrix products),
    and per output pixel and channel what it leaves out: 4 for a bilinear read, k * k for CARAFE's sum."""
    extra = [0.0]

    def count(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        taps = module.kernel_size**2 if isinstance(module, CarafeUpsample) else 4
        extra[0] += taps * inputs[0].shape[1] * output[0, 0].numel()

    resizing = (CarafeUpsample, DySampleUpsample, ResizeConvUpsample)
    hooks = [m.register_forward_hook(count) for m in model.modules() if isinstance(m, resizing)]
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(model.degrade(torch.rand(1, 1, side, side), torch.Generator()))
    for hook in hooks:
        hook.remove()
    return (counter.get_total_flops() / 2 + extra[0]) / 1e6


@functools.cache
def held_out() -> tuple[Tensor, Tensor]:
    """128x128 crops of photos that no net has seen, and rendered scenes."""
    return pool("test", "photos"), pool("test", "scenes")


@torch.no_grad()
def assess(model: nn.Module) -> dict:
    """What is measured of a net's outputs."""
    clean = torch.cat(held_out())
    output = outputs(model, clean)
    sample = (255 * output[-4, 0, :64, :64]).round().clamp(0, 255).int().tolist()
    return measures(output, clean, model.period) | {"sample": sample}


def outputs(model: nn.Module, clean: Tensor) -> Tensor:
    given = model.degrade(clean, torch.Generator().manual_seed(1000))
    return torch.cat([model(part) for part in given.split(4)])


def measures(output: Tensor, clean: Tensor, period: int) -> dict[str, float]:
    """Lattices in 1/255."""
    error = output.clamp(0, 1) - clean
    photos = error[: len(held_out()[0])].square().mean()  # of all together, as some crops are black
    border, middle = strips(output - clean, period)
    return {
        "psnr": float(-10 * photos.log10()),
        "jaggedness": shown(output.clamp(0, 1), period)[1],
        "lattice": grid(output, period),
        "border": border,
        "middle": middle,
    }


def grid(output: Tensor, period: int) -> float:
    """rms over images, in 1/255."""
    return 255 * shown(output, period)[0]


def shown(output: Tensor, period: int) -> tuple[float, float]:
    """Grid, as a fraction of white, and stair-steps, in pixels, of all images together."""
    severity = measure_severity(output, (period, period), 1.0)
    return severity.amplitude, VISIBLE_STEPS * max(0.0, severity.together()[1]) ** 0.5


def strips(error: Tensor, period: int) -> tuple[float, float]:
    """The grid along the four outermost strips, and along two strips through the middle.

    Of the mean error at each depth in the strip and each phase along it, what differs between phases of one depth, rms;
    squares are products of different images, so that what no two images share adds nothing.
    """

    def power(strip: Tensor) -> Tensor:  # (N, STRIP, length)
        phases = strip.unflatten(2, (-1, period)).mean(2)
        phases = phases - phases.mean(2, keepdim=True)
        count = len(phases)
        return ((phases.sum(0).square() - phases.square().sum(0)) / (count * (count - 1))).mean()

    both = [error[:, 0], error[:, 0].transpose(1, 2)]
    inside = slice(STRIP, error.shape[-1] - STRIP)
    first = (error.shape[-1] - STRIP) // 2
    border = [power(e[:, part, inside]) for e in both for part in (slice(None, STRIP), slice(-STRIP, None))]
    middle = [power(e[:, first : first + STRIP, inside]) for e in both]
    return amplitude(sum(border) / len(border)), amplitude(sum(middle) / len(middle))


def amplitude(power: Tensor) -> float:
    return 255 * max(0.0, float(power)) ** 0.5
