"""The nets whose watching and diagnosing `cost.py` measures, and what they are given."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import skimage.data
import torch
import torch.nn.functional as F
from torch import Tensor, nn


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


class WindowBlock(nn.Module):
    """Attention within windows of 8x8 tokens, which are shifted or not, and two dense layers, as in Swin and SCUNet."""

    def __init__(self, width: int, shift: int, heads: int = 4, side: int = 8) -> None:
        super().__init__()
        self.shift, self.heads, self.side = shift, heads, side
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.qkv, self.project = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.dense = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
        self.bias = nn.Parameter(torch.zeros(heads, side**2, side**2))

    def forward(self, x: Tensor) -> Tensor:
        n, h, w, c = x.shape
        s = self.side
        y = torch.roll(self.norms[0](x), (-self.shift, -self.shift), (1, 2))
        y = y.view(n, h // s, s, w // s, s, c).permute(0, 1, 3, 2, 4, 5).reshape(-1, s * s, c)
        y = self.attend(y).view(n, h // s, w // s, s, s, c).permute(0, 1, 3, 2, 4, 5).reshape(n, h, w, c)
        x = x + torch.roll(y, (self.shift, self.shift), (1, 2))
        return x + self.dense(self.norms[1](x))

    def attend(self, x: Tensor) -> Tensor:
        windows, tokens, c = x.shape
        q, k, v = self.qkv(x).reshape(windows, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
        share = (q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5 + self.bias.unsqueeze(0)).softmax(-1)
        return self.project((share @ v).transpose(1, 2).reshape(windows, tokens, c))


class Windows(nn.Module):
    """As SwinIR, narrow: 24 blocks of windows on 64x64 tokens and a pixel shuffle; 64x64 in, 128x128 out."""

    def __init__(self, width: int = 60, blocks: int = 24) -> None:
        super().__init__()
        self.first, self.body_end = (nn.Conv2d(c, width, 3, padding=1) for c in (3, width))
        self.blocks = nn.Sequential(*(WindowBlock(width, 4 * (number % 2)) for number in range(blocks)))
        self.up = nn.Sequential(nn.Conv2d(width, 12, 3, padding=1), nn.PixelShuffle(2))

    def forward(self, x: Tensor) -> Tensor:
        first = self.first(x)
        tokens = self.blocks(first.permute(0, 2, 3, 1))
        return self.up(first + self.body_end(tokens.permute(0, 3, 1, 2)))


class UNet3d(nn.Module):
    """As nnU-Net's for volumes, of three transposed convolutions with skips, 32 to 256 channels wide."""

    def __init__(self, widths: tuple[int, ...] = (32, 64, 128, 256)) -> None:
        super().__init__()
        self.first = convolved_3d(1, widths[0])
        self.down = nn.ModuleList(convolved_3d(a, b) for a, b in pairwise(widths))
        upwards = list(pairwise(widths[::-1]))
        self.up = nn.ModuleList(nn.ConvTranspose3d(a, b, 2, 2) for a, b in upwards)
        self.join = nn.ModuleList(convolved_3d(2 * b, b) for _, b in upwards)
        self.last = nn.Conv3d(widths[0], 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        skips = [self.first(x)]
        for down in self.down:
            skips.append(down(F.max_pool3d(skips[-1], 2)))
        x = skips.pop()
        for up, join in zip(self.up, self.join, strict=True):
            x = join(torch.cat([up(x), skips.pop()], 1))
        return self.last(x)


def convolved_3d(before: int, after: int) -> nn.Sequential:
    """Two convolutions, each with its norm and activation."""
    layers: list[nn.Module] = []
    for channels in (before, after):
        norm = nn.InstanceNorm3d(after, affine=True)
        layers += [nn.Conv3d(channels, after, 3, padding=1), norm, nn.LeakyReLU(inplace=True)]
    return nn.Sequential(*layers)


class VideoDecoder(nn.Module):
    """Pictures resized with frames in the batch, then mixed over time; 8 frames of 16x16 latents in, 16 of 64x64 out.

    As in decoders of video latents, one of its three sites doubles the frames.
    """

    def __init__(self, widths: tuple[int, ...] = (128, 128, 64)) -> None:
        super().__init__()
        self.first = nn.Conv3d(16, widths[0], 3, padding=1)
        self.spatial = nn.ModuleList(
            nn.Sequential(nn.GroupNorm(8, a), nn.SiLU(), nn.Conv2d(a, b, 3, padding=1)) for a, b in pairwise(widths)
        )
        self.temporal = nn.ModuleList(
            nn.Sequential(nn.GroupNorm(8, b), nn.SiLU(), nn.Conv3d(b, b, (3, 1, 1), padding=(1, 0, 0)))
            for b in widths[1:]
        )
        self.last = nn.Conv3d(widths[-1], 3, 3, padding=1)

    def forward(self, z: Tensor) -> Tensor:
        x = self.first(z)
        for spatial, temporal in zip(self.spatial, self.temporal, strict=True):
            n, c, t, h, w = x.shape
            frames = spatial(F.interpolate(x.transpose(1, 2).reshape(n * t, c, h, w), scale_factor=2.0))
            x = frames.reshape(n, t, *frames.shape[1:]).transpose(1, 2)
            x = x + temporal(x)
        x = F.interpolate(x, scale_factor=(2.0, 1.0, 1.0))
        return self.last(F.silu(x))


def photo(side: int) -> Tensor:
    """(1, 3, side, side) of a photo."""
    image = torch.from_numpy(skimage.data.astronaut()).permute(2, 0, 1)[None, :, :side, :side] / 255
    return image.contiguous()


def volume() -> Tensor:
    """(1, 1, 32, 64, 64) of smooth blobs: averages, as resized noise has a lattice, which takes passes to explain."""
    noise = torch.randn(1, 1, 44, 76, 76)
    blurred = F.avg_pool3d(F.avg_pool3d(noise, 7, 1), 7, 1)
    return 0.5 + blurred / (4 * blurred.std())


def latents() -> Tensor:
    """(1, 16, 8, 16, 16) of noise."""
    return torch.randn(1, 16, 8, 16, 16)


MODELS: dict[str, tuple[Callable[[], nn.Module], Callable[[], Tensor]]] = {
    "U-Net": (UNet, lambda: photo(256)),
    "super-resolution": (Upscaler, lambda: photo(64)),
    "autoencoder": (Decoder, lambda: photo(256)),
    "dense super-resolution": (Dense, lambda: photo(64)),
    "windows": (Windows, lambda: photo(64)),
    "U-Net of volumes": (UNet3d, volume),
    "video decoder": (VideoDecoder, latents),
    "sampler": (Sampler, lambda: photo(128)),
}
"""name -> (factory, its input)"""


def make(name: str) -> tuple[nn.Module, Tensor]:
    """A model with random weights, and an input for it."""
    torch.manual_seed(0)
    factory, given = MODELS[name]
    return factory().eval(), given()
