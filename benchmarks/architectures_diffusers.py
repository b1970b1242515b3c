"""Images and video: diffusers' autoencoders, denoisers and transformers."""

from __future__ import annotations

from typing import Any

from architectures_records import Architecture


def _model(name: str, noise: str, label: str = "", **given: Any) -> Architecture:
    """A class of diffusers; `tensors` and `args` are those of its forward, the rest are its own."""
    known = {key: given.pop(key) for key in ("tensors", "args", "output", "layout") if key in given}
    title = f"diffusers {name}" + (f" {label}" if label else "")
    return Architecture(title, f"diffusers:{name}", given, noise, **known)


def _blocks(kind: str, count: int = 2) -> dict[str, list[str]]:
    return {
        "down_block_types": [kind.replace("Up", "Down").replace("Decoder", "Encoder")] * count,
        "up_block_types": [kind] * count,
    }


_STEP = {"timestep": 10}
_TEXT = {"encoder_hidden_states": "1x4x8"}
_UNET: dict[str, Any] = {"block_out_channels": [8, 16], "layers_per_block": 1, "norm_num_groups": 4, "sample_size": 32}
_CROSS: dict[str, Any] = {**_UNET, "cross_attention_dim": 8, "attention_head_dim": 2}
_KL: dict[str, Any] = {"block_out_channels": [8, 16], "norm_num_groups": 4}

AUTOENCODERS = [
    _model("AutoencoderKL", "1x3x64x64", **_KL, **_blocks("UpDecoderBlock2D")),
    _model("VQModel", "1x3x64x64", **_KL, **_blocks("UpDecoderBlock2D"), num_vq_embeddings=32),
    _model(
        "AsymmetricAutoencoderKL",
        "1x3x64x64",
        **_blocks("UpDecoderBlock2D"),
        down_block_out_channels=[8, 16],
        up_block_out_channels=[8, 16],
        norm_num_groups=4,
    ),
    _model("AutoencoderTiny", "1x3x64x64", encoder_block_out_channels=[8] * 4, decoder_block_out_channels=[8] * 4),
    _model(
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
    _model(
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
    _model("AutoencoderKLTemporalDecoder", "2x3x64x64", block_out_channels=[32, 32], **{
        "down_block_types": ["DownEncoderBlock2D"] * 2, "layers_per_block": 1}, args={"num_frames": 2}),
    _model("AutoencoderOobleck", "1x2x2048", encoder_hidden_size=8, downsampling_ratios=[2, 4, 4], decoder_channels=8,
           decoder_input_channels=4, channel_multiples=[1, 2, 4]),
    _model("AutoencoderKLWan", "1x3x5x32x32", base_dim=8, z_dim=4, dim_mult=[1, 2, 2], num_res_blocks=1,
           temperal_downsample=[False, True], latents_mean=[0.0] * 4, latents_std=[1.0] * 4),
    _model("AutoencoderKLQwenImage", "1x3x1x32x32", base_dim=8, z_dim=4, dim_mult=[1, 2, 2], num_res_blocks=1,
           temperal_downsample=[False, True], latents_mean=[0.0] * 4, latents_std=[1.0] * 4),
    _model("AutoencoderKLLTXVideo", "1x3x9x64x64", latent_channels=8, block_out_channels=[8, 8, 8, 8],
           decoder_block_out_channels=[8, 8, 8, 8], layers_per_block=[1, 1, 1, 1, 1],
           decoder_layers_per_block=[1, 1, 1, 1, 1], patch_size=1),
    _model("AutoencoderKLCogVideoX", "1x3x9x32x32", block_out_channels=[8, 8, 8, 8], latent_channels=4,
           layers_per_block=1, norm_num_groups=2, temporal_compression_ratio=4),
    _model("AutoencoderKLHunyuanVideo", "1x3x9x32x32", latent_channels=4, block_out_channels=[8, 8, 8, 8],
           layers_per_block=1, norm_num_groups=4),
    _model("AutoencoderKLMochi", "1x3x7x32x32", latent_channels=4, encoder_block_out_channels=[32, 32, 32, 32],
           decoder_block_out_channels=[32, 32, 32, 32], layers_per_block=[1, 1, 1, 1, 1],
           latents_mean=[0.0] * 4, latents_std=[1.0] * 4),
    Architecture(
        "diffusers AllegroDecoder3D",
        "diffusers.models.autoencoders.autoencoder_kl_allegro:AllegroDecoder3D",
        {"in_channels": 4, "block_out_channels": [8, 8, 8, 8], "layers_per_block": 1, "norm_num_groups": 2},
        "1x4x4x8x8",
    ),
    _model("AutoencoderKLCosmos", "1x3x9x32x32", latent_channels=4, encoder_block_out_channels=[8, 8, 8, 8],
           decode_block_out_channels=[8, 8, 8, 8], num_layers=1, attention_resolutions=[8], resolution=32),
    _model("AutoencoderKLMagvit", "1x3x9x32x32", latent_channels=4, block_out_channels=[8, 8, 8, 8],
           layers_per_block=1, norm_num_groups=4),
]
DENOISERS = [
    _model("UNet2DModel", "1x3x32x32", **_UNET, down_block_types=["DownBlock2D", "AttnDownBlock2D"],
           up_block_types=["AttnUpBlock2D", "UpBlock2D"], attention_head_dim=4, args=_STEP),
    _model("UNet2DModel", "1x3x32x32", "FIR", block_out_channels=[32, 64], layers_per_block=1, sample_size=32,
           down_block_types=["SkipDownBlock2D", "AttnSkipDownBlock2D"], time_embedding_type="fourier",
           up_block_types=["AttnSkipUpBlock2D", "SkipUpBlock2D"], attention_head_dim=8, args=_STEP),
    _model("UNet2DModel", "1x3x32x32", "resnet", **_UNET, **_blocks("ResnetUpsampleBlock2D"), args=_STEP),
    _model("UNet2DConditionModel", "1x4x32x32", **_CROSS, down_block_types=["CrossAttnDownBlock2D", "DownBlock2D"],
           up_block_types=["UpBlock2D", "CrossAttnUpBlock2D"], args=_STEP, tensors=_TEXT),
    _model("UNet3DConditionModel", "1x4x4x16x16", block_out_channels=[32, 64], layers_per_block=1, sample_size=16,
           cross_attention_dim=8, attention_head_dim=8,
           down_block_types=["CrossAttnDownBlock3D", "DownBlock3D"],
           up_block_types=["UpBlock3D", "CrossAttnUpBlock3D"], args=_STEP, tensors=_TEXT),
    _model("UNetSpatioTemporalConditionModel", "1x4x8x16x16", block_out_channels=[32, 64], layers_per_block=1,
           sample_size=16, cross_attention_dim=8, num_attention_heads=[2, 4], projection_class_embeddings_input_dim=24,
           addition_time_embed_dim=8, down_block_types=["CrossAttnDownBlockSpatioTemporal",
           "DownBlockSpatioTemporal"], up_block_types=["UpBlockSpatioTemporal", "CrossAttnUpBlockSpatioTemporal"],
           args=_STEP, tensors={"encoder_hidden_states": "1x1x8", "added_time_ids": "1x3"}, layout="NTCHW"),
    _model("UNetMotionModel", "1x4x4x16x16", block_out_channels=[32, 64], layers_per_block=1, sample_size=16,
           cross_attention_dim=8, num_attention_heads=2, motion_num_attention_heads=2,
           down_block_types=["CrossAttnDownBlockMotion", "DownBlockMotion"],
           up_block_types=["UpBlockMotion", "CrossAttnUpBlockMotion"], motion_max_seq_length=8, args=_STEP,
           tensors={"encoder_hidden_states": "4x4x8"}),
    _model("UNet1DModel", "1x4x64", in_channels=4, out_channels=4, extra_in_channels=64, block_out_channels=[32, 32, 64],
           time_embedding_type="fourier", flip_sin_to_cos=True, use_timestep_embedding=False, sample_size=64,
           down_block_types=["DownBlock1DNoSkip", "DownBlock1D", "AttnDownBlock1D"],
           up_block_types=["AttnUpBlock1D", "UpBlock1D", "UpBlock1DNoSkip"], args={"timestep": [10]}),
    _model("UVit2DModel", "int:1x16x16", hidden_size=16, cond_embed_dim=8, encoder_hidden_size=8,
           block_out_channels=16, in_channels=16, num_hidden_layers=1, num_attention_heads=2, block_num_heads=2,
           intermediate_size=32, micro_cond_encode_dim=2, micro_cond_embed_dim=10, codebook_size=16, vocab_size=17,
           sample_size=16, downsample=True, upsample=True,
           tensors={"encoder_hidden_states": "1x4x8", "pooled_text_emb": "1x8", "micro_conds": "1x5"}),
    _model("StableCascadeUNet", "1x4x16x16", in_channels=4, out_channels=4, conditioning_dim=16, patch_size=2,
           block_out_channels=[16, 32], num_attention_heads=[0, 2], down_num_layers_per_block=[1, 1],
           up_num_layers_per_block=[1, 1], down_blocks_repeat_mappers=[1, 1], up_blocks_repeat_mappers=[1, 1],
           block_types_per_layer=[["SDCascadeResBlock", "SDCascadeTimestepBlock"],
                                  ["SDCascadeResBlock", "SDCascadeTimestepBlock", "SDCascadeAttnBlock"]],
           clip_text_pooled_in_channels=8, clip_seq=1, timestep_ratio_embedding_dim=8, timestep_conditioning_type=[],
           args={"timestep_ratio": [0.5]}, tensors={"clip_text_pooled": "1x1x8"}),
]
TRANSFORMERS = [
    _model("DiTTransformer2DModel", "1x4x16x16", num_attention_heads=2, attention_head_dim=8, in_channels=4,
           out_channels=8, num_layers=1, sample_size=16, num_embeds_ada_norm=8, norm_num_groups=4,
           args={"timestep": [10], "class_labels": [1]}),
    _model("PixArtTransformer2DModel", "1x4x16x16", num_attention_heads=2, attention_head_dim=8, num_layers=1,
           out_channels=8, sample_size=16, cross_attention_dim=16, caption_channels=8, norm_num_groups=4,
           use_additional_conditions=False, args={"timestep": [10]}, tensors=_TEXT),
    _model("SD3Transformer2DModel", "1x4x16x16", sample_size=16, in_channels=4, out_channels=4, num_layers=1,
           attention_head_dim=8, num_attention_heads=2, joint_attention_dim=8, caption_projection_dim=16,
           pooled_projection_dim=8, pos_embed_max_size=16, args={"timestep": [10]},
           tensors={**_TEXT, "pooled_projections": "1x8"}),
    _model("SanaTransformer2DModel", "1x4x16x16", in_channels=4, out_channels=4, patch_size=2, num_layers=1,
           num_attention_heads=2, attention_head_dim=8, num_cross_attention_heads=2, cross_attention_head_dim=8,
           cross_attention_dim=16, caption_channels=8, sample_size=16, args={"timestep": [10]}, tensors=_TEXT),
    _model("CogVideoXTransformer3DModel", "1x4x4x16x16", num_attention_heads=2, attention_head_dim=16, in_channels=4,
           out_channels=4, time_embed_dim=8, text_embed_dim=8, num_layers=1, sample_width=16, sample_height=16,
           sample_frames=13, max_text_seq_length=4, args={"timestep": [10]}, tensors=_TEXT, layout="NTCHW"),
    _model("WanTransformer3DModel", "1x4x4x16x16", num_attention_heads=2, attention_head_dim=12, in_channels=4,
           out_channels=4, text_dim=8, freq_dim=16, ffn_dim=32, num_layers=1, rope_max_seq_len=32,
           args={"timestep": [10]}, tensors=_TEXT),
    _model("LatteTransformer3DModel", "1x4x4x16x16", num_attention_heads=2, attention_head_dim=8, in_channels=4,
           out_channels=8, num_layers=1, sample_size=16, patch_size=2, caption_channels=8, cross_attention_dim=16,
           video_length=4, args={"timestep": [10]}, tensors=_TEXT),
    _model("AuraFlowTransformer2DModel", "1x4x16x16", sample_size=16, in_channels=4, out_channels=4,
           num_mmdit_layers=1, num_single_dit_layers=1, attention_head_dim=8, num_attention_heads=2,
           joint_attention_dim=8, caption_projection_dim=16, pos_embed_max_size=64, args={"timestep": [10]},
           tensors=_TEXT),
]
ARCHITECTURES = [*AUTOENCODERS, *DENOISERS, *TRANSFORMERS]
