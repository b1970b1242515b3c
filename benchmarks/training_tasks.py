"""The five tasks of `training.py`, each small enough for one slow core: enlarging by four, enlarging by two against a
discriminator, restoring by a U-Net, drawing one font as another, and an autoencoder.

Training, validation (for choosing weights) and test share no photo and no letter.
"""

from __future__ import annotations

import functools
import zlib
from collections.abc import Callable

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from content import PHOTOS, photo, photo_crops
from torch import Tensor, nn
from training_fonts import font_task, shipped
from training_nets import Autoencoder, Enlarger, Restorer
from training_objectives import Adversarial, Objective, plain, variational
from training_records import BATCH, SIDE, Pairs, Task, as_batch

CROP, LARGE, VALIDATION = 96, 192, ("camera", "coins")
"""pixels a side of the photos' crops that are judged, and that nets are diagnosed on; the photos of the validation"""
DEFOCUS, NOISE = 1.2, 0.05
"""what the U-Net takes away: rms radius of a Gaussian in pixels, and rms noise in data ranges"""


def quarter() -> Task:
    """Photos enlarged four times, by the U-Net's up-convolutions."""
    net = functools.partial(Enlarger, stages=2)
    return photo_task("super-resolution x4", 4, 400, net, lambda: plain, functools.partial(shrunk, factor=4))


def half() -> Task:
    """Photos enlarged twice, by an uneven deconvolution, against a discriminator of patches."""
    net = functools.partial(Enlarger, stages=1, kernel=3, anchored=True)
    return photo_task("super-resolution x2 with a GAN", 2, 250, net, Adversarial, functools.partial(shrunk, factor=2))


def restoration() -> Task:
    """Photos out of focus and noisy, restored by a U-Net."""
    return photo_task("restoration by a U-Net", 4, 300, Restorer, lambda: plain, spoilt)


def autoencoding() -> Task:
    """Photos through 4 numbers for 4x4 pixels, decoded by nearest resizes and convolutions."""
    return photo_task("autoencoder", 4, 300, Autoencoder, lambda: variational, lambda clean: clean)


def photo_task(
    title: str,
    period: int,
    steps: int,
    net: Callable[[], nn.Module],
    objective: Callable[[], Objective],
    degrade: Callable[[Tensor], Tensor],
) -> Task:
    """A task on photos."""
    sources = [torch.from_numpy(photo(name)) for name in PHOTOS["development"] if name not in VALIDATION]

    def batch(rng: np.random.Generator) -> Pairs:
        crops = []
        for _ in range(BATCH):
            image = sources[int(rng.integers(len(sources)))]
            top, left = (int(rng.integers(size - SIDE + 1)) for size in image.shape)
            crops.append(torch.rot90(image[top : top + SIDE, left : left + SIDE], int(rng.integers(4))))
        clean = torch.stack(crops)[:, None]
        return Pairs(degrade(clean), clean)

    validation = [crop for name, crop in photo_crops("development", CROP, 12) if name in VALIDATION]
    test = [crop for _, crop in photo_crops("test", CROP, 4)]
    large = [crop for name, crop in photo_crops("development", LARGE, 3) if name in VALIDATION]
    judged = [Pairs(degrade(clean), clean) for clean in map(as_batch, (validation, test))]
    return Task(title, period, steps, net, objective, batch, degrade, {}, *judged, degrade(as_batch(large)))


def shrunk(clean: Tensor, factor: int) -> Tensor:
    """The mean over blocks."""
    return F.avg_pool2d(clean, factor)


def spoilt(clean: Tensor) -> Tensor:
    """Out of focus and noisy; the noise is drawn from a seed that the images make, so that the same have the same."""
    blurred = [
        cv2.GaussianBlur(image, (0, 0), DEFOCUS, borderType=cv2.BORDER_REPLICATE) for image in clean[:, 0].numpy()
    ]
    rng = np.random.default_rng(zlib.crc32(clean.numpy().tobytes()))
    return as_batch(blurred) + NOISE * torch.from_numpy(rng.standard_normal(clean.shape).astype(np.float32))


def tasks() -> dict[str, Callable[[], Task]]:
    """What makes each."""
    sans, serif = shipped("DejaVuSans.ttf"), shipped("DejaVuSerif-BoldItalic.ttf")
    return {
        "photos": quarter,
        "gan": half,
        "unet": restoration,
        "fonts": functools.partial(font_task, sans, serif, "DejaVu Sans to DejaVu Serif Bold Italic"),
        "vae": autoencoding,
    }
