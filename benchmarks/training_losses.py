"""The losses that `EdgeAwareLoss` is compared with, from their papers' formulas: (N, C, H, W) twice -> a scalar."""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor

CHARBONNIER, SMALL = 1e-3, 1e-6
PYRAMID = (0.05, 0.25, 0.4, 0.25, 0.05)
SOBEL_SMOOTH, SOBEL_SLOPE = (0.25, 0.5, 0.25), (-1.0, 0.0, 1.0)
PATCH = 8
"""pixels a side, over which gradients vary"""
SSIM_SIDE, SSIM_SIGMA = 11, 1.5
C1, C2 = 0.01**2, 0.03**2
SCALES = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""exponents of the scales, the finest first"""
LOCAL = 7
"""pixels a side, over which residuals vary"""
SYMLET = (
    *(0.010268176708511255, 0.0040102448715336634, -0.10780823770381774, -0.14004724044296152, 0.28862963175151463),
    *(0.76776431700316405, 0.5361019170917628, 0.017441255086855827, -0.049552834937127255, 0.067892693501372697),
    *(0.03051551316596357, -0.01263630340325193, -0.0010473848886829163, 0.0026818145682578781),
)
"""Daubechies' least asymmetric scaling filter of 14 taps, of norm 1; the authors' 38 would reach around a crop"""


def charbonnier(output: Tensor, target: Tensor) -> Tensor:
    """L1 rounded off at 0 (Lai et al., "Deep Laplacian Pyramid Networks", CVPR 2017)."""
    return ((output - target).square() + CHARBONNIER**2).sqrt().mean()


def mprnet_edge(output: Tensor, target: Tensor) -> Tensor:
    """Charbonnier distance of Laplacians (Zamir et al., "Multi-Stage Progressive Image Restoration", CVPR 2021).

    The Laplacian is what a pyramid level of P. Burt, E. Adelson (1983) leaves over: blur, every second pixel, zeros
    between, blur, times 4.
    """

    def laplacian(images: Tensor) -> Tensor:
        kept = torch.zeros_like(images)
        kept[..., ::2, ::2] = 4 * blurred(images, torch.tensor(PYRAMID))[..., ::2, ::2]
        return images - blurred(kept, torch.tensor(PYRAMID))

    return charbonnier(laplacian(output), laplacian(target))


def gradient_magnitude(output: Tensor, target: Tensor) -> Tensor:
    """L1 of gradient magnitudes from central differences (Ma et al., "Structure-Preserving Super Resolution with
    Gradient Guidance", CVPR 2020)."""

    def magnitude(images: Tensor) -> Tensor:
        padded = F.pad(images, (1, 1, 1, 1))
        vertical = padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]
        horizontal = padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]
        return (vertical.square() + horizontal.square() + SMALL).sqrt()

    return F.l1_loss(magnitude(output), magnitude(target))


def sobel_edge(output: Tensor, target: Tensor) -> Tensor:
    """Squared distance of Sobel gradients as vectors, so that their direction counts; as the trainers of
    super-resolution have it."""
    return torch.stack([part.square().mean() for part in sobel(output - target)]).mean()


def gradient_variance(output: Tensor, target: Tensor) -> Tensor:
    """Squared distance of the variances that Sobel gradients have in patches, along both axes (Abrahamyan et al.,
    "Gradient Variance Loss for Structure-Enhanced Image Super-Resolution", ICASSP 2022)."""

    def variances(gradient: Tensor) -> Tensor:
        patches = gradient.unfold(2, PATCH, PATCH).unfold(3, PATCH, PATCH)
        return patches.flatten(4).var(-1)

    # the paper's Sobel filters sum to 4 on each side
    pairs = zip(sobel(output), sobel(target), strict=True)
    return sum((F.mse_loss(variances(4 * ours), variances(4 * theirs)) for ours, theirs in pairs), output.new_zeros(()))


def focal_frequency(output: Tensor, target: Tensor) -> Tensor:
    """Squared distance of spectra, each frequency weighted by its own distance over the image's largest (Jiang et al.,
    "Focal Frequency Loss for Image Reconstruction and Synthesis", ICCV 2021); alpha 1, the weights detached."""
    difference = torch.fft.fft2(output, norm="ortho") - torch.fft.fft2(target, norm="ortho")
    squared = torch.view_as_real(difference).square().sum(-1)
    weight = squared.detach().sqrt()
    weight = weight / weight.amax((2, 3), keepdim=True).clamp_min(1e-12)
    return (weight * squared).mean()


def one_minus_ms_ssim(output: Tensor, target: Tensor) -> Tensor:
    """1 - MS-SSIM (Wang et al., "Multiscale Structural Similarity for Image Quality Assessment", Asilomar 2003) in
    Gaussian windows that lie inside the image: contrast and structure of each scale, luminance of the coarsest.

    An image of less than 176 pixels holds fewer than five scales; the exponents of those that it holds sum to 1.
    """
    held = SCALES[: max(1, (min(output.shape[2:]) // SSIM_SIDE).bit_length())]
    similar = output.new_ones(output.shape[:2])
    for scale, exponent in enumerate(held):
        luminance, structure = similarity(output, target)
        last = scale == len(held) - 1
        both = (luminance * structure if last else structure).mean((2, 3))
        similar = similar * both.clamp_min(SMALL) ** (exponent / sum(held))  # a negative one has no root
        output, target = F.avg_pool2d(output, 2), F.avg_pool2d(target, 2)
    return 1 - similar.mean()


def similarity(output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """SSIM's two factors: of luminance; of contrast and structure."""
    place = torch.arange(SSIM_SIDE) - SSIM_SIDE // 2
    window = torch.exp(-place.square() / (2 * SSIM_SIGMA**2))
    window = window / window.sum()
    moments = torch.cat((output, target, output.square(), target.square(), output * target), 1)
    mean, wanted, square, wanted_square, product = blurred(moments, window, pad=False).chunk(5, 1)
    variances = square - mean.square() + wanted_square - wanted.square()
    luminance = (2 * mean * wanted + C1) / (mean.square() + wanted.square() + C1)
    return luminance, (2 * (product - mean * wanted) + C2) / (variances + C2)


def local_discriminative(output: Tensor, target: Tensor) -> Tensor:
    """L1, weighted by how much the residual varies around each pixel and in the whole image (Liang et al., "Details or
    Artifacts: A Locally Discriminative Learning Approach to Realistic Image Super-Resolution", CVPR 2022).

    As trainers have it today: without the paper's second net, a running mean of the first, which switches the weight
    off where the first is the better one.
    """
    residual = (output - target).abs().sum(1, keepdim=True)
    windows = F.pad(residual, [LOCAL // 2] * 4, mode="reflect")
    mean, square = (F.avg_pool2d(moment, LOCAL, 1) for moment in (windows, windows.square()))
    local = (square - mean.square()) * (LOCAL**2 / (LOCAL**2 - 1))
    weight = residual.var((1, 2, 3), keepdim=True).clamp_min(SMALL**2) ** (1 / 5) * local
    return (weight * (output - target)).abs().mean()


def wavelet(output: Tensor, target: Tensor) -> Tensor:
    """L1 of the four bands of one level of a stationary wavelet transform, Symlets and periodic borders (Korkmaz &
    Tekalp, "Training Transformer Models by Wavelet Losses Improves Quantitative and Visual Performance in Single Image
    Super-Resolution", CVPR workshops 2024); all bands weigh the same, and the low-pass filter sums to 1."""
    low = torch.tensor(SYMLET)
    high = low.flip(0) * torch.tensor([1.0, -1.0]).repeat(len(SYMLET) // 2)
    images = F.pad(output - target, [len(SYMLET) // 2, (len(SYMLET) - 1) // 2] * 2, mode="circular")
    low = low / low.sum()
    return sum(
        (separable(images, *lines).abs().mean() for lines in itertools.product((low, high), repeat=2)),
        output.new_zeros(()),
    )


def sobel(images: Tensor) -> tuple[Tensor, Tensor]:
    """The vertical and the horizontal gradient, in data ranges per two pixels; beyond the border is 0."""
    images = F.pad(images, [1] * 4)
    slope, smooth = torch.tensor(SOBEL_SLOPE), torch.tensor(SOBEL_SMOOTH)
    return separable(images, slope, smooth), separable(images, smooth, slope)


def blurred(images: Tensor, line: Tensor, pad: bool = True) -> Tensor:
    """Each channel, by a separable kernel; the border is repeated, or left out."""
    images = F.pad(images, [len(line) // 2] * 4, mode="replicate") if pad else images
    return separable(images, line, line)


def separable(images: Tensor, down: Tensor, across: Tensor) -> Tensor:
    """Each channel, correlated with one line along the columns and another along the rows, where these fit in."""
    channels = images.shape[1]
    for line, shape in ((down, (1, 1, -1, 1)), (across, (1, 1, 1, -1))):
        images = F.conv2d(images, line.view(shape).expand(channels, *[-1] * 3), groups=channels)
    return images
