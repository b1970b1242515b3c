"""The demo's model: a small U-Net denoiser with three upsampling sites of three kinds.

`healthy` is the network as `benchmarks/train_demo.py` trained it. `broken` is the same network after its second
upsampler was swapped for a cheaper one (kernel 3, stride 2: uneven overlap) and that layer alone was fine-tuned with a
loss at an eighth of the resolution, which cannot see the grid the new layer draws. Both weights are in the package.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

WEIGHTS = Path(__file__).with_name("unet.safetensors")
"""The weights of the healthy net."""
SWAPPED_WEIGHTS = Path(__file__).with_name("swapped_up2.safetensors")
"""The weights of the layer that was swapped in, alone."""
WIDTHS = (16, 24, 40, 56)
"""The channels of the four levels, which keep the weights in the package below one megabyte."""


class ConvBlock(nn.Sequential):
    """Two 3x3 convolutions; reflect padding, so that the border does not draw a lattice of its own."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(
            nn.Conv2d(in_channels, out_channels, 3, padding=1, padding_mode="reflect"),
            nn.LeakyReLU(0.1),
            nn.Conv2d(out_channels, out_channels, 3, padding=1, padding_mode="reflect"),
            nn.LeakyReLU(0.1),
        )


class Decoder(nn.Module):
    """Three ways to double the size: resize and convolve, transposed convolution, pixel shuffle."""

    def __init__(self) -> None:
        super().__init__()
        a, b, c, d = WIDTHS
        self.up1 = nn.Conv2d(d, c, 3, padding=1, padding_mode="reflect")
        self.merge1 = ConvBlock(2 * c, c)
        self.up2 = nn.ConvTranspose2d(c, b, 4, stride=2, padding=1)
        self.merge2 = ConvBlock(b, b)
        self.up3 = nn.Sequential(nn.Conv2d(b, 4 * a, 3, padding=1, padding_mode="reflect"), nn.PixelShuffle(2))
        self.merge3 = ConvBlock(a, a)
        self.head = nn.Conv2d(a, 3, 1)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        x = self.up1(F.interpolate(x, scale_factor=2, mode="nearest"))
        x = self.merge1(torch.cat([x, skip], 1))
        x = self.merge2(self.up2(x))
        return self.head(self.merge3(self.up3(x)))


class DemoUNet(nn.Module):
    """`(N, 3, H, W)` noisy image in [0, 1], H and W multiples of 8, to the clean image of the same shape."""

    def __init__(self) -> None:
        super().__init__()
        a, b, c, d = WIDTHS
        self.enc0 = ConvBlock(3, a)
        self.enc1 = ConvBlock(a, b)
        self.enc2 = ConvBlock(b, c)
        self.enc3 = ConvBlock(c, d)
        self.dec = Decoder()

    def forward(self, x: Tensor) -> Tensor:
        half = self.enc1(F.max_pool2d(self.enc0(x), 2))
        quarter = self.enc2(F.max_pool2d(half, 2))  # the only skip, so that the decoder has to draw the detail
        deepest = self.enc3(F.max_pool2d(quarter, 2))
        return self.dec(deepest, quarter)


def swapped_up2() -> nn.ConvTranspose2d:
    """The cheaper upsampler: nine weights where the stride wants multiples of two, so its phases overlap unevenly."""
    return nn.ConvTranspose2d(WIDTHS[2], WIDTHS[1], 3, stride=2, padding=1, output_padding=1)


def healthy() -> DemoUNet:
    """The U-Net as trained, in eval mode."""
    model = DemoUNet()
    model.load_state_dict(load_file(WEIGHTS))
    return model.eval()


def broken() -> DemoUNet:
    """The U-Net with its second upsampler swapped: `dec.up2` draws a period-4 grid into the output."""
    model = healthy()
    model.dec.up2 = swapped_up2()
    model.dec.up2.load_state_dict(load_file(SWAPPED_WEIGHTS))
    return model.eval()
