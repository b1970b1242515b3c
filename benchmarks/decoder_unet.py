"""MONAI's 3-D `UNet` and `BasicUNet` written out, and the oblique vessels that they learn to find, as logits.

Structure and names are MONAI's (`monai.networks.nets`, 1.6), so that the same weights load into both. `BasicUNet` has a
skip in full resolution, and an upsampler to choose: `deconv`, of kernel and stride 2, or what MONAI calls
`nontrainable`, a convolution and then a resize. `UNet` halves the size at once and ends with an upsampler: `deconv`, of
kernel 3 and stride 2, is all MONAI has; `nearest` and `trilinear` are `nontrainable` ones in its place.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

FEATURES = (8, 8, 16, 16, 32, 8)
"""channels of the five levels, and of the last one"""
WIDTHS = (16, 32, 48)
"""channels of the three levels of `UNet`"""
SHAPE = (48, 64, 64)
NOISE = 0.6
"""of the scan, where a vessel is 1 brighter than what is around it: no voxel tells by itself"""


class Convolution(nn.Module):
    """Convolution, norm, activation, with MONAI's names."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.conv = nn.Conv3d(inside, outside, 3, padding=1)
        self.adn = nn.ModuleDict({"N": nn.InstanceNorm3d(outside, affine=True)})

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(self.adn["N"](self.conv(x)), 0.1)


class TwoConv(nn.Module):
    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.conv_0, self.conv_1 = Convolution(inside, outside), Convolution(outside, outside)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv_1(self.conv_0(x))


class Down(nn.Module):
    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.convs = TwoConv(inside, outside)

    def forward(self, x: Tensor) -> Tensor:
        return self.convs(F.max_pool3d(x, 2))


class Resize(nn.Module):
    """MONAI's `nontrainable`: channels first, then size; `trilinear` with its align_corners=True."""

    def __init__(self, inside: int, outside: int, mode: str) -> None:
        super().__init__()
        if inside != outside:
            self.preconv = nn.Conv3d(inside, outside, 1)
        corners = True if mode == "trilinear" else None
        self.upsample_non_trainable = nn.Upsample(scale_factor=(2.0, 2.0, 2.0), mode=mode, align_corners=corners)

    def forward(self, x: Tensor) -> Tensor:
        return self.upsample_non_trainable(self.preconv(x) if hasattr(self, "preconv") else x)


class UpCat(nn.Module):
    def __init__(self, inside: int, skip: int, outside: int, mode: str, halves: bool = True) -> None:
        super().__init__()
        grown = inside // 2 if halves else inside
        self.upsample: nn.Module = Resize(inside, grown, mode)
        if mode == "deconv":
            self.upsample = nn.ModuleDict({"deconv": nn.ConvTranspose3d(inside, grown, 2, 2)})
        self.convs = TwoConv(skip + grown, outside)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        grown = self.upsample["deconv"](x) if isinstance(self.upsample, nn.ModuleDict) else self.upsample(x)
        return self.convs(torch.cat([skip, grown], 1))


class BasicUNet(nn.Module):
    """A scan (N, 1, D, H, W), sides multiples of 16, to the logits of a vessel, by MONAI's `BasicUNet`."""

    def __init__(self, upsampler: str) -> None:
        super().__init__()
        a, b, c, d, e, last = FEATURES
        self.conv_0 = TwoConv(1, a)
        self.down_1, self.down_2, self.down_3, self.down_4 = Down(a, b), Down(b, c), Down(c, d), Down(d, e)
        self.upcat_4, self.upcat_3 = UpCat(e, d, d, upsampler), UpCat(d, c, c, upsampler)
        self.upcat_2, self.upcat_1 = UpCat(c, b, b, upsampler), UpCat(b, a, last, upsampler, halves=False)
        self.final_conv = nn.Conv3d(last, 1, 1)

    def forward(self, scan: Tensor) -> Tensor:
        x0 = self.conv_0(scan)
        x1 = self.down_1(x0)
        x2 = self.down_2(x1)
        x3 = self.down_3(x2)
        x = self.upcat_3(self.upcat_4(self.down_4(x3), x3), x2)
        return self.final_conv(self.upcat_1(self.upcat_2(x, x1), x0))


class Strided(nn.Module):
    """Convolution, norm and activation of `UNet`: to half the size, to twice the size, or neither."""

    def __init__(self, inside: int, outside: int, way: str, is_last: bool = False) -> None:
        super().__init__()
        self.mode = way if way in ("nearest", "trilinear") else None
        if way == "deconv":
            self.conv: nn.Module = nn.ConvTranspose3d(inside, outside, 3, 2, padding=1, output_padding=1)
        else:
            self.conv = nn.Conv3d(inside, outside, 3, 2 if way == "half" else 1, padding=1)
        self.is_last = is_last
        if not is_last:
            self.adn = nn.ModuleDict({"N": nn.InstanceNorm3d(outside), "A": nn.PReLU()})

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        if self.mode:
            x = F.interpolate(x, scale_factor=2, mode=self.mode)
        return x if self.is_last else self.adn["A"](self.adn["N"](x))


class Skip(nn.Module):
    """What goes in, beside what becomes of it."""

    def __init__(self, submodule: nn.Module) -> None:
        super().__init__()
        self.submodule = submodule

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.submodule(x)], 1)


class StridedUNet(nn.Module):
    """A scan (N, 1, D, H, W), sides multiples of 4, to the logits of a vessel, by MONAI's `UNet`."""

    def __init__(self, upsampler: str) -> None:
        super().__init__()
        a, b, c = WIDTHS
        deeper = [Strided(a, b, "half"), Skip(Strided(b, c, "same")), Strided(b + c, a, upsampler)]
        whole = [Strided(1, a, "half"), Skip(nn.Sequential(*deeper)), Strided(2 * a, 1, upsampler, is_last=True)]
        self.model = nn.Sequential(*whole)

    def forward(self, scan: Tensor) -> Tensor:
        return self.model(scan)


def vessels(rng: np.random.Generator, shape: tuple[int, int, int] = SHAPE) -> Tensor:
    """How much of each voxel is vessel, (1, 1, *shape): straight tubes that lie askew to every axis."""
    grid = np.stack(np.meshgrid(*(np.arange(size, dtype=np.float32) for size in shape), indexing="ij"), -1)
    cover = np.zeros(shape, np.float32)
    for _ in range(max(2, round(np.prod(shape) ** (2 / 3) / 500))):
        way = rng.standard_normal(3)
        way /= np.linalg.norm(way)
        away = grid - rng.uniform(0.1, 0.9, 3) * shape
        along = away @ way
        distance = np.sqrt(np.maximum((away**2).sum(-1) - along**2, 0))
        cover = np.maximum(cover, np.clip(rng.uniform(1.5, 4) - distance + 0.5, 0, 1))
    return torch.from_numpy(cover.astype(np.float32))[None, None]


def scan(rng: np.random.Generator, cover: Tensor) -> Tensor:
    """What a scanner makes of it: noise, and no more."""
    return cover + NOISE * torch.from_numpy(rng.standard_normal(cover.shape).astype(np.float32))


def pair(rng: np.random.Generator, count: int = 2, shape: tuple[int, int, int] = (32, 32, 32)) -> tuple[Tensor, Tensor]:
    """Scans and how much of each voxel is vessel."""
    covers = torch.cat([vessels(rng, shape) for _ in range(count)])
    return scan(rng, covers), covers


def segmentation_loss(logits: Tensor, cover: Tensor) -> Tensor:
    """Dice and cross-entropy, the usual one."""
    found = logits.sigmoid()
    dice = 1 - 2 * (found * cover).sum() / (found.sum() + cover.sum())
    return dice + F.binary_cross_entropy_with_logits(logits, cover)
