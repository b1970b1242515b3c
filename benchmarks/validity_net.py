"""A small convolutional net that was trained to denoise: what follows a resize in a decoder, at its smallest."""

from __future__ import annotations

import functools

import numpy as np
import torch
import torch.nn.functional as F
from content import Image, photo
from torch import Tensor, nn
from validity_content import PHOTOS

CHANNELS = 16
STEPS, BATCH, PATCH = 300, 16, 64
NOISE = 0.03
SEED = 0


@functools.cache
def denoiser() -> nn.Sequential:
    """A 3x3 convolution, a ReLU and a 3x3 convolution, trained on the development photos from one seed."""
    photos = [torch.from_numpy(photo(name)) for name in PHOTOS["development"]]
    rng = torch.Generator().manual_seed(SEED)
    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        net = nn.Sequential(
            nn.Conv2d(1, CHANNELS, 3, padding=1, padding_mode="replicate"),
            nn.ReLU(),
            nn.Conv2d(CHANNELS, 1, 3, padding=1, padding_mode="replicate"),
        )
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    for _ in range(STEPS):
        clean = torch.stack([_patch(photos, rng) for _ in range(BATCH)])[:, None]
        loss = F.mse_loss(net(clean + NOISE * torch.randn(clean.shape, generator=rng)), clean)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return net.eval().requires_grad_(False)


def denoised(image: Image, rng: np.random.Generator) -> Image:
    """What the net makes of an image."""
    return denoiser()(torch.from_numpy(np.ascontiguousarray(image))[None, None])[0, 0].numpy()


def _patch(photos: list[Tensor], rng: torch.Generator) -> Tensor:
    image = photos[int(torch.randint(len(photos), (), generator=rng))]
    top, left = (int(torch.randint(side - PATCH + 1, (), generator=rng)) for side in image.shape)
    return image[top : top + PATCH, left : left + PATCH]
