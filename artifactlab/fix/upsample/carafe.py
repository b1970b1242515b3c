"""Interpolation whose kernels the content chooses."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from artifactlab.fix.upsample.checks import images_only, integer_scale, odd

WIDTH = 0.6
"""The standard deviation of the kernels at first, in source pixels: ramps stay straight within half a percent."""


class CarafeUpsample(nn.Module):
    """Content-aware reassembly of features (Wang et al., CARAFE, ICCV 2019), and a 3x3 convolution.

    `encoder` predicts, for every output pixel, a softmax over the kernel_size x kernel_size source pixels around its
    own, and all channels are averaged with it. That keeps constants constant, whatever the weights. At first the
    encoder ignores the content and the kernels are Gaussians about the output pixel's centre, a smooth interpolation;
    its last weights are zero, so `encoder[0]` gets a gradient from the second step on.

    The average runs tap by tap at the input's size, one value per phase: beyond the kernels, memory is a few times the
    output, in training, too.

    Args:
        in_channels, out_channels: of the features before and after.
        scale: integer of 2 or more.
        kernel_size: odd, of the average.
        encoder_kernel: odd, of the convolution that predicts it.
        compressed: channels that the encoder sees.

    `forward(x)`: (N, in, H, W) to (N, out, scale * H, scale * W).

    Raises:
        InputError: for an even kernel, or another scale.

    >>> up = CarafeUpsample(8, 4, scale=2)
    >>> flat = up(torch.ones(1, 8, 5, 6))
    >>> tuple(flat.shape), bool((flat - flat[..., :1, :1]).abs().max() < 1e-5)
    ((1, 4, 10, 12), True)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        scale: int = 2,
        kernel_size: int = 5,
        encoder_kernel: int = 3,
        compressed: int = 64,
    ) -> None:
        super().__init__()
        self.scale, self.kernel_size = integer_scale(scale), odd("kernel_size", kernel_size)
        half = odd("encoder_kernel", encoder_kernel) // 2
        predict = nn.Conv2d(
            compressed, (kernel_size * scale) ** 2, encoder_kernel, padding=half, padding_mode="replicate"
        )
        self.encoder = nn.Sequential(nn.Conv2d(in_channels, compressed, 1), predict)
        nn.init.zeros_(predict.weight)
        assert predict.bias is not None
        with torch.no_grad():
            predict.bias.copy_(_gaussian_logits(scale, kernel_size).flatten())
        self.conv = nn.Conv2d(in_channels, out_channels, 3, padding=1, padding_mode="replicate")

    def forward(self, x: Tensor) -> Tensor:
        images_only("carafe", x)
        return self.conv(self.reassembled(x))

    def reassembled(self, x: Tensor) -> Tensor:
        """`x` (N, in, H, W) at the output's size, as the convolution gets it."""
        n, c, h, w = x.shape
        k, half = self.kernel_size, self.kernel_size // 2
        # channels are (tap, phase): what a pixel shuffle would spread over the output, left at the input's size
        dtype = torch.promote_types(x.dtype, torch.float32)  # sums of 25 taps lose too much in half precision
        weights = self.encoder(x).view(n, k * k, self.scale**2, h, w).to(dtype).softmax(1)
        padded = F.pad(x.to(dtype), (half,) * 4, mode="replicate")
        total = padded.new_zeros(n, c, self.scale**2, h, w)
        for tap in range(k * k):
            row, column = divmod(tap, k)
            # both factors are views, so that autograd keeps nothing of the output's size for a tap
            shifted = padded[:, :, None, row : row + h, column : column + w]
            total = torch.addcmul(total, shifted, weights[:, None, tap])
        return F.pixel_shuffle(total.flatten(1, 2), self.scale).to(x.dtype)


def _gaussian_logits(scale: int, size: int) -> Tensor:
    """(size * size taps, scale * scale phases): log of a Gaussian about each phase's centre."""
    centre = (torch.arange(scale) + 0.5) / scale - 0.5
    along = -0.5 * ((torch.arange(size)[:, None] - size // 2 - centre) / WIDTH) ** 2
    return (along[:, None, :, None] + along[None, :, None, :]).flatten(2).flatten(0, 1)
