"""Upsamplers that start without a lattice, and the blocks and networks that are made of them.

`MODES` has the upsamplers by the names that the blocks, `fix_site` and `artifactlab fix --with` take. "deconv",
"bilinear", "interpolate_conv", "subpixel" and "gated" are for signals and volumes, too, by `spatial_dims`, and take a
scale per axis; the others, blocks and U-Nets are for images.
"""

from __future__ import annotations

from artifactlab.fix.upsample.bilinear import BilinearUpsample
from artifactlab.fix.upsample.block import MODES, LearnableInterpolationUpsample
from artifactlab.fix.upsample.carafe import CarafeUpsample
from artifactlab.fix.upsample.conv_only import ConvOnlyUpsample
from artifactlab.fix.upsample.deconv import TransposedConvUpsample
from artifactlab.fix.upsample.dysample import DySampleUpsample
from artifactlab.fix.upsample.fusion import Fusion
from artifactlab.fix.upsample.gated import GatedUpsample
from artifactlab.fix.upsample.hybrid import HybridUpsample
from artifactlab.fix.upsample.meta import MetaUpsample
from artifactlab.fix.upsample.pixel_shuffle_block import PixelShuffleUpBlock
from artifactlab.fix.upsample.refine import FiLM, ResSkipBlock, SkipAttention, make_activation, make_norm
from artifactlab.fix.upsample.resize import ResizeConvUpsample
from artifactlab.fix.upsample.subpixel import SubpixelUpsample, icnr_
from artifactlab.fix.upsample.unet import UNetGenerator, UnetSkipConnectionBlock

__all__ = [
    "MODES",
    "BilinearUpsample",
    "CarafeUpsample",
    "ConvOnlyUpsample",
    "DySampleUpsample",
    "FiLM",
    "Fusion",
    "GatedUpsample",
    "HybridUpsample",
    "LearnableInterpolationUpsample",
    "MetaUpsample",
    "PixelShuffleUpBlock",
    "ResSkipBlock",
    "ResizeConvUpsample",
    "SkipAttention",
    "SubpixelUpsample",
    "TransposedConvUpsample",
    "UNetGenerator",
    "UnetSkipConnectionBlock",
    "icnr_",
    "make_activation",
    "make_norm",
]
