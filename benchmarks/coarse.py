"""Coarse causes of bad edges: are they found where they are planted, and nowhere else? `python benchmarks/coarse.py`

Misregistration is planted into U-Nets (the demo's, and three that are trained here from seeds) by displacing one
upsampled map, or wired in: odd strided kernels sample half a pixel off what resizing assumes. Seams are planted by
running the demo's U-Net tile by tile, or by offsetting tiles of its output. Thresholds were chosen on the development
split and on nets of other seeds; everything below is of the test split.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator

import numpy as np
import torch
import torch.nn.functional as F
from content import SEEDS, Image, periodic_scene, photo_crops, scenes
from publish import arguments, mark, markdown_table, publish
from torch import Tensor, nn

from artifactlab.attribution.findings.misregistration import Shift, features_of, measure_shifts
from artifactlab.attribution.findings.seams import foreign_periods
from artifactlab.demo.unet import ConvBlock, healthy
from artifactlab.models.calls import as_calls
from artifactlab.models.runner import Runner

WIDTHS = (12, 20, 32, 40)
NOISE = 0.02
SIDE = 384
PERIODS = [(2, 2), (4, 4), (8, 8)]
"""of the demo's sites"""
TEXTURES = ("cloth", "screen", "fence", "brick", "text")
Shifted = Callable[[Tensor], Tensor]


class UNet(nn.Module):
    """A denoiser with three skips, concatenated or added; `displace` may be set to misplace one upsampled map."""

    def __init__(self, added: bool, kernel: int | None) -> None:
        super().__init__()
        self.added = added
        self.displace: dict[int, Shifted] = {}
        self.enc = nn.ModuleList(ConvBlock(i, o) for i, o in zip((3, *WIDTHS[:-1]), WIDTHS, strict=True))
        pools = [nn.Conv2d(w, w, kernel, 2, (kernel - 1) // 2) if kernel else nn.MaxPool2d(2) for w in WIDTHS[:-1]]
        self.down = nn.ModuleList(pools)
        pairs = list(zip(WIDTHS[1:], WIDTHS[:-1], strict=True))
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(i, o, 4, 2, 1)
            if added
            else nn.Sequential(nn.Upsample(scale_factor=2, mode="bilinear"), nn.Conv2d(i, o, 3, padding=1))
            for i, o in pairs
        )
        self.dec = nn.ModuleList(ConvBlock(o if added else 2 * o, o) for _, o in pairs)
        self.head = nn.Conv2d(WIDTHS[0], 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        skips = []
        for enc, down in zip(self.enc, [*self.down, nn.Identity()], strict=True):
            skips.append(enc(x))
            x = down(skips[-1])
        for level in (2, 1, 0):
            x = self.up[level](x)
            x = self.displace.get(level, nn.Identity())(x)
            x = self.dec[level](x + skips[level] if self.added else torch.cat([x, skips[level]], 1))
        return self.head(x)


def train(model: UNet, seed: int, steps: int = 120) -> UNet:
    """Half a minute of denoising development photos and scenes."""
    torch.manual_seed(seed)
    images = [colour(image) for _, image in photo_crops("development", 192, 2)]
    images += [colour(scene.render()) for _, scene in scenes("development", 20)]
    optimiser = torch.optim.Adam(model.parameters(), lr=2e-3)
    for _ in range(steps):
        crops = []
        for k in torch.randint(len(images), (4,)).tolist():
            top, left = (int(torch.randint(side - 63, ())) for side in images[k].shape[2:])
            crops.append(images[k][..., top : top + 64, left : left + 64])
        clean = torch.cat(crops)
        loss = F.l1_loss(model(clean + NOISE * torch.randn_like(clean)), clean)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return model.eval()


def colour(image: Image) -> Tensor:
    """A gray image as (1, 3, H, W)."""
    return torch.from_numpy(np.ascontiguousarray(image)).expand(1, 3, -1, -1)


def noisy(image: Image, generator: torch.Generator) -> Tensor:
    clean = colour(image)
    return clean + NOISE * torch.randn(clean.shape, generator=generator)


def by_fourier(dy: float, dx: float) -> Shifted:
    """Displaces features by any fraction of a pixel, exactly."""

    def shift(x: Tensor) -> Tensor:
        v, h = torch.fft.fftfreq(x.shape[2])[:, None], torch.fft.rfftfreq(x.shape[3])
        phase = -2 * torch.pi * (v * dy + h * dx)
        return torch.fft.irfft2(torch.fft.rfft2(x) * torch.polar(torch.ones_like(phase), phase), s=x.shape[2:])

    return shift


SHIFTS: dict[str, tuple[tuple[float, float], Shifted]] = {
    "half a pixel": ((0.0, 0.5), by_fourier(0.0, 0.5)),
    "half, both ways": ((-0.5, 0.5), by_fourier(-0.5, 0.5)),
    "a whole pixel": ((1.0, 0.0), lambda x: x.roll(1, 2)),
}


def shifts(model: nn.Module, inputs: list[Tensor]) -> list[Shift]:
    with Runner(model, None, 0) as runner:
        calls = as_calls(inputs)
        return measure_shifts(runner, calls, [features_of(runner, call) for call in calls])


def registration_rows() -> Iterator[list[str]]:
    """Planted and wired displacements, and none."""
    generator = torch.Generator().manual_seed(1)
    images = [image for _, image in photo_crops("test", 192, 1) if min(image.shape) == 192][:7]
    images += [scene.render() for _, scene in scenes("test", 5, 192)]
    inputs = [noisy(image, generator) for image in images]
    nets = {"cat": train(UNet(False, None), 11), "add": train(UNet(True, 2), 12)}
    clean = [shift for net in (healthy(), *nets.values()) for x in inputs for shift in shifts(net, [x])]
    alarms = sum(shift.shows for shift in clean)
    largest = max(abs(v) for shift in clean for v in shift.value)
    some = inputs[::2]
    for name, (truth, displace) in SHIFTS.items():
        errors, cases = [], 0
        for net in nets.values():
            for level in (2, 1, 0):
                net.displace = {level: displace}
                for x in some:
                    cases += 1
                    errors += [far_from(s, truth) for s in shifts(net, [x]) if s.shows and s.key[2] == 2 - level]
            net.displace = {}
        yield found_row(f"displaced by {name}: found, within .1", errors, cases, ">= 95%")
    wired = train(UNet(False, 3), 13)
    measured = [shifts(wired, [x]) for x in inputs]
    errors = [far_from(s, (0.5, 0.5)) for found in measured for s in found if s.shows]
    yield found_row("half a pixel by strided 3x3 kernels: found, within .1", errors, 3 * len(inputs), "")
    verdict = mark(alarms <= 0.02 * len(clean))
    yield [
        "registered merges reported",
        "<= 2%",
        f"{alarms} of {len(clean)} (largest reading {largest:.3f} px)",
        verdict,
    ]


def far_from(shift: Shift, truth: tuple[float, float]) -> float:
    """Pixels from the truth, the worse direction."""
    return max(abs(v - t) for v, t in zip(shift.value, truth, strict=True))


def found_row(claim: str, errors: list[float], cases: int, target: str) -> list[str]:
    share = sum(error <= 0.1 for error in errors) / cases
    middle = statistics.median(errors) if errors else float("nan")
    return [
        claim,
        target,
        f"{share:.1%} of {cases}, median error {middle:.3f} px",
        mark(share >= 0.95) if target else "",
    ]


def whole(model: nn.Module, x: Tensor) -> Tensor:
    """The model's output, of any size."""
    height, width = x.shape[2:]
    with torch.no_grad():
        padded = F.pad(x, (0, -width % 8, 0, -height % 8), mode="reflect")
        return model(padded)[..., :height, :width].clone()


def tiled(model: nn.Module, x: Tensor, side: int) -> Tensor:
    """The model run tile by tile, without overlap."""
    rows = []
    for row in x.split(side, 2):
        rows.append(torch.cat([whole(model, tile) for tile in row.split(side, 3)], 3))
    return torch.cat(rows, 2)


def offset(x: Tensor, side: int, most: float, generator: torch.Generator) -> Tensor:
    """Tiles made brighter or darker by up to `most`."""
    rows, columns = (-(-size // side) for size in x.shape[2:])
    levels = most * (2 * torch.rand(1, 1, rows, columns, generator=generator) - 1)
    return x + levels.repeat_interleave(side, 2).repeat_interleave(side, 3)[..., : x.shape[2], : x.shape[3]]


def seam_rows() -> Iterator[list[str]]:
    """Planted seams in pairs of outputs; clean outputs in pairs, mixed and of one kind."""
    generator = torch.Generator().manual_seed(2)
    model, zeros = healthy(), healthy()
    for module in zeros.modules():
        if isinstance(module, nn.Conv2d):
            module.padding_mode = "zeros"
    content = [image for _, image in photo_crops("test", SIDE, 1) if min(image.shape) == SIDE]
    content += [scene.render() for _, scene in scenes("test", 16 - len(content), SIDE)]
    inputs = [noisy(image, generator) for image in content]
    outputs = [whole(model, x) for x in inputs]
    plants: dict[str, Callable[[Tensor, Tensor, int], Tensor]] = {
        "levels of tiles off by up to 1%": lambda x, y, side: offset(y, side, 0.01, generator),
        "levels of tiles off by up to 2%": lambda x, y, side: offset(y, side, 0.02, generator),
        "run tile by tile": lambda x, y, side: tiled(model, x, side),
        "run tile by tile, zero padding": lambda x, y, side: tiled(zeros, x, side),
    }
    for name, plant in plants.items():
        right = []
        for side in (48, 64, 100):
            planted = [plant(x, y, side) for x, y in zip(inputs, outputs, strict=True)]
            for k in range(0, len(planted), 2):
                right += [
                    p == side for p in periods(planted[k : k + 2], inputs[k : k + 2]) + periods(planted[k : k + 2], [])
                ]
        share = sum(right) / len(right)
        yield [f"{name}: period found", ">= 95%", f"{share:.1%} of {len(right)}", mark(share >= 0.95)]
    for name, sets in clean_sets(content, generator).items():
        alarms = []
        for images in sets:
            xs = [noisy(image, generator) for image in images]
            ys = [whole(model, x) for x in xs]
            alarms += [p > 0 for p in periods(ys, xs) + (periods(ys, []) if len(ys) > 1 else [])]
        yield [
            f"{name}: no seam reported",
            "<= 2%",
            f"{sum(alarms)} of {len(alarms)}",
            mark(sum(alarms) <= 0.02 * len(alarms)),
        ]


def clean_sets(content: list[Image], generator: torch.Generator) -> dict[str, list[list[Image]]]:
    """Sets of images without seams."""
    regular = {k: [periodic_scene(k, SEEDS["test"] + n, SIDE) for n in range(6)] for k in TEXTURES}
    everything = [*content, *(image for images in regular.values() for image in images)]
    order = torch.randperm(len(everything), generator=generator).tolist()
    return {
        "photos and scenes, pairs": [content[k : k + 2] for k in range(0, len(content), 2)],
        "regular texture, pairs of a kind": [v[k : k + 2] for v in regular.values() for k in (0, 2, 4)],
        "mixed, fours": [[everything[i] for i in order[k : k + 4]] for k in range(0, len(order) - 3, 4)],
        "regular texture, one image and its input": [[image] for images in regular.values() for image in images],
    }


def periods(outputs: list[Tensor], inputs: list[Tensor]) -> list[float]:
    """Vertical and horizontal period found; 0 where there is none."""
    found = foreign_periods(outputs, inputs, PERIODS, data_range=1.0)
    return list(found[0].value) if found else [0.0, 0.0]


def main() -> None:
    options = arguments(__doc__).parse_args()
    torch.set_num_threads(1)
    rows = [*registration_rows(), *seam_rows()]
    publish("coarse", markdown_table(["claim", "target", "measured", ""], rows), options.publish)


if __name__ == "__main__":
    main()
