"""Segmentation: MONAI's volumes and images, segmentation-models-pytorch, torchvision and timm."""

from __future__ import annotations

from typing import Any

from architectures_records import Architecture


def _monai(name: str, noise: str, label: str = "", **given: Any) -> Architecture:
    known = {key: given.pop(key) for key in ("tensors", "args", "output") if key in given}
    title = f"monai {name}" + (f" {label}" if label else "")
    return Architecture(title, f"monai.networks.nets:{name}", given, noise, **known)


def _smp(name: str, label: str = "", noise: str = "1x3x64x64", **given: Any) -> Architecture:
    title = f"smp {name}" + (f" {label}" if label else "")
    kwargs = {"encoder_name": "resnet18", "encoder_weights": None, **given}
    return Architecture(title, f"segmentation_models_pytorch:{name}", kwargs, noise)


_2D: dict[str, Any] = {"spatial_dims": 2, "in_channels": 1, "out_channels": 2}
_3D: dict[str, Any] = {"spatial_dims": 3, "in_channels": 1, "out_channels": 2}
_LEVELS: dict[str, Any] = {"channels": [4, 8, 16], "strides": [2, 2]}
_IMAGE, _VOLUME = "1x1x64x64", "1x1x32x32x32"

MONAI = [
    _monai("UNet", _IMAGE, **_2D, **_LEVELS),
    _monai("UNet", _VOLUME, "3d", **_3D, **_LEVELS, num_res_units=1),
    _monai(
        "DynUNet",
        _VOLUME,
        "3d",
        **_3D,
        kernel_size=[3, 3, 3],
        strides=[1, 2, 2],
        upsample_kernel_size=[2, 2],
        filters=[4, 8, 16],
    ),
    _monai(
        "DynUNet",
        _VOLUME,
        "anisotropic",
        **_3D,
        kernel_size=[[1, 3, 3], [3, 3, 3], [3, 3, 3]],
        strides=[1, [1, 2, 2], 2],
        upsample_kernel_size=[[1, 2, 2], 2],
        filters=[4, 8, 16],
    ),
    _monai("SegResNet", _IMAGE, **_2D, init_filters=8, blocks_down=[1, 1, 1], blocks_up=[1, 1]),
    _monai(
        "SegResNet",
        _VOLUME,
        "3d deconv",
        **_3D,
        init_filters=8,
        blocks_down=[1, 1, 1],
        blocks_up=[1, 1],
        upsample_mode="deconv",
    ),
    _monai(
        "SegResNet",
        _VOLUME,
        "3d pixelshuffle",
        **_3D,
        init_filters=8,
        blocks_down=[1, 1],
        blocks_up=[1],
        upsample_mode="pixelshuffle",
    ),
    _monai("VNet", _VOLUME, "3d", spatial_dims=3, in_channels=1, out_channels=2),
    _monai("UNETR", _IMAGE, **_2D, img_size=64, feature_size=4, hidden_size=16, mlp_dim=32, num_heads=2),
    _monai("UNETR", _VOLUME, "3d", **_3D, img_size=32, feature_size=4, hidden_size=16, mlp_dim=32, num_heads=2),
    _monai("SwinUNETR", _IMAGE, **_2D, feature_size=12, depths=[1, 1, 1, 1], num_heads=[1, 2, 2, 4]),
    _monai("SwinUNETR", "1x1x64x64x64", "3d", **_3D, feature_size=12, depths=[1, 1, 1, 1], num_heads=[1, 2, 2, 4]),
    _monai("AttentionUnet", _IMAGE, **_2D, **_LEVELS),
    _monai("AttentionUnet", _VOLUME, "3d", **_3D, **_LEVELS),
    _monai("BasicUNet", _IMAGE, **_2D, features=[4, 4, 8, 16, 32, 4]),
    _monai("BasicUNet", _VOLUME, "3d trilinear", **_3D, features=[4, 4, 8, 16, 32, 4], upsample="nontrainable"),
    _monai("BasicUNetPlusPlus", _IMAGE, **_2D, features=[4, 4, 8, 16, 32, 4], output="0"),
    _monai("FlexibleUNet", _IMAGE, spatial_dims=2, in_channels=1, out_channels=2, backbone="resnet18"),
    _monai("HighResNet", _IMAGE, **_2D),
    _monai("AutoEncoder", _IMAGE, **_2D, channels=[4, 8], strides=[2, 2]),
    _monai(
        "VQVAE",
        _VOLUME,
        "3d",
        **_3D,
        channels=[4, 8],
        num_res_layers=1,
        num_res_channels=[4, 8],
        num_embeddings=16,
        embedding_dim=4,
        output="0",
        downsample_parameters=[[2, 4, 1, 1]] * 2,
        upsample_parameters=[[2, 4, 1, 1, 0]] * 2,
    ),
    _monai(
        "AutoencoderKL",
        _IMAGE,
        **_2D,
        channels=[8, 16],
        num_res_blocks=[1, 1],
        norm_num_groups=4,
        attention_levels=[False, True],
        latent_channels=4,
        output="0",
    ),
    _monai(
        "AutoencoderKL",
        _VOLUME,
        "3d",
        **_3D,
        channels=[8, 16],
        num_res_blocks=[1, 1],
        norm_num_groups=4,
        attention_levels=[False, False],
        latent_channels=4,
        output="0",
    ),
    _monai(
        "DiffusionModelUNet",
        _VOLUME,
        "3d",
        spatial_dims=3,
        in_channels=1,
        out_channels=1,
        channels=[8, 16],
        num_res_blocks=[1, 1],
        norm_num_groups=4,
        attention_levels=[False, False],
        args={"timesteps": [10]},
    ),
]
SMP = [
    _smp("Unet"),
    _smp("Unet", "mit_b0", encoder_name="mit_b0"),
    _smp("UnetPlusPlus", decoder_attention_type="scse"),
    _smp("FPN"),
    _smp("PSPNet", noise="1x3x96x96"),
    _smp("DeepLabV3"),
    _smp("DeepLabV3Plus"),
    _smp("PAN", noise="1x3x128x128"),
    _smp("MAnet"),
    _smp("Linknet"),
    _smp("UPerNet"),
    _smp("Segformer", "mit_b0", encoder_name="mit_b0"),
]
_SEGMENTATION: dict[str, Any] = {"weights": None, "weights_backbone": None, "num_classes": 3}
TORCHVISION = [
    Architecture(
        "torchvision fcn_resnet50",
        "torchvision.models.segmentation:fcn_resnet50",
        _SEGMENTATION,
        "1x3x64x64",
        output="out",
    ),
    Architecture(
        "torchvision deeplabv3_mobilenet_v3_large",
        "torchvision.models.segmentation:deeplabv3_mobilenet_v3_large",
        _SEGMENTATION,
        "1x3x64x64",
        output="out",
    ),
    Architecture(
        "torchvision lraspp_mobilenet_v3_large",
        "torchvision.models.segmentation:lraspp_mobilenet_v3_large",
        _SEGMENTATION,
        "1x3x64x64",
        output="out",
    ),
    Architecture(
        "torchvision maskrcnn_resnet50_fpn",
        "torchvision.models.detection:maskrcnn_resnet50_fpn",
        {**_SEGMENTATION, "min_size": 64, "max_size": 64, "box_score_thresh": 0.0, "box_detections_per_img": 2},
        "1x3x64x64",
        output="[0]['masks']",
    ),
    Architecture(
        "torchvision raft_small",
        "torchvision.models.optical_flow:raft_small",
        {"weights": None},
        "1x3x128x128",
        {"image2": "1x3x128x128"},
        {"num_flow_updates": 2},
        output="1",
        lookups=("grid_sampler_2d",),
        truth=2,
        why="one resize each time the flow is updated; grid_sample looks correlations up, for each pixel",
    ),
    Architecture(
        "torchvision raft_large",
        "torchvision.models.optical_flow:raft_large",
        {"weights": None},
        "1x3x128x128",
        {"image2": "1x3x128x128"},
        {"num_flow_updates": 1},
        output="0",
        lookups=("grid_sampler_2d",),
        truth=1,
        why="the weighted neighbours (unfold, sum, reshape); grid_sample looks correlations up, for each pixel",
    ),
]
TIMM = [
    Architecture(
        "timm hrnet_w18_small features",
        "timm:create_model",
        {"model_name": "hrnet_w18_small", "pretrained": False, "features_only": True},
        "1x3x64x64",
        output="0",
    ),
    Architecture(
        "timm selecsls42 features",
        "timm:create_model",
        {"model_name": "selecsls42", "pretrained": False, "features_only": True},
        "1x3x64x64",
        output="0",
    ),
    Architecture(
        "timm nest_tiny",
        "timm:create_model",
        {"model_name": "nest_tiny", "pretrained": False, "features_only": True, "img_size": 64},
        "1x3x64x64",
        output="0",
    ),
    Architecture(
        "timm maxvit_pico_rw_256 features",
        "timm:create_model",
        {"model_name": "maxvit_pico_rw_256", "pretrained": False, "features_only": True, "img_size": 64},
        "1x3x64x64",
        output="0",
    ),
]
ARCHITECTURES = [*MONAI, *SMP, *TORCHVISION, *TIMM]
