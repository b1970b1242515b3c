"""A stand-in for transformers: its ways of saving, loading and naming outputs, in small."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor, nn


class DPTForDepthEstimation(nn.Module):
    """Depth (N, H, W) of images at half their size, and features that are no picture."""

    main_input_name = "pixel_values"

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Conv2d(3, 6, 3, 2, 1)
        self.up = nn.ConvTranspose2d(6, 1, 2, 2)

    def save_pretrained(self, folder: Path, **changed: Any) -> None:
        described = {"architectures": [type(self).__name__], "model_type": "dpt", **changed}
        (folder / "config.json").write_text(json.dumps(described))
        save_file(self.state_dict(), folder / "model.safetensors")

    @classmethod
    def from_pretrained(
        cls, folder: str, *, local_files_only: bool, output_loading_info: bool, use_safetensors: bool
    ) -> Any:
        assert local_files_only
        assert use_safetensors
        model = cls()
        missing = model.load_state_dict(load_file(Path(folder) / "model.safetensors"), strict=False).missing_keys
        return model.eval(), {"missing_keys": missing}

    def forward(self, pixel_values: Tensor) -> Any:
        features = self.down(pixel_values)
        return SimpleNamespace(predicted_depth=self.up(features).squeeze(1), hidden_states=features, logits=None)


class HifiGan(DPTForDepthEstimation):
    """A model whose input is no image."""

    main_input_name = "spectrogram"
