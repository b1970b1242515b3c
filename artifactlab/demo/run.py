"""The demo: diagnose a trained U-Net in which one upsampler was swapped, on a photo it has never seen."""

from __future__ import annotations

import skimage
import torch
from torch import Tensor

from artifactlab.attribution.diagnose import Progress, diagnose
from artifactlab.attribution.diagnosis import Diagnosis
from artifactlab.demo.unet import broken, healthy

NOISE = 0.05
"""standard deviation the U-Net was trained to remove"""
SIZE = (384, 576)
"""centre of the photo, in pixels; multiples of 8 as the U-Net wants"""


def noisy_photo() -> Tensor:
    """scikit-image's `coffee`, left out of the training, with noise: (1, 3, 384, 576) in [0, 1]."""
    coffee = skimage.data.coffee()  # type: ignore[no-untyped-call]
    pixels = torch.from_numpy(coffee.copy()).permute(2, 0, 1)[None].float() / 255
    top, left = (pixels.shape[2] - SIZE[0]) // 2, (pixels.shape[3] - SIZE[1]) // 2
    photo = pixels[..., top : top + SIZE[0], left : left + SIZE[1]]
    generator = torch.Generator().manual_seed(0)
    return photo + NOISE * torch.randn(photo.shape, generator=generator)


def run_demo(progress: Progress | None = None) -> tuple[Diagnosis, float]:
    """The diagnosis of the broken U-Net, and the severity that is left when the original layer is put back."""
    photo = noisy_photo()
    diagnosis = diagnose(broken(), photo, data_range=1.0, progress=progress)
    cured = diagnose(healthy(), photo, data_range=1.0)
    return diagnosis, cured.output.severity
