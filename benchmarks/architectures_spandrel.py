"""Restoration and super-resolution: spandrel's architectures."""

from __future__ import annotations

from typing import Any

from architectures_records import Architecture


def _arch(
    path: str, noise: str = "1x3x32x32", label: str = "", truth: int | None = None, why: str = "", **kwargs: Any
) -> Architecture:
    """`SwinIR/SwinIR:SwinIR` is the class of that file of spandrel's folder of architectures."""
    folder, _, rest = path.partition("/")
    name = f"spandrel {rest.partition(':')[2]}" + (f" {label}" if label else "")
    return Architecture(name, f"spandrel.architectures.{folder}.__arch.{rest}", kwargs, noise, truth=truth, why=why)


_WINDOWS: dict[str, Any] = {"embed_dim": 16, "depths": [2, 2], "num_heads": [2, 2], "window_size": 8, "img_size": 32}

ARCHITECTURES = [
    _arch("SwinIR/SwinIR:SwinIR", **_WINDOWS, upscale=4, upsampler="pixelshuffle"),
    _arch("SwinIR/SwinIR:SwinIR", label="direct", **_WINDOWS, upscale=2, upsampler="pixelshuffledirect"),
    _arch("SwinIR/SwinIR:SwinIR", label="nearest+conv", **_WINDOWS, upscale=4, upsampler="nearest+conv"),
    _arch("Swin2SR/Swin2SR:Swin2SR", **_WINDOWS, upscale=2, upsampler="pixelshuffle"),
    _arch("Swin2SR/Swin2SR:Swin2SR", label="aux", **_WINDOWS, upscale=2, upsampler="pixelshuffle_aux"),
    _arch(
        "SCUNet/SCUNet:SCUNet",
        "1x3x64x64",
        config=[1] * 7,
        dim=64,
        truth=3,
        why="one deconv a level; windows grow nothing",
    ),
    _arch("HAT/HAT:HAT", **_WINDOWS, upscale=2, upsampler="pixelshuffle", squeeze_factor=4),
    _arch("DAT/DAT:DAT", embed_dim=16, img_size=32, depth=[1, 1], num_heads=[2, 2], split_size=[4, 8], upscale=2),
    _arch("ESRGAN/RRDB:RRDBNet", num_filters=16, num_blocks=1),
    _arch("ESRGAN/RRDB:RRDBNet", label="pixelshuffle", num_filters=16, num_blocks=1, upsampler="pixel_shuffle"),
    _arch("RealCUGAN/upcunet_v3:UpCunet2x", "1x3x64x64"),
    _arch("RealCUGAN/upcunet_v3:UpCunet4x", "1x3x64x64"),
    _arch("RealCUGAN/upcunet_v3:UpCunet2x_fast", "1x3x64x64"),
    _arch("SAFMN/safmn:SAFMN", "1x3x48x48", dim=16, n_blocks=2, upscaling_factor=2),
    _arch("OmniSR/OmniSR:OmniSR", num_feat=16, up_scale=2),
    _arch("CRAFT/CRAFT:CRAFT", "1x3x48x48", embed_dim=16, depths=[1, 1], num_heads=[2, 2], upscale=2),
    _arch("KBNet/kbnet_s:KBNet_s", width=8, middle_blk_num=1, enc_blk_nums=[1, 1], dec_blk_nums=[1, 1]),
    _arch("KBNet/kbnet_l:KBNet_l", "1x3x64x64", dim=48, num_blocks=[1, 1, 1, 1], num_refinement_blocks=1),
    _arch("FFTformer/fftformer_arch:FFTformer", dim=8, num_blocks=[1, 1, 1], num_refinement_blocks=1),
    _arch("NAFNet/NAFNet_arch:NAFNet", "1x3x64x64", width=8, enc_blk_nums=[1, 1, 1], dec_blk_nums=[1, 1, 1]),
    _arch("ATD/atd_arch:ATD", **_WINDOWS, upscale=2, upsampler="pixelshuffle"),
    _arch("Compact/SRVGG:SRVGGNetCompact", num_feat=16, num_conv=2),
    _arch("DITN/DITN_Real:DITN_Real", dim=16, ITL_blocks=1, SAL_blocks=1, upscale=2),
    _arch("DRCT/drct_arch:DRCT", **_WINDOWS, upscale=2, upsampler="pixelshuffle", gc=8),
    _arch("PLKSR/PLKSR:PLKSR", dim=16, n_blocks=2, upscaling_factor=3),
    _arch("PLKSR/RealPLKSR:RealPLKSR", label="dysample", dim=16, n_blocks=2, upscaling_factor=2, dysample=True),
    _arch("RGT/rgt:RGT", embed_dim=16, img_size=32, depth=[2, 2], num_heads=[2, 2], upscale=2),
    _arch("SPAN/span:SPAN", num_in_ch=3, num_out_ch=3, feature_channels=16, upscale=2),
    _arch("SwiftSRGAN/SwiftSRGAN:Generator", num_channels=16, num_blocks=2),
    _arch(
        "Uformer/Uformer:Uformer",
        "1x3x128x128",
        img_size=128,
        embed_dim=8,
        depths=[1] * 9,
        num_heads=[1, 2, 4, 8, 8, 8, 4, 2, 1],
    ),
    Architecture(
        "spandrel LaMa",
        "spandrel.architectures.LaMa.__arch.LaMa:LaMa",
        {"in_nc": 4},
        "1x3x64x64",
        {"mask": "1x1x64x64"},
    ),
    _arch("DRUNet/network_unet:DRUNet", "1x3x64x64", in_nc=3, out_nc=3, nc=[8, 16, 32, 64], nb=1),
    _arch("MoSR/mosr_arch:MoSR", dim=16, n_block=2, upscale=2, upsampler="gps"),
    _arch("RetinexFormer/retinexformer_arch:RetinexFormer", n_feat=8, stage=1),
    _arch("HVICIDNet/cidnet:CIDNet", "1x3x64x64", channels=[8, 8, 16, 32]),
    _arch("MixDehazeNet/MixDehazeNet:MixDehazeNet", "1x3x64x64", embed_dims=[8, 16, 32, 16, 8]),
]
