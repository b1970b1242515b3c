"""Defects planted into trained decoders, and really taken out again.

Any x2 upsampler is a 3x3 convolution to four phases, one per output pixel of a 2x2 block (Shi et al. 2016, "Is the
deconvolution layer the same as a convolutional layer?"). A defect changes these phases, and the result is put back as a
transposed convolution, a convolution with a pixel shuffle, or a resize.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from planted_nets import Upsampler
from torch import Tensor, nn

PADDING = {"transposed": 1, "k3": 1, "k2": 0}
DEAD = 0.003
"""weight left on channels that a later layer ignores"""
WEAKEST, STRONGEST = 1 / 255, 32 / 255
"""rms differences of output that a defect's strength is aimed at, evenly by their logarithm: one step of an 8-bit
image, which nobody sees, and an eighth of its range, which nobody overlooks"""


@dataclass
class Phases:
    """An upsampler as four convolutions."""

    weight: Tensor
    """(C, 4, C, 3, 3): out channel, phase, in channel, taps"""
    bias: Tensor
    """(C, 4)"""
    border: str
    """padding mode: `zeros` or `replicate`"""
    style: str
    """that it came in"""


def phases_of(up: Upsampler) -> Phases:
    """The phases that an upsampler computes."""
    c = up.channels
    weight, bias = torch.zeros(c, 4, c, 3, 3), torch.zeros(c, 4)
    identity = torch.eye(c)[:, None, :, None, None]
    if up.style == "bilinear":
        taps = torch.tensor([[0.25, 0.75, 0.0], [0.0, 0.75, 0.25]])
        kernels = torch.einsum("as,bt->abst", taps, taps).reshape(4, 3, 3)
        return Phases(identity * kernels[None, :, None], bias, "replicate", up.style)
    if up.style in ("nearest", "expand"):
        weight[..., 1, 1] = identity[..., 0, 0]
        return Phases(weight, bias, "replicate", up.style)
    if up.style in ("shuffle", "reshape"):
        weight, bias = up.conv.weight.view(c, 4, c, 3, 3).clone(), up.conv.bias.view(c, 4).clone()
        return Phases(weight, bias, "replicate", up.style)
    kernel = up.conv.weight.transpose(0, 1)  # (out, in, k, k)
    for phase, tap, place in _transposed_taps(kernel.shape[-1], PADDING[up.style]):
        weight[:, phase, :, tap[0], tap[1]] = kernel[..., place[0], place[1]]
    return Phases(weight, up.conv.bias[:, None].repeat(1, 4), "zeros", up.style)


def _transposed_taps(size: int, padding: int) -> list[tuple[int, tuple[int, int], tuple[int, int]]]:
    """(phase, tap of the 3x3 convolution, place in the stride-2 kernel) for every place that is inside the kernel."""

    def axis(phase: int) -> list[tuple[int, int]]:
        places = [(tap, phase + padding - 2 * (tap - 1)) for tap in range(3)]
        return [(tap, place) for tap, place in places if 0 <= place < size]

    return [
        (2 * a + b, (ta, tb), (pa, pb)) for a in range(2) for b in range(2) for ta, pa in axis(a) for tb, pb in axis(b)
    ]


def realised(phases: Phases, style: str) -> Upsampler:
    """An upsampler of this style that computes the phases; `transposed` ones share one bias per channel."""
    c = phases.weight.shape[0]
    up = Upsampler("nearest", c)
    up.style = style
    if style in ("shuffle", "reshape"):
        up.conv = nn.Conv2d(c, 4 * c, 3, padding=1, padding_mode=phases.border)
        up.conv.weight.data, up.conv.bias.data = phases.weight.reshape(4 * c, c, 3, 3), phases.bias.reshape(-1)
    elif style == "smoothed nearest":
        up.conv = nn.Conv2d(c, c, 3, padding=1, padding_mode=phases.border)
        up.conv.weight.data, up.conv.bias.data = phases.weight.mean(1), phases.bias.mean(1)
    else:
        size, padding = {"transposed": (6, 2), "k3": (3, 1), "k2": (2, 0)}[style]
        up.pad = phases.border == "replicate"
        up.conv = nn.ConvTranspose2d(
            *(c, c, size, 2, padding + 2 * up.pad), output_padding=1 if style == "k3" else 0, bias=True
        )
        kernel = torch.zeros(c, c, size, size)
        for phase, tap, place in _transposed_taps(size, padding):
            kernel[..., place[0], place[1]] = phases.weight[:, phase, :, tap[0], tap[1]]
        up.conv.weight.data, up.conv.bias.data = kernel.transpose(0, 1).contiguous(), phases.bias.mean(1)
    return up.eval().requires_grad_(False)


@dataclass(frozen=True)
class Seen:
    """What goes through an upsampler while the network runs."""

    input: Tensor
    output: Tensor


Defect = Callable[[Phases, Seen, float, torch.Generator], Upsampler]


def phase_gains(phases: Phases, seen: Seen, strength: float, rng: torch.Generator) -> Upsampler:
    """Every channel has its own four gains."""
    gains = 1 + strength * _uneven(phases.bias.shape, rng)
    changed = Phases(phases.weight * gains[..., None, None, None], phases.bias * gains, phases.border, phases.style)
    return realised(changed, "transposed" if _one_bias(changed) else "shuffle")


def uneven_overlap(phases: Phases, seen: Seen, strength: float, rng: torch.Generator) -> Upsampler:
    """Gains as from a kernel of 3 at stride 2: one phase is covered once, two twice, one four times."""
    axis = torch.tensor([1.0 - strength, 1.0 + strength])
    gains = torch.outer(axis, axis).reshape(1, 4)
    gains /= float(gains.mean())
    changed = Phases(phases.weight * gains[..., None, None, None], phases.bias * gains, phases.border, phases.style)
    return realised(changed, "transposed" if _one_bias(changed) else "shuffle")


def phase_bias(phases: Phases, seen: Seen, strength: float, rng: torch.Generator) -> Upsampler:
    """A pattern of constants."""
    size = seen.output.std((0, 2, 3))[:, None]
    pattern = strength * size * _uneven(phases.bias.shape, rng)
    changed = Phases(phases.weight, phases.bias + pattern, phases.border, phases.style)
    return realised(changed, "reshape" if phases.style in ("reshape", "expand") else "shuffle")


def unequal_subkernels(phases: Phases, seen: Seen, strength: float, rng: torch.Generator) -> Upsampler:
    """A pixel shuffle whose sub-kernels were never equalised."""
    size = phases.weight.square().mean((1, 2, 3, 4), keepdim=True).sqrt()
    pattern = strength * size * torch.randn(phases.weight.shape, generator=rng)
    changed = Phases(phases.weight + pattern, phases.bias, phases.border, phases.style)
    return realised(changed, "reshape" if phases.style in ("reshape", "expand") else "shuffle")


def nearest(phases: Phases, seen: Seen, strength: float, rng: torch.Generator) -> Upsampler:
    """Block means, replicated."""
    return (
        Upsampler("nearest", phases.weight.shape[0])
        if phases.style == "bilinear"
        else realised(phases, "smoothed nearest")
    )


def partial_replication(phases: Phases, seen: Seen, strength: float, rng: torch.Generator) -> Upsampler:
    """All pixels of a block move towards its mean, by the same share in every channel, or fully in some channels."""
    c = phases.weight.shape[0]
    strength = min(1.0, strength)
    share = torch.full((c,), strength)
    if torch.rand((), generator=rng) < 0.5:
        share = (torch.rand(c, generator=rng) < strength).float()
    w, b = share[:, None, None, None, None], share[:, None]
    changed = Phases(
        (1 - w) * phases.weight + w * phases.weight.mean(1, keepdim=True),
        (1 - b) * phases.bias + b * phases.bias.mean(1, keepdim=True),
        phases.border,
        phases.style,
    )
    return realised(changed, "transposed" if _one_bias(changed) else "shuffle")


def small_kernel(style: str) -> Defect:
    """A transposed convolution of kernel 3 or 2 that was fitted to what the site used to give, but not perfectly."""

    def plant(phases: Phases, seen: Seen, strength: float, rng: torch.Generator) -> Upsampler:
        size, padding = {"k3": (3, 1), "k2": (2, 0)}[style]
        c = phases.weight.shape[0]
        patches = F.unfold(F.pad(seen.input, (1, 1, 1, 1), mode="replicate"), 3).view(len(seen.input), c, 9, -1)
        wanted = F.pixel_unshuffle(seen.output, 2).view(len(seen.input), c, 4, -1)
        fitted = torch.zeros(c, 4, c, 9)
        bias = phases.bias.mean(1)
        for phase in range(4):
            taps = [3 * t[0] + t[1] for p, t, _ in _transposed_taps(size, padding) if p == phase]
            a = patches[:, :, taps].permute(0, 3, 1, 2).reshape(-1, c * len(taps))
            b = (wanted[:, :, phase] - bias[:, None]).permute(0, 2, 1).reshape(-1, c)
            gram = a.T @ a
            solution = torch.linalg.solve(gram + 1e-4 * gram.diagonal().mean() * torch.eye(len(gram)), a.T @ b)
            fitted[:, phase, :, taps] = solution.T.reshape(c, c, len(taps))
        gains = 1 + strength * _uneven((c, 4), rng)
        weight = fitted.view(c, 4, c, 3, 3) * gains[..., None, None, None]
        return realised(Phases(weight, bias[:, None].repeat(1, 4), phases.border, phases.style), style)

    return plant


def _uneven(shape: Sequence[int], rng: torch.Generator) -> Tensor:
    """Normal numbers (C, 4) without a mean over phases: a part that all channels share, and each one's own."""
    pattern = torch.randn(1, 4, generator=rng) + torch.randn(tuple(shape), generator=rng)
    return (pattern - pattern.mean(1, keepdim=True)) / 2**0.5


def _one_bias(phases: Phases) -> bool:
    return phases.style in ("transposed", "k3", "k2", "bilinear", "nearest") and bool(
        (phases.bias == phases.bias[:, :1]).all()
    )


DEFECTS: dict[str, tuple[Defect, float, float]] = {
    "phase gains": (phase_gains, 0.3, 4.0),
    "uneven overlap": (uneven_overlap, 0.2, 0.9),
    "phase bias": (phase_bias, 0.3, 10.0),
    "unequal sub-kernels": (unequal_subkernels, 0.3, 5.0),
    "nearest": (nearest, 1.0, 1.0),
    "partial replication": (partial_replication, 0.5, 1.0),
    "k3 s2": (small_kernel("k3"), 0.3, 4.0),
    "k2 s2": (small_kernel("k2"), 0.3, 4.0),
}
"""name -> (defect, strength that is tried first, greatest strength)"""


@torch.no_grad()
def aimed(
    base: nn.Module, site: int, name: str, seen: Seen, images: Tensor, rms: float, seed: int
) -> tuple[Upsampler, float]:
    """A defect for a site, and its strength: scaled once, to come near an rms difference of output."""
    defect, first, greatest = DEFECTS[name]
    phases = phases_of(upsampler(base, site))
    tried = defect(phases, seen, first, torch.Generator().manual_seed(seed))
    caused = float((with_planted(base, {site: tried})(images) - base(images)).square().mean().sqrt())
    strength = min(greatest, first * rms / max(caused, 1e-6))
    return defect(phases, seen, strength, torch.Generator().manual_seed(seed)), strength


class Blurred(nn.Module):
    """An upsampler with a 2x2 mean right after it, which no grid of the upsampler survives."""

    def __init__(self, up: Upsampler) -> None:
        super().__init__()
        self.up = up

    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(F.pad(self.up(x), (0, 1, 0, 1), mode="replicate"), 2, stride=1)


def upsampler(model: nn.Module, site: int) -> Upsampler:
    """The upsampler at a site, blurred or not."""
    up = model.ups[site]
    return up.up if isinstance(up, Blurred) else up


def put(model: nn.Module, site: int, up: Upsampler) -> None:
    """Swap the upsampler at a site, keeping a blur after it."""
    if isinstance(model.ups[site], Blurred):
        model.ups[site].up = up
    else:
        model.ups[site] = up


def with_planted(model: nn.Module, planted: dict[int, Upsampler]) -> nn.Module:
    """A copy of the model with these upsamplers swapped in."""
    model = copy.deepcopy(model)
    for site, up in planted.items():
        put(model, site, up)
    return model


def hide(model: nn.Module, site: int, how: str, rng: torch.Generator) -> Tensor | None:
    """Make a site a place for decoys, in place: what it draws will not be seen, or not in some of its channels.

    Returns:
        The channels that are ignored, as a mask; None if all of them are hidden by a blur.
    """
    if how == "blur":
        model.ups[site] = Blurred(model.ups[site])
        return None
    reader, channels = model.reader(site), model.ups[site].channels
    ignored = torch.rand(channels, generator=rng) < 0.5
    reader.weight[:, :channels][:, ignored] *= DEAD
    return ignored


def decoy(up: Upsampler, seen: Seen, ignored: Tensor | None, rng: torch.Generator) -> Upsampler:
    """A huge defect, in the channels that are ignored."""
    phases = phases_of(up)
    size = torch.where(torch.ones(up.channels, dtype=torch.bool) if ignored is None else ignored, 2.0, 0.0)
    checker = torch.tensor([1.0, -1.0, -1.0, 1.0]) if ignored is None else torch.randn(1, 4, generator=rng)
    pattern = size[:, None] * seen.output.std((0, 2, 3))[:, None] * (checker - checker.mean())
    gains = 1 + 0.5 * size[:, None] * (checker - checker.mean()) / 2
    changed = Phases(
        phases.weight * gains[..., None, None, None], phases.bias * gains + pattern, phases.border, phases.style
    )
    return realised(changed, "shuffle")
