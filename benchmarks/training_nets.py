"""The nets that `training.py` trains: as they are in use, but small."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from artifactlab.fix.upsample import LearnableInterpolationUpsample, UNetGenerator

SLOPE = 0.1
"""of leaky rectifiers below 0"""


def rectified(*layers: nn.Module) -> nn.Sequential:
    """Each layer with a leaky rectifier behind it."""
    return nn.Sequential(*(part for layer in layers for part in (layer, nn.LeakyReLU(SLOPE))))


def conv(given: int, wanted: int, stride: int = 1) -> nn.Conv2d:
    """A convolution of 3x3."""
    return nn.Conv2d(given, wanted, 3, stride, 1)


def deconv(given: int, wanted: int, kernel: int) -> nn.ConvTranspose2d:
    """A deconvolution by 2; a kernel of 3 overlaps unevenly, one of 2 not at all."""
    odd = kernel % 2
    return nn.ConvTranspose2d(given, wanted, kernel, 2, padding=odd, output_padding=odd)


class Enlarger(nn.Module):
    """Features at the input's size, then deconvolutions by 2.

    Anchored, it finds what to add to the replicated input, as nets for telephones do (Du et al., "Anchor-based Plain
    Net for Mobile Image Super-Resolution", CVPR workshops 2021).
    """

    def __init__(self, stages: int, kernel: int = 2, anchored: bool = False, width: int = 16, depth: int = 3) -> None:
        super().__init__()
        self.anchored = anchored
        self.first = conv(1, width)
        self.body = rectified(*(conv(width, width) for _ in range(depth)))
        self.ups = nn.ModuleList(deconv(width, width, kernel) for _ in range(stages))
        self.head = conv(width, 1)

    def forward(self, x: Tensor) -> Tensor:
        features = self.first(x)
        features = features + self.body(features)
        for up in self.ups:
            features = F.leaky_relu(up(features), SLOPE)
        found = self.head(features)
        return found + F.interpolate(x, found.shape[2:]) if self.anchored else found


class Restorer(nn.Module):
    """A U-Net whose encoder halves the image at once, as those of classifiers do, so that its last up-convolution
    (kernel 2, stride 2, as in the paper) has no skip beside it."""

    def __init__(self, width: int = 12) -> None:
        super().__init__()
        self.enc1 = rectified(conv(1, width, 2), conv(width, width))
        self.enc2 = rectified(conv(width, 2 * width, 2), conv(2 * width, 2 * width))
        self.up2 = deconv(2 * width, width, 2)
        self.dec2 = rectified(conv(2 * width, width))
        self.up1 = deconv(width, width, 2)
        self.dec1 = rectified(conv(width, width))
        self.head = conv(width, 1)

    def forward(self, x: Tensor) -> Tensor:
        fine = self.enc1(x)
        joined = torch.cat((fine, self.up2(self.enc2(fine))), 1)
        return self.head(self.dec1(self.up1(self.dec2(joined))))


class Autoencoder(nn.Module):
    """A variational autoencoder: 4 numbers for 4x4 pixels, deconvolutions (kernel 2, stride 2) in its decoder.

    In training it samples, and `divergence` is that of the last pass from a normal distribution, in nats per number.
    """

    divergence: Tensor

    def __init__(self, width: int = 12, latents: int = 4) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            rectified(conv(1, width, 2), conv(width, 2 * width, 2), conv(2 * width, 2 * width)),
            nn.Conv2d(2 * width, 2 * latents, 1),
        )
        self.decoder = nn.Sequential(
            rectified(conv(latents, 2 * width), conv(2 * width, 2 * width)),
            rectified(deconv(2 * width, width, 2)),
            rectified(deconv(width, width, 2)),
            conv(width, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        mean, logarithm = self.encoder(x).chunk(2, 1)
        if not self.training:
            return self.decoder(mean)
        logarithm = logarithm.clamp(-20, 10)
        self.divergence = 0.5 * (mean.square() + logarithm.exp() - 1 - logarithm).mean()
        return self.decoder(mean + (0.5 * logarithm).exp() * torch.randn_like(mean))


class Styled(nn.Module):
    """pix2pix's U-Net with the U-Net's up-convolutions (kernel 2, stride 2); without skips, as glyphs of another font
    cannot be traced."""

    def __init__(self) -> None:
        super().__init__()
        self.net = UNetGenerator(1, 1, num_downs=4, ngf=8, fusion="none")
        for module in list(self.net.modules()):
            if isinstance(module, LearnableInterpolationUpsample):
                old = module.up.conv
                module.up = nn.ConvTranspose2d(old.in_channels, old.out_channels, 2, 2)

    def forward(self, x: Tensor) -> Tensor:
        return (self.net(2 * x - 1) + 1) / 2


class Discriminator(nn.Module):
    """Of patches: one judgement for 4x4 pixels, each of 22x22."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        layers = (nn.Conv2d(1, width, 4, 2, 1), nn.Conv2d(width, 2 * width, 4, 2, 1), conv(2 * width, 2 * width))
        self.net = nn.Sequential(rectified(*layers), conv(2 * width, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)
