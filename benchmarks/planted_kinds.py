"""More decoders of the planted suite, each of a kind of its own: colour, attention in windows, a generator, a net of
many sites, and decoders of latents and of tokens.

Like the others their upsamplers are all of `Upsampler`. What goes in is no image everywhere, so each says by `given`
what it takes for images, (N, C, H, W) in [0, 1].
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
import torch.nn.functional as F
from planted_nets import Block, UNet, Upsampler
from torch import Tensor, nn

WINDOW, HEADS = 8, 4
LATENT = 4
"""channels of a latent"""
PATCH = 8
"""side of the patches that tokens are made of, and of the area that a latent's sample is made of"""
GRID = 16
"""tokens a side, as their positions are learned; of images of 128 pixels"""
CODES, CODE = 24, 32
"""what a generator was fitted to: so many images, each by a code of so many numbers"""
START = 8
"""side of a generator's first map"""
LEVELS, STAGES = 3, 20
"""of the net with many sites"""


class Colour(UNet):
    """A U-Net from color to color."""

    def __init__(self, widths: tuple[int, ...], styles: tuple[str, ...], slope: float) -> None:
        super().__init__(widths, styles, slope, channels=3)

    def given(self, images: Tensor) -> Tensor:
        """The images themselves."""
        return images


class WindowAttention(nn.Module):
    """Attention inside of square windows, which lie half a window further where shifted, and two layers for each pixel.

    Maps are (N, H, W, C), and windows are cut out and put back by reshapes, as in Swin (Liu et al. 2021).
    """

    def __init__(self, channels: int, shift: int) -> None:
        super().__init__()
        self.shift = shift
        self.norms = nn.ModuleList(nn.LayerNorm(channels) for _ in range(2))
        self.qkv = nn.Linear(channels, 3 * channels)
        self.out = nn.Linear(channels, channels)
        self.each = nn.Sequential(nn.Linear(channels, 2 * channels), nn.GELU(), nn.Linear(2 * channels, channels))
        self.bias = nn.Parameter(torch.zeros(HEADS, 2 * WINDOW - 1, 2 * WINDOW - 1))
        """for each offset between two places of a window"""
        place = torch.arange(WINDOW)
        offset = (place[:, None] - place + WINDOW - 1).repeat_interleave(WINDOW, 0).repeat_interleave(WINDOW, 1)
        self.register_buffer("down", offset, persistent=False)
        self.register_buffer("right", (place[:, None] - place + WINDOW - 1).repeat(WINDOW, WINDOW), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        n, h, w, c = x.shape
        y = self.norms[0](x).roll((-self.shift, -self.shift), (1, 2))
        y = y.view(n, h // WINDOW, WINDOW, w // WINDOW, WINDOW, c).permute(0, 1, 3, 2, 4, 5)
        q, k, v = self.qkv(y.reshape(-1, WINDOW**2, c)).view(-1, WINDOW**2, 3, HEADS, c // HEADS).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v, self.bias[:, self.down, self.right])
        y = self.out(y.transpose(1, 2).reshape(-1, WINDOW**2, c))
        y = y.view(n, h // WINDOW, w // WINDOW, WINDOW, WINDOW, c).permute(0, 1, 3, 2, 4, 5).reshape(n, h, w, c)
        x = x + y.roll((self.shift, self.shift), (1, 2))
        return x + self.each(self.norms[1](x))


class Windows(nn.Module):
    """Super-resolution by 4 like SwinIR (Liang et al. 2021): pads to whole windows, attends, enlarges, crops.

    An image is read off at half of the output's size, too, enlarged and joined.
    """

    def __init__(self, widths: tuple[int, int, int], styles: tuple[str, ...], slope: float) -> None:
        super().__init__()
        full, half, deep = widths
        self.stem = nn.Conv2d(1, deep, 3, padding=1, padding_mode="replicate")
        self.attention = nn.Sequential(*(WindowAttention(deep, shift) for shift in (0, WINDOW // 2, 0, WINDOW // 2)))
        self.after = nn.Conv2d(deep, deep, 3, padding=1, padding_mode="replicate")
        self.ups = nn.ModuleList(Upsampler(style, c) for style, c in zip(styles, (deep, half, 4), strict=True))
        self.blocks = nn.ModuleList((Block(deep, half, slope), Block(half, full, slope)))
        self.read = nn.Conv2d(half, 4, 1)
        self.head = nn.Conv2d(full + 4, 1, 3, padding=1, padding_mode="replicate")
        self.order = (0, 1, 2)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        x = self.stem(F.pad(x, (0, -width % WINDOW, 0, -height % WINDOW), mode="reflect"))
        x = x + self.after(self.attention(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2))
        half = self.blocks[0](self.ups[0](x))
        full = self.blocks[1](self.ups[1](half))
        image = self.head(torch.cat([full, self.ups[2](self.read(half))], 1))
        return image[..., : 4 * height, : 4 * width]

    def given(self, images: Tensor) -> Tensor:
        """The images at a quarter of the size; without aliasing, which would come out as steps that no site draws."""
        return F.interpolate(images, scale_factor=0.25, mode="bilinear", antialias=True)

    def reader(self, site: int) -> nn.Conv2d | None:
        """The convolution that reads a site's output, in these channels first."""
        return (self.blocks[0][0], self.blocks[1][0], None)[site]


class Deep(nn.Module):
    """One site after another, from a small map to an image."""

    def __init__(self, widths: tuple[int, ...], styles: tuple[str, ...], slope: float) -> None:
        super().__init__()
        levels = list(pairwise(widths))[::-1]
        self.ups = nn.ModuleList(Upsampler(style, b) for style, (_, b) in zip(styles, levels, strict=True))
        self.blocks = nn.ModuleList(Block(b, a, slope) for a, b in levels)
        self.head = nn.Conv2d(widths[0], 1, 3, padding=1, padding_mode="replicate")
        self.order = tuple(range(len(styles)))

    def grown(self, x: Tensor) -> Tensor:
        """The image that a map becomes."""
        for up, block in zip(self.ups, self.blocks, strict=True):
            x = block(up(x))
        return self.head(x)

    def reader(self, site: int) -> nn.Conv2d | None:
        return self.blocks[site][0]


class Generator(Deep):
    """An image from a code z, (N, CODE), as in GANs.

    Its weights are fitted together with the codes of some images (GLO, Bojanowski et al. 2018), which needs no
    adversary. What it is given are mixtures of these codes.
    """

    def __init__(self, widths: tuple[int, ...], styles: tuple[str, ...], slope: float) -> None:
        super().__init__(widths, styles, slope)
        self.first = nn.Linear(CODE, widths[-1] * START**2)
        self.codes = nn.Parameter(torch.randn(CODES, CODE))

    def forward(self, z: Tensor) -> Tensor:
        return self.grown(F.leaky_relu(self.first(z)).view(len(z), -1, START, START))

    def given(self, mixtures: Tensor) -> Tensor:
        """The codes (N, CODE) of mixtures (N, CODES) of what it was fitted to."""
        return mixtures @ self.codes


class Latents(Deep):
    """The decoder of an autoencoder, which takes latents (N, LATENT, H / 8, W / 8); with group norms, as VAEs have."""

    def __init__(self, widths: tuple[int, ...], styles: tuple[str, ...], slope: float) -> None:
        super().__init__(widths, styles, slope)
        levels = list(pairwise(widths))
        deep = widths[-1]
        self.encoder = nn.Sequential(
            Block(1, widths[0], slope),
            *(Block(a, b, slope, stride=2) for a, b in levels),
            nn.Conv2d(deep, LATENT, 3, padding=1, padding_mode="replicate"),
        )
        self.first = nn.Conv2d(LATENT, deep, 3, padding=1, padding_mode="replicate")
        self.middle = nn.Sequential(nn.GroupNorm(4, deep), nn.SiLU(), Block(deep, deep, slope))

    def forward(self, latents: Tensor) -> Tensor:
        x = self.first(latents)
        return self.grown(x + self.middle(x))

    def given(self, images: Tensor) -> Tensor:
        """The images' latents."""
        return self.encoder(images)


class Tokens(Deep):
    """A decoder of tokens (N, L, C), one per patch: attends, makes a map of them, and enlarges it, as SETR does."""

    def __init__(self, widths: tuple[int, ...], styles: tuple[str, ...], slope: float) -> None:
        super().__init__(widths, styles, slope)
        deep = widths[-1]
        self.patches = nn.Conv2d(1, deep, PATCH, PATCH)
        self.positions = nn.Parameter(torch.randn(1, GRID**2, deep) / 10)
        self.attention = nn.TransformerEncoderLayer(
            deep, HEADS, 2 * deep, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.attention(tokens + self.positions)
        return self.grown(x.transpose(1, 2).reshape(len(x), -1, GRID, GRID))

    def given(self, images: Tensor) -> Tensor:
        """The images' tokens."""
        return self.patches(images).flatten(2).transpose(1, 2)


class Exchange(nn.Module):
    """Many sites: maps of three sizes go along side by side, and again and again each smaller one is enlarged and added
    to the next, as in HRNet (Wang et al. 2019)."""

    def __init__(self, width: int, styles: tuple[str, ...], slope: float) -> None:
        super().__init__()
        self.stem = nn.Sequential(Block(1, width, slope), Block(width, width, slope, stride=2))
        steps = range(LEVELS - 1)
        self.downs = nn.ModuleList(Block(width, width, slope, stride=2) for _ in range(STAGES) for _ in steps)
        self.blocks = nn.ModuleList(Block(width, width, slope) for _ in range(STAGES) for _ in steps)
        count = STAGES * len(steps)
        self.ups = nn.ModuleList(Upsampler(styles[k % len(styles)], width) for k in range(count + 1))
        self.head = nn.Sequential(Block(width, width, slope), nn.Conv2d(width, 1, 1))
        self.order = tuple(range(len(self.ups)))

    def forward(self, x: Tensor) -> Tensor:
        maps = [self.stem(x)]
        site = 0
        for _ in range(STAGES):
            for k in range(LEVELS - 1):  # what was there, and what the larger map has learned since
                down = self.downs[site + k](maps[k])
                maps[k + 1 : k + 2] = [maps[k + 1] + down if k + 1 < len(maps) else down]
            for k in reversed(range(LEVELS - 1)):
                maps[k] = maps[k] + self.blocks[site](maps[k] + self.ups[site](maps[k + 1]))
                site += 1
        return self.head(self.ups[site](maps[0]))

    def given(self, images: Tensor) -> Tensor:
        """The images themselves."""
        return images

    def reader(self, site: int) -> nn.Conv2d | None:
        """None: a site's output is added to another map before it is read."""
        return None


KINDS: dict[str, dict[str, Callable[[], nn.Module]]] = {
    "development": {
        "colour": lambda: Colour((12, 20, 28, 32), ("transposed", "bilinear", "shuffle"), 0.1),
        "windows": lambda: Windows((12, 16, 24), ("bilinear", "bilinear", "bilinear"), 0.1),
        "generator": lambda: Generator((12, 16, 20, 24, 32), ("nearest", "transposed", "shuffle", "bilinear"), 0.1),
        "many": lambda: Exchange(8, ("bilinear", "shuffle", "nearest", "transposed"), 0.1),
        "latents": lambda: Latents((12, 20, 28, 32), ("nearest", "shuffle", "bilinear"), 0.1),
        "tokens": lambda: Tokens((12, 20, 28, 32), ("transposed", "nearest", "shuffle"), 0.1),
    },
    "test": {
        "colour": lambda: Colour((14, 18, 24, 36), ("shuffle", "nearest", "bilinear"), 0.2),
        "windows": lambda: Windows((14, 18, 20), ("bilinear", "bilinear", "bilinear"), 0.2),
        "generator": lambda: Generator((14, 18, 20, 22, 28), ("shuffle", "nearest", "transposed", "bilinear"), 0.2),
        "many": lambda: Exchange(6, ("transposed", "expand", "bilinear", "shuffle", "reshape"), 0.2),
        "latents": lambda: Latents((14, 18, 24, 36), ("transposed", "bilinear", "shuffle"), 0.2),
        "tokens": lambda: Tokens((14, 18, 24, 36), ("bilinear", "shuffle", "nearest"), 0.2),
    },
}
"""split -> name -> the network, untrained"""
