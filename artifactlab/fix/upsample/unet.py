"""pix2pix's U-Net, with any of the upsamplers in its decoder."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from artifactlab.errors import InputError
from artifactlab.fix.upsample.block import LearnableInterpolationUpsample
from artifactlab.fix.upsample.checks import features
from artifactlab.fix.upsample.refine import make_norm
from artifactlab.fix.upsample.spaces import extended

WIDEST = 8
"""The most channels of a level, in units of ngf, as in pix2pix."""
DROPOUT_FROM = 4
"""The first level whose decoder drops out, where that is asked for, as in pix2pix; the innermost never does."""


THEIRS = re.compile(r"(module\.)?model\.model\.\d")
"""How names of weights start in pix2pix's repository, whose levels are lists."""


class UnetSkipConnectionBlock(nn.Module):
    """A level of the U-Net with all levels inside it: halve, go deeper, upsample and fuse with what came in.

    The outermost has no skip (mode "gated" becomes the "interpolate_conv" it is made of) and ends with tanh. The
    innermost has no norm before its upsampler, as there may be one pixel left. The decoder is ReLU ->
    `LearnableInterpolationUpsample` (fusion, norm, FiLM by `cond`) -> dropout; pix2pix's would normalise before it
    concatenates.

    Args:
        outer_nc, inner_nc: channels outside and inside of it.
        input_nc: channels that come in, where they are not `outer_nc`.
        submodule: the next level; None for the innermost.
        outermost: whether this is the first level.
        use_dropout: whether to drop out half of the channels' values at its end.
        norm, mode, fusion, res_skip, attention, film_dim: see `LearnableInterpolationUpsample`.

    `forward(x, cond=None)`: (N, outer_nc, H, W), H and W even, to the same shape; the outermost takes
    (N, input_nc, H, W).

    Raises:
        InputError: what `LearnableInterpolationUpsample` refuses.

    >>> import torch
    >>> inner = UnetSkipConnectionBlock(4, 8)
    >>> tuple(UnetSkipConnectionBlock(3, 4, input_nc=1, submodule=inner, outermost=True)(torch.rand(1, 1, 8, 8)).shape)
    (1, 3, 8, 8)
    """

    def __init__(
        self,
        outer_nc: int,
        inner_nc: int,
        *,
        input_nc: int | None = None,
        submodule: UnetSkipConnectionBlock | None = None,
        outermost: bool = False,
        norm: str | None = "batch",
        use_dropout: bool = False,
        mode: str = "deconv",
        fusion: str = "concat",
        res_skip: bool = False,
        attention: bool = False,
        film_dim: int | None = None,
    ) -> None:
        super().__init__()
        halve = nn.Conv2d(input_nc or outer_nc, inner_nc, 4, 2, 1, bias=norm != "batch", padding_mode="replicate")
        before = nn.Identity() if outermost else nn.LeakyReLU(0.2)
        after = nn.Identity() if outermost or submodule is None else make_norm(norm, inner_nc)
        self.down = nn.Sequential(before, halve, after)
        self.submodule = submodule
        self.relu = nn.ReLU()
        self.up = LearnableInterpolationUpsample(
            inner_nc,
            outer_nc,
            0 if outermost else outer_nc,
            "interpolate_conv" if outermost and mode == "gated" else mode,
            fusion,
            res_skip=res_skip and not outermost,
            norm=None if outermost else norm,
            activation="tanh" if outermost else None,
            film_dim=film_dim,
            attention=attention and not outermost,
        )
        self.outermost = outermost
        self.dropout = nn.Dropout(0.5) if use_dropout else nn.Identity()

    def forward(self, x: Tensor, cond: Tensor | None = None) -> Tensor:
        inside = self.down(x)
        if self.submodule is not None:
            inside = self.submodule(inside, cond)
        return self.dropout(self.up(self.relu(inside), None if self.outermost else x, cond))


class UNetGenerator(nn.Module):
    """The generator of pix2pix (Isola et al., "Image-to-Image Translation with Conditional Adversarial Networks", CVPR
    2017), whose decoder upsamples by any mode.

    Args:
        input_nc, output_nc: channels of the images.
        num_downs: halvings, 2 or more; 256x256 images become one pixel after 8.
        ngf: channels of the outermost level; they double per level up to 8 * ngf.
        norm, mode, fusion, res_skip, attention, film_dim: see `LearnableInterpolationUpsample`; of every level but
            for the outermost, which has an upsampler, FiLM and tanh only.
        use_dropout: in the levels of full width but for the innermost.

    `forward(x, cond=None)`: (N, input_nc, H, W) to (N, output_nc, H, W) in [-1, 1]. Sizes that are no multiples of
    2**num_downs are padded with their last row and column, and the result is cropped.

    Weights of pix2pix itself do not fit: its decoder normalises before it concatenates, and has no convolution behind
    that. To give such a net another upsampler, keep it, and see `artifactlab.fix.replace_upsampler`.

    Raises:
        InputError: for other channels, fewer than 2 halvings, weights of pix2pix, and what the levels refuse.

    >>> import torch
    >>> net = UNetGenerator(num_downs=3, ngf=4, mode="interpolate_conv")
    >>> tuple(net(torch.rand(2, 3, 16, 24)).shape)
    (2, 3, 16, 24)
    """

    def __init__(
        self,
        input_nc: int = 3,
        output_nc: int = 3,
        num_downs: int = 8,
        ngf: int = 64,
        norm: str | None = "batch",
        use_dropout: bool = False,
        mode: str = "deconv",
        fusion: str = "concat",
        *,
        res_skip: bool = False,
        attention: bool = False,
        film_dim: int | None = None,
    ) -> None:
        super().__init__()
        if num_downs < 2:
            raise InputError(f"num_downs is {num_downs}; expected 2 or more")
        self.input_nc, self.multiple = input_nc, 2**num_downs
        widths = [output_nc, *(ngf * min(2**level, WIDEST) for level in range(num_downs))]
        block: UnetSkipConnectionBlock | None = None
        for level in reversed(range(num_downs)):
            block = UnetSkipConnectionBlock(
                widths[level],
                widths[level + 1],
                input_nc=input_nc if level == 0 else None,
                submodule=block,
                outermost=level == 0,
                norm=norm,
                use_dropout=use_dropout and DROPOUT_FROM <= level < num_downs - 1,
                mode=mode,
                fusion=fusion,
                res_skip=res_skip,
                attention=attention,
                film_dim=film_dim,
            )
        self.model = block

    def forward(self, x: Tensor, cond: Tensor | None = None) -> Tensor:
        features("x", x, self.input_nc)
        height, width = x.shape[-2:]
        missing = [-size % self.multiple for size in (height, width)]
        assert self.model is not None
        if not any(missing):
            return self.model(x, cond)
        return self.model(extended(x, (0, 0), missing), cond)[..., :height, :width]

    def load_state_dict(self, state_dict: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
        """As every module's; weights of pix2pix are told apart from damaged ones."""
        if any(THEIRS.match(name) for name in state_dict):
            raise InputError(
                "these are weights of pix2pix's own U-Net, whose decoder has other layers than this one; keep that net,"
                " and swap its upsamplers with artifactlab.fix.replace_upsampler, or `artifactlab fix`"
            )
        return super().load_state_dict(state_dict, *args, **kwargs)
