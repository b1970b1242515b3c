"""Depth, segmentation, matting, restoration and voices: transformers. A user has a folder that was saved."""

from __future__ import annotations

from typing import Any

from architectures_records import Architecture


def _model(name: str, config: str, noise: str = "1x3x64x64", label: str = "", **given: Any) -> Architecture:
    known = {key: given.pop(key) for key in ("tensors", "args", "output", "layout") if key in given}
    title = f"transformers {name}" + (f" {label}" if label else "")
    return Architecture(title, f"transformers:{name}.from_pretrained", given, noise, config=config, **known)


_VIT: dict[str, Any] = {"hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 32, "image_size": 64}
_DINO: dict[str, Any] = {**_VIT, "model_type": "dinov2", "num_hidden_layers": 4, "patch_size": 8,
                         "out_indices": [1, 2, 3, 4], "reshape_hidden_states": False, "apply_layernorm": True}
_RESNET: dict[str, Any] = {"model_type": "resnet", "embedding_size": 8, "hidden_sizes": [8, 16, 16, 16],
                           "depths": [1, 1, 1, 1], "out_indices": [1, 2, 3, 4], "layer_type": "basic"}
_SWIN: dict[str, Any] = {"model_type": "swin", "embed_dim": 8, "depths": [1, 1, 1, 1], "num_heads": [1, 1, 2, 2],
                         "window_size": 4, "image_size": 64, "out_indices": [1, 2, 3, 4]}
_BEIT: dict[str, Any] = {**_VIT, "model_type": "beit", "num_hidden_layers": 4, "patch_size": 16,
                         "out_indices": [1, 2, 3, 4], "reshape_hidden_states": False}
_MIT: dict[str, Any] = {"hidden_sizes": [8, 8, 16, 16], "depths": [1, 1, 1, 1], "num_attention_heads": [1, 1, 2, 2],
                        "decoder_hidden_size": 8}

ARCHITECTURES = [
    _model("DPTForDepthEstimation", "DPTConfig", **_VIT, patch_size=8, num_hidden_layers=4,
           backbone_out_indices=[0, 1, 2, 3], neck_hidden_sizes=[8, 8, 8, 8], fusion_hidden_size=8),
    _model("DPTForSemanticSegmentation", "DPTConfig", **_VIT, patch_size=8, num_hidden_layers=4,
           backbone_out_indices=[0, 1, 2, 3], neck_hidden_sizes=[8, 8, 8, 8], fusion_hidden_size=8),
    _model("DepthAnythingForDepthEstimation", "DepthAnythingConfig", backbone_config=_DINO, patch_size=8,
           reassemble_hidden_size=16, neck_hidden_sizes=[8, 8, 8, 8], fusion_hidden_size=8, head_hidden_size=8),
    _model("DepthAnythingForDepthEstimation", "DepthAnythingConfig", "1x3x96x96", "other size", backbone_config=_DINO,
           patch_size=8, reassemble_hidden_size=16, neck_hidden_sizes=[8, 8, 8, 8], fusion_hidden_size=8,
           head_hidden_size=8),
    _model("GLPNForDepthEstimation", "GLPNConfig", **_MIT),
    _model("ZoeDepthForDepthEstimation", "ZoeDepthConfig", backbone_config=_BEIT, neck_hidden_sizes=[8, 8, 8, 8],
           fusion_hidden_size=8, bottleneck_features=8, num_relative_features=8, reassemble_factors=[4, 2, 1, 0.5],
           bin_embedding_dim=8, num_attractors=[4, 2, 2, 1], num_patch_transformer_layers=1,
           patch_transformer_hidden_size=8, patch_transformer_intermediate_size=16,
           patch_transformer_num_attention_heads=2,
           bin_configurations=[{"n_bins": 4, "min_depth": 0.001, "max_depth": 10.0}]),
    _model("SegformerForSemanticSegmentation", "SegformerConfig", **_MIT),
    _model("UperNetForSemanticSegmentation", "UperNetConfig", "1x3x192x192", backbone_config=_RESNET, hidden_size=8,
           auxiliary_in_channels=16, auxiliary_channels=8),
    _model("Mask2FormerForUniversalSegmentation", "Mask2FormerConfig", backbone_config=_SWIN, feature_size=32,
           mask_feature_size=32, hidden_dim=32, encoder_feedforward_dim=32, encoder_layers=1, decoder_layers=2,
           num_attention_heads=2, dim_feedforward=32, num_queries=4, output="masks_queries_logits"),
    _model("MaskFormerForInstanceSegmentation", "MaskFormerConfig", backbone_config=_SWIN, fpn_feature_size=32,
           mask_feature_size=32, decoder_config={"model_type": "detr", "d_model": 32, "decoder_layers": 1,
           "encoder_layers": 1, "decoder_attention_heads": 2, "encoder_attention_heads": 2, "decoder_ffn_dim": 32,
           "num_queries": 4}, output="masks_queries_logits"),
    _model("DetrForSegmentation", "DetrConfig", "1x3x128x128", backbone_config={**_RESNET}, d_model=64,
           encoder_layers=1, decoder_layers=1, encoder_attention_heads=8, decoder_attention_heads=8,
           encoder_ffn_dim=32, decoder_ffn_dim=32, num_queries=4, output="pred_masks"),
    _model("CLIPSegForImageSegmentation", "CLIPSegConfig", "", projection_dim=16, reduce_dim=16,
           decoder_num_attention_heads=2, decoder_intermediate_size=16, extract_layers=[0, 1, 2],
           text_config={"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 32,
                        "intermediate_size": 32, "eos_token_id": 7},
           vision_config={**_VIT, "num_hidden_layers": 3, "patch_size": 8},
           tensors={"input_ids": "int:1x7", "pixel_values": "1x3x64x64"}, output="logits"),
    _model("SamModel", "SamConfig", "", vision_config={"hidden_size": 16, "num_hidden_layers": 1,
           "num_attention_heads": 2, "mlp_dim": 32, "image_size": 64, "patch_size": 8, "output_channels": 16,
           "global_attn_indexes": [0], "window_size": 4, "num_pos_feats": 8},
           prompt_encoder_config={"hidden_size": 16, "image_size": 64, "patch_size": 8},
           mask_decoder_config={"hidden_size": 16, "mlp_dim": 32, "num_attention_heads": 2,
                                "iou_head_hidden_dim": 16, "num_hidden_layers": 1},
           tensors={"pixel_values": "1x3x64x64", "input_points": "1x1x1x2"}, output="pred_masks"),
    _model("Swin2SRForImageSuperResolution", "Swin2SRConfig", image_size=64, embed_dim=8, depths=[1, 1],
           num_heads=[1, 1], window_size=8, upscale=2),
    _model("Swin2SRForImageSuperResolution", "Swin2SRConfig", "1x3x64x64", "nearest+conv", image_size=64,
           embed_dim=8, depths=[1, 1], num_heads=[1, 1], window_size=8, upscale=4, upsampler="nearest+conv"),
    _model("ViTMAEForPreTraining", "ViTMAEConfig", **_VIT, patch_size=8, num_hidden_layers=1,
           decoder_num_attention_heads=2, decoder_hidden_size=16, decoder_num_hidden_layers=1,
           decoder_intermediate_size=32),
    _model("VitMatteForImageMatting", "VitMatteConfig", "1x4x64x64", backbone_config={
           "model_type": "vitdet", "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
           "image_size": 64, "patch_size": 16, "num_channels": 4, "out_features": ["stage1"]}, hidden_size=16,
           fusion_hidden_sizes=[16, 8, 8, 8]),
    _model("BeitForSemanticSegmentation", "BeitConfig", **_VIT, patch_size=16, num_hidden_layers=4,
           out_indices=[1, 2, 3, 4], pool_scales=[1, 2], use_auxiliary_head=False, output="logits"),
    _model("Data2VecVisionForSemanticSegmentation", "Data2VecVisionConfig", **_VIT, patch_size=16,
           num_hidden_layers=4, out_indices=[0, 1, 2, 3], pool_scales=[1, 2], use_auxiliary_head=False,
           output="logits"),
    _model("MobileViTForSemanticSegmentation", "MobileViTConfig", hidden_sizes=[16, 16, 16],
           neck_hidden_sizes=[8, 8, 8, 16, 16, 16, 32], aspp_out_channels=8, num_attention_heads=2, image_size=64,
           output="logits"),
    _model("SegGptForImageSegmentation", "SegGptConfig", "1x3x64x64", hidden_size=16, num_hidden_layers=2,
           num_attention_heads=2, image_size=[128, 64], patch_size=8, intermediate_hidden_state_indices=[0, 1],
           merge_index=0, decoder_hidden_size=8, pretrain_image_size=64, beit_relative=False,
           tensors={"prompt_pixel_values": "1x3x64x64", "prompt_masks": "1x3x64x64"}, output="pred_masks"),
    _model("SpeechT5HifiGan", "SpeechT5HifiGanConfig", "1x20x8", model_in_dim=8, upsample_initial_channel=16,
           upsample_rates=[4, 2], upsample_kernel_sizes=[8, 4], resblock_kernel_sizes=[3],
           resblock_dilation_sizes=[[1, 3]], layout="NL"),
    _model("VitsModel", "VitsConfig", "int:1x12", hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
           ffn_dim=32, vocab_size=16, flow_size=16, spectrogram_bins=17, upsample_initial_channel=16,
           upsample_rates=[4, 2], upsample_kernel_sizes=[8, 4], resblock_kernel_sizes=[3],
           resblock_dilation_sizes=[[1, 3]], prior_encoder_num_flows=1, prior_encoder_num_wavenet_layers=1,
           posterior_encoder_num_wavenet_layers=1, duration_predictor_num_flows=2, depth_separable_num_layers=1,
           output="waveform", layout="NL"),
    _model("UnivNetModel", "UnivNetConfig", "1x20x8", num_mel_bins=8, model_in_channels=8, model_hidden_channels=8,
           kernel_predictor_hidden_channels=8, resblock_stride_sizes=[4, 4], resblock_kernel_sizes=[3, 3],
           resblock_dilation_sizes=[[1, 3], [1, 3]], output="waveforms", layout="NL"),
    _model("EncodecModel", "EncodecConfig", "1x1x2048", num_filters=4, upsampling_ratios=[4, 2, 2], hidden_size=16,
           codebook_size=16, num_lstm_layers=1, output="audio_values"),
    _model("DacModel", "DacConfig", "1x1x2048", encoder_hidden_size=8, downsampling_ratios=[2, 4],
           decoder_hidden_size=16, upsampling_ratios=[4, 2], n_codebooks=2, codebook_size=16, codebook_dim=4,
           output="audio_values"),
    _model("MimiModel", "MimiConfig", "1x1x3840", num_filters=4, hidden_size=16, num_hidden_layers=1,
           num_attention_heads=2, num_key_value_heads=2, intermediate_size=32, head_dim=8, upsampling_ratios=[4, 4, 2],
           codebook_size=16, codebook_dim=8, vector_quantization_hidden_dimension=8, num_quantizers=2,
           num_semantic_quantizers=1, upsample_groups=16, output="audio_values"),
]
