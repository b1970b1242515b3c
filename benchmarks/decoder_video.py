"""A video autoencoder of LTX-Video's shape, and the moving shapes that it learns: (N, 1, 1 + 4k, H, W) in [0, 1].

Its decoder doubles and quadruples by a 5-D depth to space and cuts the first frame off, so that the first latent frame
stands for one frame and each other one for four. The upsampler is that (`unpatchify`), or a resize in its place
(`nearest`, `trilinear`), cut in the same way.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

LATENTS, WIDTHS = 8, (36, 12)
STEPS = ((2, 2, 2), (2, 4, 4))
"""(time, rows, columns) by which each stage grows: 4 in time and 8 in space together"""
FRAMES, SIDE = 17, 64


class CausalConv(nn.Conv3d):
    """A 3x3x3 convolution that sees no later frame: the first one is repeated in front."""

    def __init__(self, inside: int, outside: int, stride: tuple[int, int, int] = (1, 1, 1)) -> None:
        super().__init__(inside, outside, 3, stride, padding=(0, 0, 0))

    def forward(self, x: Tensor) -> Tensor:
        padded = F.pad(x, (1, 1, 1, 1, 0, 0), mode="replicate")
        return super().forward(torch.cat([padded[:, :, :1], padded[:, :, :1], padded], 2))


class Residual(nn.Module):
    """Two convolutions around a shortcut."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = CausalConv(width, width), CausalConv(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(F.silu(self.conv1(F.silu(x))))


class Upsample(nn.Module):
    """Grows by `step` and cuts the frames that come before the first one."""

    def __init__(self, inside: int, outside: int, step: tuple[int, int, int], mode: str) -> None:
        super().__init__()
        self.step, self.mode = step, mode
        self.conv = CausalConv(inside, outside * (int(np.prod(step)) if mode == "unpatchify" else 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.grown(x)[:, :, self.step[0] - 1 :]

    def grown(self, x: Tensor) -> Tensor:
        if self.mode != "unpatchify":
            return self.conv(F.interpolate(x, scale_factor=self.step, mode=self.mode))
        n, _, frames, height, width = x.shape
        patches = self.conv(x).reshape(n, -1, *self.step, frames, height, width)
        return patches.permute(0, 1, 5, 2, 6, 3, 7, 4).flatten(6, 7).flatten(4, 5).flatten(2, 3)


class VideoDecoder(nn.Module):
    """Latents (N, 8, 1 + k, H / 8, W / 8) to video (N, 1, 1 + 4k, H, W)."""

    def __init__(self, upsampler: str) -> None:
        super().__init__()
        wide, thin = WIDTHS
        self.conv_in = CausalConv(LATENTS, wide)
        self.block = Residual(wide)
        self.up1 = Upsample(wide, thin, STEPS[0], upsampler)
        self.up1_block = Residual(thin)
        self.up2 = Upsample(thin, 1, STEPS[1], upsampler)

    def forward(self, latents: Tensor) -> Tensor:
        x = self.up1(self.block(self.conv_in(latents)))
        return self.up2(F.silu(self.up1_block(x)))


class VideoEncoder(nn.Module):
    """Video (N, 1, 1 + 4k, H, W) to latents (N, 8, 1 + k, H / 8, W / 8)."""

    def __init__(self) -> None:
        super().__init__()
        wide, thin = WIDTHS
        self.conv_in = CausalConv(16, thin)
        self.down1 = CausalConv(thin, wide, (2, 2, 2))
        self.down2 = CausalConv(wide, wide, (2, 1, 1))
        self.conv_out = CausalConv(wide, LATENTS)

    def forward(self, video: Tensor) -> Tensor:
        n, c, frames, height, width = video.shape
        patches = video.reshape(n, c, frames, height // 4, 4, width // 4, 4).permute(0, 1, 4, 6, 2, 3, 5)
        x = F.silu(self.conv_in(patches.flatten(1, 3)))
        return self.conv_out(F.silu(self.down2(F.silu(self.down1(x)))))


class VideoAutoencoder(nn.Module):
    """Both: what is trained."""

    def __init__(self, upsampler: str) -> None:
        super().__init__()
        self.encoder, self.decoder = VideoEncoder(), VideoDecoder(upsampler)

    def forward(self, video: Tensor) -> Tensor:
        return self.decoder(self.encoder(video))


def clip(rng: np.random.Generator, frames: int = FRAMES, side: int = SIDE) -> Tensor:
    """Discs and oblique edges that glide over a shade, (1, 1, frames, side, side), anti-aliased."""
    rows, columns = np.mgrid[:side, :side].astype(np.float32)
    video = np.full((frames, side, side), rng.uniform(0.1, 0.9), np.float32)
    for _ in range(int(rng.integers(2, 5))):
        shade, place, speed = rng.uniform(0, 1), rng.uniform(0, side, 2), rng.uniform(-1.5, 1.5, 2)
        angle, radius, is_disc = rng.uniform(0, 2 * np.pi), rng.uniform(5, 18), rng.random() < 0.6
        for frame in range(frames):
            y, x = rows - place[0] - speed[0] * frame, columns - place[1] - speed[1] * frame
            inside = radius - np.hypot(y, x) if is_disc else y * np.cos(angle) + x * np.sin(angle)
            cover = np.clip(inside + 0.5, 0, 1)
            video[frame] += cover * (shade - video[frame])
    return torch.from_numpy(video)[None, None]


def clips(rng: np.random.Generator, count: int = 2) -> Tensor:
    """Some of them."""
    return torch.cat([clip(rng) for _ in range(count)])
