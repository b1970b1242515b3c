"""What stands around an upsampler: norms, activations, conditioning, attention on the skip, refinement."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from artifactlab.errors import InputError
from artifactlab.fix.upsample.checks import features, one_of

NORMS = (None, "batch", "instance", "group")
ACTIVATIONS: dict[str | None, type[nn.Module]] = {
    None: nn.Identity,
    "none": nn.Identity,
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
}
GROUPS = (8, 4, 2, 1)
"""The groups of a group norm: the first of these that divides the channels."""


def make_norm(norm: str | None, channels: int) -> nn.Module:
    """A norm by its name; each with a gain and shift per channel.

    Args:
        norm: None, "batch", "instance" or "group", of which there are 8, or fewer where the channels do not divide.
        channels: of the features.

    Raises:
        InputError: for another name.

    >>> make_norm("group", 12).num_groups
    4
    """
    one_of("norm", norm, NORMS)
    if norm == "batch":
        return nn.BatchNorm2d(channels)
    if norm == "instance":
        return nn.InstanceNorm2d(channels, affine=True)
    if norm == "group":
        return nn.GroupNorm(next(groups for groups in GROUPS if channels % groups == 0), channels)
    return nn.Identity()


def make_activation(activation: str | None) -> nn.Module:
    """An activation by its name.

    Args:
        activation: "relu", "leaky_relu", "gelu", "silu", "tanh", or None or "none" for none.

    Raises:
        InputError: for another name.

    >>> make_activation("relu")
    ReLU()
    """
    one_of("activation", activation, ACTIVATIONS)
    return ACTIVATIONS[activation]()


class ResSkipBlock(nn.Module):
    """x + two 3x3 convolutions of x: refines features at their size (residual learning, He et al., CVPR 2016).

    The second convolution starts ten times smaller than usual, so that the block begins close to the identity.

    Args:
        channels: of the features.
        norm, activation: see `make_norm` and `make_activation`; between the two convolutions.

    `forward(x)`: (N, channels, H, W) to the same shape.

    Raises:
        InputError: for another norm or activation.

    >>> x = torch.rand(1, 4, 8, 8)
    >>> tuple(ResSkipBlock(4)(x).shape)
    (1, 4, 8, 8)
    """

    def __init__(self, channels: int, *, norm: str | None = None, activation: str | None = "relu") -> None:
        super().__init__()
        last = nn.Conv2d(channels, channels, 3, padding=1, padding_mode="replicate")
        with torch.no_grad():
            for values in last.parameters():
                values.mul_(0.1)
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, padding_mode="replicate"),
            make_norm(norm, channels),
            make_activation(activation),
            last,
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class FiLM(nn.Module):
    """Feature-wise affine modulation by a condition (Perez et al., AAAI 2018): x * (1 + scale) + shift.

    Scale and shift are linear in the condition, and start at zero: the identity.

    Args:
        film_dim: of the condition.
        channels: of the features.

    `forward(x, cond)`: (N, channels, H, W) and (N, film_dim) to the shape of x.

    Raises:
        InputError: for a cond of another shape.

    >>> x = torch.rand(2, 4, 8, 8)
    >>> torch.equal(FiLM(3, 4)(x, torch.rand(2, 3)), x)
    True
    """

    def __init__(self, film_dim: int, channels: int) -> None:
        super().__init__()
        self.film_dim = film_dim
        self.affine = nn.Linear(film_dim, 2 * channels)
        nn.init.zeros_(self.affine.weight)
        nn.init.zeros_(self.affine.bias)

    def forward(self, x: Tensor, cond: Tensor) -> Tensor:
        if cond.shape != (x.shape[0], self.film_dim):
            raise InputError(f"cond has shape {tuple(cond.shape)}; expected ({x.shape[0]}, {self.film_dim})")
        scale, shift = self.affine(cond)[:, :, None, None].chunk(2, 1)
        return x * (1 + scale) + shift


class SkipAttention(nn.Module):
    """Attention gate on a skip (Oktay et al., "Attention U-Net", 2018): the decoder says where the skip matters.

    skip * sigmoid(psi(relu(of_skip(skip) + of_gate(gate)))), one factor per pixel. `gate` is the coarser decoder
    feature; what is read off it is resized bilinearly to the skip (the paper resizes the factor instead, which blurs
    it).

    Args:
        skip_channels, gate_channels: of the skip and of the decoder feature.
        hidden: channels between; default is half the skip's.

    `forward(skip, gate)`: (N, skip_channels, H, W) and (N, gate_channels, h, w) to the skip's shape.

    Raises:
        InputError: for features of other channels.

    >>> attend = SkipAttention(4, 8)
    >>> tuple(attend(torch.rand(1, 4, 10, 12), torch.rand(1, 8, 5, 6)).shape)
    (1, 4, 10, 12)
    """

    def __init__(self, skip_channels: int, gate_channels: int, *, hidden: int | None = None) -> None:
        super().__init__()
        self.skip_channels, self.gate_channels = skip_channels, gate_channels
        between = max(1, skip_channels // 2) if hidden is None else hidden
        self.of_skip = nn.Conv2d(skip_channels, between, 1, bias=False)
        self.of_gate = nn.Conv2d(gate_channels, between, 1)
        self.psi = nn.Conv2d(between, 1, 1)

    def forward(self, skip: Tensor, gate: Tensor) -> Tensor:
        features("skip", skip, self.skip_channels)
        features("gate", gate, self.gate_channels)
        wanted = F.interpolate(self.of_gate(gate), skip.shape[-2:], mode="bilinear", align_corners=False)
        return skip * self.psi(F.relu(self.of_skip(skip) + wanted)).sigmoid()
