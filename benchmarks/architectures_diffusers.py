"""Images and video: diffusers' autoencoders."""

from __future__ import annotations

from typing import Any

from architectures_records import Architecture


def diffusers_model(name: str, noise: str, label: str = "", **given: Any) -> Architecture:
    """A class of diffusers; `tensors` and `args` are those of its forward, the rest are its own."""
    known = {key: given.pop(key) for key in ("tensors", "args", "output", "layout") if key in given}
    title = f"diffusers {name}" + (f" {label}" if label else "")
    return Architecture(title, f"diffusers:{name}", given, noise, **known)


def blocks_of(kind: str, count: int = 2) -> dict[str, list[str]]:
    """The same kind of block at each level, down and up."""
    return {
        "down_block_types": [kind.replace("Up", "Down").replace("Decoder", "Encoder")] * count,
        "up_block_types": [kind] * count,
    }


_KL: dict[str, Any] = {"block_out_channels": [8, 16], "norm_num_groups": 4}

ARCHITECTURES = [
    diffusers_model("AutoencoderKL", "1x3x64x64", **_KL, **blocks_of("UpDecoderBlock2D")),
    diffusers_model("VQModel", "1x3x64x64", **_KL, **blocks_of("UpDecoderBlock2D"), num_vq_embeddings=32),
    diffusers_model(
        "AsymmetricAutoencoderKL",
        "1x3x64x64",
        **blocks_of("UpDecoderBlock2D"),
        down_block_out_channels=[8, 16],
        up_block_out_channels=[8, 16],
        norm_num_groups=4,
    ),
    diffusers_model(
        "AutoencoderTiny", "1x3x64x64", encoder_block_out_channels=[8] * 4, decoder_block_out_channels=[8] * 4
    ),
    diffusers_model(
        "AutoencoderDC",
        "1x3x64x64",
        latent_channels=4,
        attention_head_dim=4,
        encoder_block_out_channels=[8, 16, 16],
        decoder_block_out_channels=[8, 16, 16],
        encoder_layers_per_block=[1, 1, 1],
        decoder_layers_per_block=[1, 1, 1],
        encoder_qkv_multiscales=[[], [], [5]],
        decoder_qkv_multiscales=[[], [], [5]],
        encoder_block_types=["ResBlock", "ResBlock", "EfficientViTBlock"],
        decoder_block_types=["ResBlock", "ResBlock", "EfficientViTBlock"],
    ),
    diffusers_model(
        "ConsistencyDecoderVAE",
        "1x3x64x64",
        encoder_block_out_channels=[8, 16],
        encoder_down_block_types=["DownEncoderBlock2D", "DownEncoderBlock2D"],
        encoder_norm_num_groups=4,
        encoder_layers_per_block=1,
        decoder_block_out_channels=[8, 16],
        decoder_down_block_types=["ResnetDownsampleBlock2D", "ResnetDownsampleBlock2D"],
        decoder_up_block_types=["ResnetUpsampleBlock2D", "ResnetUpsampleBlock2D"],
        decoder_norm_num_groups=4,
        decoder_layers_per_block=1,
    ),
    diffusers_model(
        "AutoencoderKLTemporalDecoder",
        "2x3x64x64",
        block_out_channels=[32, 32],
        **{"down_block_types": ["DownEncoderBlock2D"] * 2, "layers_per_block": 1},
        args={"num_frames": 2},
    ),
    diffusers_model(
        "AutoencoderOobleck",
        "1x2x2048",
        encoder_hidden_size=8,
        downsampling_ratios=[2, 4, 4],
        decoder_channels=8,
        decoder_input_channels=4,
        channel_multiples=[1, 2, 4],
    ),
    diffusers_model(
        "AutoencoderKLWan",
        "1x3x5x32x32",
        base_dim=8,
        z_dim=4,
        dim_mult=[1, 2, 2],
        num_res_blocks=1,
        temperal_downsample=[False, True],
        latents_mean=[0.0] * 4,
        latents_std=[1.0] * 4,
    ),
    diffusers_model(
        "AutoencoderKLQwenImage",
        "1x3x1x32x32",
        base_dim=8,
        z_dim=4,
        dim_mult=[1, 2, 2],
        num_res_blocks=1,
        temperal_downsample=[False, True],
        latents_mean=[0.0] * 4,
        latents_std=[1.0] * 4,
    ),
    diffusers_model(
        "AutoencoderKLLTXVideo",
        "1x3x9x64x64",
        latent_channels=8,
        block_out_channels=[8, 8, 8, 8],
        decoder_block_out_channels=[8, 8, 8, 8],
        layers_per_block=[1, 1, 1, 1, 1],
        decoder_layers_per_block=[1, 1, 1, 1, 1],
        patch_size=1,
    ),
    diffusers_model(
        "AutoencoderKLCogVideoX",
        "1x3x9x32x32",
        block_out_channels=[8, 8, 8, 8],
        latent_channels=4,
        layers_per_block=1,
        norm_num_groups=2,
        temporal_compression_ratio=4,
    ),
    diffusers_model(
        "AutoencoderKLHunyuanVideo",
        "1x3x9x32x32",
        latent_channels=4,
        block_out_channels=[8, 8, 8, 8],
        layers_per_block=1,
        norm_num_groups=4,
    ),
    diffusers_model(
        "AutoencoderKLMochi",
        "1x3x7x32x32",
        latent_channels=4,
        encoder_block_out_channels=[32, 32, 32, 32],
        decoder_block_out_channels=[32, 32, 32, 32],
        layers_per_block=[1, 1, 1, 1, 1],
        latents_mean=[0.0] * 4,
        latents_std=[1.0] * 4,
    ),
    Architecture(
        "diffusers AllegroDecoder3D",
        "diffusers.models.autoencoders.autoencoder_kl_allegro:AllegroDecoder3D",
        {"in_channels": 4, "block_out_channels": [8, 8, 8, 8], "layers_per_block": 1, "norm_num_groups": 2},
        "1x4x4x8x8",
        truth=7,
        why="three resizes; twice as many frames by repeat_interleave, and beside it by a reshape, twice",
    ),
    diffusers_model(
        "AutoencoderKLCosmos",
        "1x3x9x32x32",
        latent_channels=4,
        encoder_block_out_channels=[8, 8, 8, 8],
        decode_block_out_channels=[8, 8, 8, 8],
        num_layers=1,
        attention_resolutions=[8],
        resolution=32,
    ),
    diffusers_model(
        "AutoencoderKLMagvit",
        "1x3x9x32x32",
        latent_channels=4,
        block_out_channels=[8, 8, 8, 8],
        layers_per_block=1,
        norm_num_groups=4,
    ),
]
