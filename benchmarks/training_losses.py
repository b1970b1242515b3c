"""The losses that `EdgeAwareLoss` is compared with, from their papers' formulas: (N, C, H, W) twice -> a scalar."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

CHARBONNIER, SMALL = 1e-3, 1e-6
PYRAMID = (0.05, 0.25, 0.4, 0.25, 0.05)
SSIM_SIDE, SSIM_SIGMA = 11, 1.5
C1, C2 = 0.01**2, 0.03**2


def mprnet_edge(output: Tensor, target: Tensor) -> Tensor:
    """Charbonnier distance of Laplacians (Zamir et al., "Multi-Stage Progressive Image Restoration", CVPR 2021).

    The Laplacian is what a pyramid level of P. Burt, E. Adelson (1983) leaves over: blur, every second pixel, zeros
    between, blur, times 4.
    """

    def laplacian(images: Tensor) -> Tensor:
        kept = torch.zeros_like(images)
        kept[..., ::2, ::2] = 4 * blurred(images, torch.tensor(PYRAMID))[..., ::2, ::2]
        return images - blurred(kept, torch.tensor(PYRAMID))

    return ((laplacian(output) - laplacian(target)).square() + CHARBONNIER**2).sqrt().mean()


def gradient_magnitude(output: Tensor, target: Tensor) -> Tensor:
    """L1 of gradient magnitudes from central differences (Ma et al., "Structure-Preserving Super Resolution with
    Gradient Guidance", CVPR 2020)."""

    def magnitude(images: Tensor) -> Tensor:
        padded = F.pad(images, (1, 1, 1, 1))
        vertical = padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]
        horizontal = padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]
        return (vertical.square() + horizontal.square() + SMALL).sqrt()

    return F.l1_loss(magnitude(output), magnitude(target))


def focal_frequency(output: Tensor, target: Tensor) -> Tensor:
    """Squared distance of spectra, each frequency weighted by its own distance over the image's largest (Jiang et al.,
    "Focal Frequency Loss for Image Reconstruction and Synthesis", ICCV 2021); alpha 1, the weights detached."""
    difference = torch.fft.fft2(output, norm="ortho") - torch.fft.fft2(target, norm="ortho")
    squared = torch.view_as_real(difference).square().sum(-1)
    weight = squared.detach().sqrt()
    weight = weight / weight.amax((2, 3), keepdim=True).clamp_min(1e-12)
    return (weight * squared).mean()


def one_minus_ssim(output: Tensor, target: Tensor) -> Tensor:
    """1 - SSIM (Wang et al., "Image Quality Assessment: From Error Visibility to Structural Similarity", IEEE TIP 2004)
    in Gaussian windows that lie inside the image."""
    place = torch.arange(SSIM_SIDE) - SSIM_SIDE // 2
    window = torch.exp(-place.square() / (2 * SSIM_SIGMA**2))
    window = window / window.sum()

    def local(images: Tensor) -> Tensor:
        return blurred(images, window, pad=False)

    mean, wanted = local(output), local(target)
    variances = local(output.square()) - mean.square() + local(target.square()) - wanted.square()
    covariance = local(output * target) - mean * wanted
    similar = (2 * mean * wanted + C1) * (2 * covariance + C2)
    return 1 - (similar / ((mean.square() + wanted.square() + C1) * (variances + C2))).mean()


def blurred(images: Tensor, line: Tensor, pad: bool = True) -> Tensor:
    """Each channel, by a separable kernel; the border is repeated, or left out."""
    channels, reach = images.shape[1], len(line) // 2 if pad else 0
    images = F.pad(images, [reach] * 4, mode="replicate") if pad else images
    for shape in ((1, 1, -1, 1), (1, 1, 1, -1)):
        images = F.conv2d(images, line.view(shape).expand(channels, *[-1] * 3), groups=channels)
    return images
