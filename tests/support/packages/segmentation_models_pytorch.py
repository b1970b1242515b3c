"""A package that stands in for segmentation-models-pytorch: one model, and how it writes its folders."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from safetensors.torch import save_file
from torch import Tensor, nn

__version__ = "0.6.0"


class SegmentationModel(nn.Module):
    requires_divisible_input_shape = True


base = SimpleNamespace(SegmentationModel=SegmentationModel)


class Unet(SegmentationModel):
    def __init__(self, encoder_name: str = "resnet18", encoder_weights: str | None = "imagenet", in_channels: int = 3):
        super().__init__()
        if encoder_weights is not None:
            raise ConnectionError("they would have been fetched")
        self.config = {"encoder_name": encoder_name, "encoder_weights": "imagenet", "in_channels": in_channels}
        self.encoder = nn.Conv2d(in_channels, 4, 16, stride=16)
        self.encoder.output_stride = 16
        self.decoder = nn.Sequential(nn.Upsample(scale_factor=16), nn.Conv2d(4, 1, 3, padding=1))

    def forward(self, x: Tensor) -> Any:
        return self.decoder(self.encoder(x))

    def save_pretrained(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_text(json.dumps({**self.config, "_model_class": type(self).__name__}))
        save_file(self.state_dict(), folder / "model.safetensors")
