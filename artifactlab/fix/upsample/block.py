"""One decoder level: upsample, fuse with the skip, normalise, condition, activate, refine."""

from __future__ import annotations

from torch import Tensor, nn

from artifactlab.errors import InputError
from artifactlab.fix.upsample.bilinear import BilinearUpsample
from artifactlab.fix.upsample.carafe import CarafeUpsample
from artifactlab.fix.upsample.checks import features, one_of
from artifactlab.fix.upsample.conv_only import ConvOnlyUpsample
from artifactlab.fix.upsample.deconv import TransposedConvUpsample
from artifactlab.fix.upsample.dysample import DySampleUpsample
from artifactlab.fix.upsample.fusion import FUSIONS, Fusion, ended_as, refuse_apart
from artifactlab.fix.upsample.gated import GatedUpsample
from artifactlab.fix.upsample.hybrid import HybridUpsample
from artifactlab.fix.upsample.meta import MetaUpsample
from artifactlab.fix.upsample.refine import FiLM, ResSkipBlock, SkipAttention, make_activation, make_norm
from artifactlab.fix.upsample.resize import ResizeConvUpsample
from artifactlab.fix.upsample.subpixel import SubpixelUpsample
from artifactlab.registry import Registry

MODES: Registry[type[nn.Module]] = Registry("artifactlab.upsamplers", type)
"""Classes of upsamplers by their names, those of installed packages included. Each is made from (in_channels,
out_channels, *, scale); all but "gated", which also takes a skip, are called with the features alone."""
MODES.register("deconv", TransposedConvUpsample)
MODES.register("bilinear", BilinearUpsample)
MODES.register("interpolate_conv", ResizeConvUpsample)
MODES.register("subpixel", SubpixelUpsample)
MODES.register("conv_only_up", ConvOnlyUpsample)
MODES.register("gated", GatedUpsample)
MODES.register("carafe", CarafeUpsample)
MODES.register("dysample", DySampleUpsample)
MODES.register("meta", MetaUpsample)
MODES.register("hybrid", HybridUpsample)


class LearnableInterpolationUpsample(nn.Module):
    """A decoder level in any of the `MODES`: upsample -> fuse -> norm -> FiLM -> activation -> refine.

    Args:
        in_channels, out_channels: of the features before and after.
        skip_channels: of the skip, which is then required; 0 where there is none.
        mode: a name in `MODES`. "gated" is fused by its own gate, and `fusion` plays no part.
        fusion: how the skip comes in, see `Fusion`. It may be off by a row or column, as that of an odd size is.
        scale: integer of 2 or more; for mode "meta" any number of 1 or more.
        res_skip: end with a `ResSkipBlock`.
        norm, activation: see `make_norm` and `make_activation`.
        film_dim: of the condition (N, film_dim), which is then required.
        attention: weigh the skip by a `SkipAttention` first.

    `forward(x, skip=None, cond=None)`: (N, in, H, W) to (N, out, scale * H, scale * W), or to the size of the skip.

    Raises:
        InputError: for names, channels and sizes that do not fit, and a skip or condition that is declared and not
            given, or given and not declared.

    >>> import torch
    >>> up = LearnableInterpolationUpsample(8, 4, skip_channels=6, mode="carafe", norm="group", res_skip=True)
    >>> tuple(up(torch.rand(1, 8, 5, 6), torch.rand(1, 6, 10, 12)).shape)
    (1, 4, 10, 12)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        skip_channels: int = 0,
        mode: str = "interpolate_conv",
        fusion: str = "concat",
        *,
        scale: float = 2,
        res_skip: bool = False,
        norm: str | None = None,
        activation: str | None = "relu",
        film_dim: int | None = None,
        attention: bool = False,
    ) -> None:
        super().__init__()
        _check_arguments(in_channels, out_channels, skip_channels, mode, fusion, film_dim, attention)
        self.in_channels, self.skip_channels, self.mode = in_channels, skip_channels, mode
        self.attention = SkipAttention(skip_channels, in_channels) if attention else None
        self.up = MODES[mode](in_channels, out_channels, scale=scale)
        gated = mode == "gated"
        self.project = nn.Conv2d(skip_channels, out_channels, 1) if gated and skip_channels != out_channels else None
        self.fusion = Fusion(out_channels, skip_channels, fusion) if skip_channels and not gated else None
        self.norm = make_norm(norm, out_channels)
        self.film = None if film_dim is None else FiLM(film_dim, out_channels)
        self.activation = make_activation(activation)
        self.refine = ResSkipBlock(out_channels, norm=norm) if res_skip else nn.Identity()

    def forward(self, x: Tensor, skip: Tensor | None = None, cond: Tensor | None = None) -> Tensor:
        self._check_inputs(x, skip, cond)
        if skip is not None and self.attention is not None:
            skip = self.attention(skip, x)
        x = self._upsampled(x, skip)
        if skip is not None:  # the size that came in is to come out, also of an odd one
            refuse_apart(skip, x)
            x = ended_as(x, skip)
        if skip is not None and self.fusion is not None:
            x = self.fusion(x, skip)
        x = self.norm(x)
        if cond is not None and self.film is not None:
            x = self.film(x, cond)
        return self.refine(self.activation(x))

    def _upsampled(self, x: Tensor, skip: Tensor | None) -> Tensor:
        if self.mode != "gated":
            return self.up(x)
        return self.up(x, skip if self.project is None else self.project(skip))

    def _check_inputs(self, x: Tensor, skip: Tensor | None, cond: Tensor | None) -> None:
        features("x", x, self.in_channels)
        if skip is not None and not self.skip_channels:
            raise InputError("a skip was given, and skip_channels is 0; declare its channels, or leave it out")
        if skip is None and self.skip_channels:
            raise InputError(f"no skip was given; expected one of {self.skip_channels} channels, or skip_channels=0")
        if skip is not None:
            features("skip", skip, self.skip_channels)
        if cond is not None and self.film is None:
            raise InputError("a cond was given, and film_dim is None; declare its size, or leave it out")
        if cond is None and self.film is not None:
            raise InputError(f"no cond was given; expected one of (N, {self.film.film_dim}), or film_dim=None")


def _check_arguments(
    in_channels: int,
    out_channels: int,
    skip_channels: int,
    mode: str,
    fusion: str,
    film_dim: int | None,
    attention: bool,
) -> None:
    one_of("mode", mode, MODES)
    one_of("fusion", fusion, FUSIONS)
    if min(in_channels, out_channels) < 1 or skip_channels < 0 or (film_dim is not None and film_dim < 1):
        raise InputError(
            f"in_channels={in_channels}, out_channels={out_channels}, skip_channels={skip_channels},"
            f" film_dim={film_dim}; expected channels of 1 or more, and of 0 or None for no skip and no condition"
        )
    if mode == "gated" and not skip_channels:
        raise InputError("mode 'gated' blends with a skip, and skip_channels is 0; give its channels, or another mode")
    if attention and (not skip_channels or (fusion == "none" and mode != "gated")):
        raise InputError(
            f"attention weighs a skip, and none is used: skip_channels={skip_channels}, fusion={fusion!r};"
            " declare a skip and fuse it, or set attention=False"
        )
