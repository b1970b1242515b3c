"""Bring the features of a skip and of the decoder together."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from artifactlab.errors import InputError
from artifactlab.fix.upsample.checks import features, one_of
from artifactlab.fix.upsample.spaces import extended

FUSIONS = ("concat", "add", "gated", "none")


def aligned(skip: Tensor, reference: Tensor) -> Tensor:
    """`skip` at the size of `reference`, from which it may differ by one along each axis.

    A strided layer drops the last row of an odd height, so that it is the last one that is cropped, or repeated: what
    remains lies where it lay. InputError: a larger difference, which is a wiring mistake and no rounding.

    >>> tuple(aligned(torch.rand(1, 2, 9, 7), torch.rand(1, 4, 8, 8)).shape)
    (1, 2, 8, 8)
    """
    refuse_apart(skip, reference)
    return ended_as(skip, reference)


def refuse_apart(skip: Tensor, upsampled: Tensor) -> None:
    """Raise an InputError where a skip and the upsampled features differ by more than one along an axis."""
    given, wanted = skip.shape[2:], upsampled.shape[2:]
    if any(abs(want - have) > 1 for have, want in zip(given, wanted, strict=True)):
        sizes = ["x".join(map(str, size)) for size in (given, wanted)]
        raise InputError(
            f"skip is {sizes[0]} where the upsampled features are {sizes[1]}; expected the same size but for one"
            " row and column: check which level the skip comes from, and the scale"
        )


def ended_as(features: Tensor, reference: Tensor) -> Tensor:
    """Features that end where others do: cropped, or with their last row and column repeated.

    >>> ended_as(torch.tensor([[[1.0, 2.0]]]), torch.zeros(1, 1, 3)).tolist()
    [[[1.0, 2.0, 2.0]]]
    """
    wanted = reference.shape[2:]
    missing = [want - have for have, want in zip(features.shape[2:], wanted, strict=True)]
    if any(difference > 0 for difference in missing):
        features = extended(features, [0] * len(missing), [max(difference, 0) for difference in missing])
    for axis, size in enumerate(wanted, 2):
        features = features.narrow(axis, 0, size)
    return features


class Fusion(nn.Module):
    """Bring upsampled features and a skip together.

    A skip of other channels is projected by a 1x1 convolution first, and one that is off by a row or column is
    cropped, or extended by its last one. Then, by mode:

    - "concat": side by side, and a 3x3 convolution back to `channels` (U-Net, Ronneberger et al. 2015).
    - "add": their sum.
    - "gated": gate * x + (1 - gate) * skip, the gate a sigmoid of a 1x1 convolution of both, per pixel and channel.
    - "none": the skip is left out.

    Args:
        channels, skip_channels: of the upsampled features and of the skip.
        mode: one of these four.

    `forward(x, skip)`: (N, channels, H, W) and (N, skip_channels, H, W) to the shape of x.

    Raises:
        InputError: for another mode, wrong channels, or sizes further apart.

    >>> fuse = Fusion(4, 6, "gated")
    >>> tuple(fuse(torch.rand(1, 4, 8, 8), torch.rand(1, 6, 9, 8)).shape)
    (1, 4, 8, 8)
    """

    def __init__(self, channels: int, skip_channels: int, mode: str = "concat") -> None:
        super().__init__()
        one_of("fusion", mode, FUSIONS)
        self.channels, self.skip_channels, self.mode = channels, skip_channels, mode
        other = mode != "none" and skip_channels != channels
        self.project = nn.Conv2d(skip_channels, channels, 1) if other else nn.Identity()
        self.mix: nn.Module = nn.Identity()
        if mode == "concat":
            self.mix = nn.Conv2d(2 * channels, channels, 3, padding=1, padding_mode="replicate")
        elif mode == "gated":
            self.mix = nn.Conv2d(2 * channels, channels, 1)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        features("x", x, self.channels)
        features("skip", skip, self.skip_channels)
        if self.mode == "none":
            return x
        skip = self.project(aligned(skip, x))
        if self.mode == "add":
            return x + skip
        both = self.mix(torch.cat([x, skip], 1))
        return both if self.mode == "concat" else blended(both.sigmoid(), x, skip)


def blended(gate: Tensor, x: Tensor, skip: Tensor) -> Tensor:
    """gate * x + (1 - gate) * skip."""
    return skip + gate * (x - skip)
