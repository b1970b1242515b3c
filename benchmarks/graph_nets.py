"""Ten decoders whose files are opened again: each way in which a graph says that something is enlarged."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class UNet(nn.Module):
    """Two levels, with skips that are joined."""

    def __init__(self, up: Callable[[int], nn.Module]) -> None:
        super().__init__()
        self.enter, self.down = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 16, 3, stride=2, padding=1)
        self.bottom, self.up = nn.Conv2d(16, 16, 3, padding=1), up(16)
        self.norm, self.leave = nn.BatchNorm2d(24), nn.Conv2d(24, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        skip = torch.relu(self.enter(x))
        y = self.up(torch.relu(self.bottom(torch.relu(self.down(skip)))))
        return torch.sigmoid(self.leave(self.norm(torch.cat([y, skip], 1))))


class Shuffle(nn.Module):
    """Super-resolution by 2, with depth to space by reshapes or as a call."""

    def __init__(self, by_hand: bool) -> None:
        super().__init__()
        self.by_hand = by_hand
        self.body, self.up = nn.Conv2d(3, 16, 3, padding=1), nn.Conv2d(16, 12, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.up(F.leaky_relu(self.body(x), 0.2))
        if not self.by_hand:
            return F.pixel_shuffle(y, 2)
        n, _, h, w = y.shape
        return y.view(n, 3, 2, 2, h, w).permute(0, 1, 4, 2, 5, 3).reshape(n, 3, 2 * h, 2 * w)


class Windows(nn.Module):
    """Attention of two heads in windows of 8, and a transposed convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.enter, self.qkv = nn.Conv2d(3, 16, 3, padding=1), nn.Linear(16, 48)
        self.norm, self.up = nn.LayerNorm(16), nn.ConvTranspose2d(16, 3, 4, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.enter(x).permute(0, 2, 3, 1)
        n, h, w, c = y.shape
        tiles = y.view(n, h // 8, 8, w // 8, 8, c).permute(0, 1, 3, 2, 4, 5).reshape(-1, 64, c)
        q, k, v = self.qkv(self.norm(tiles)).view(-1, 64, 3, 2, c // 2).permute(2, 0, 3, 1, 4).unbind(0)
        tiles = tiles + F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(-1, 64, c)
        y = tiles.view(n, h // 8, w // 8, 8, 8, c).permute(0, 1, 3, 2, 4, 5).reshape(n, h, w, c)
        return self.up(y.permute(0, 3, 1, 2))


class Tokens(nn.Module):
    """Patches as tokens, put back into an image."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.layer, self.head = nn.Conv2d(3, 32, 4, stride=4), nn.Linear(32, 32), nn.Linear(32, 48)

    def forward(self, x: Tensor) -> Tensor:
        y = self.embed(x)
        n, _, h, w = y.shape
        tokens = self.head(F.gelu(self.layer(y.flatten(2).transpose(1, 2))))
        return tokens.view(n, h, w, 4, 4, 3).permute(0, 5, 1, 3, 2, 4).reshape(n, 3, 4 * h, 4 * w)


class Volume(nn.Module):
    """Volumes: down by a stride, up by trilinear interpolation."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.leave = nn.Conv3d(1, 8, 3, stride=2, padding=1), nn.Conv3d(8, 1, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        y = F.interpolate(torch.relu(self.down(x)), scale_factor=2.0, mode="trilinear", align_corners=False)
        return self.leave(y)


class Pyramid(nn.Module):
    """Three resizes, one of them of a pooled input, cut and padded on the way."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.leave = nn.Conv2d(8, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = F.interpolate(F.silu(self.one(F.avg_pool2d(x, 4))), scale_factor=2.0, mode="nearest")
        y = F.interpolate(F.silu(self.two(y)), scale_factor=2.0, mode="bilinear", align_corners=False)
        y = F.pad(y[..., 2:-2, 2:-2], (2, 2, 2, 2), mode="reflect")
        far = F.interpolate(F.max_pool2d(x, 2), scale_factor=2.0, mode="nearest").mean(1, keepdim=True)
        return self.leave(y + far)


class ShuffleByModule(Shuffle):
    """The pixel shuffle as a module, which `fix` can replace in Python, too."""

    def __init__(self) -> None:
        super().__init__(by_hand=False)
        self.resize0 = nn.PixelShuffle(2)

    def forward(self, x: Tensor) -> Tensor:
        return self.resize0(self.up(F.leaky_relu(self.body(x), 0.2)))


class VolumeByModule(Volume):
    """The resize as a module."""

    def __init__(self) -> None:
        super().__init__()
        self.resize0 = nn.Upsample(scale_factor=2.0, mode="trilinear", align_corners=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.leave(self.resize0(torch.relu(self.down(x))))


class PyramidByModules(Pyramid):
    """The resizes as modules."""

    def __init__(self) -> None:
        super().__init__()
        self.resize0, self.resize2 = nn.Upsample(scale_factor=2.0), nn.Upsample(scale_factor=2.0)
        self.resize1 = nn.Upsample(scale_factor=2.0, mode="bilinear", align_corners=False)

    def forward(self, x: Tensor) -> Tensor:
        y = self.resize1(F.silu(self.two(self.resize0(F.silu(self.one(F.avg_pool2d(x, 4)))))))
        y = F.pad(y[..., 2:-2, 2:-2], (2, 2, 2, 2), mode="reflect")
        return self.leave(y + self.resize2(F.max_pool2d(x, 2)).mean(1, keepdim=True))


BY_MODULES: dict[str, Callable[[], nn.Module]] = {
    "pixel shuffle": ShuffleByModule,
    "volume": VolumeByModule,
    "pyramid": PyramidByModules,
}
"""Nets whose calls that enlarge are modules of the number of the call: in Python, `fix` replaces nothing else."""


def _transposed(kernel: int) -> Callable[[int], nn.Module]:
    return lambda width: nn.ConvTranspose2d(width, width, kernel, 2, (kernel - 1) // 2, kernel % 2)


def _resized(mode: str) -> Callable[[int], nn.Module]:
    return lambda width: nn.Sequential(nn.Upsample(scale_factor=2, mode=mode), nn.Conv2d(width, width, 3, padding=1))


IMAGE, SCAN = (1, 3, 64, 64), (1, 1, 16, 32, 32)
NETS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "U-Net, transposed 4": (lambda: UNet(_transposed(4)), IMAGE),
    "U-Net, transposed 3": (lambda: UNet(_transposed(3)), IMAGE),
    "U-Net, nearest": (lambda: UNet(_resized("nearest")), IMAGE),
    "U-Net, bicubic": (lambda: UNet(_resized("bicubic")), IMAGE),
    "pixel shuffle": (lambda: Shuffle(False), IMAGE),
    "shuffle by reshape": (lambda: Shuffle(True), IMAGE),
    "windows": (Windows, IMAGE),
    "tokens": (Tokens, IMAGE),
    "volume": (Volume, SCAN),
    "pyramid": (Pyramid, IMAGE),
}
"""Name -> what makes it, and the shape of its input."""
