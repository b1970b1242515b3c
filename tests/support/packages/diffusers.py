"""A stand-in for diffusers: its ways of saving, loading, encoding and decoding, in small."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

STEM = "diffusion_pytorch_model"


class ModelMixin(nn.Module):
    """What all models have in common."""

    def __init__(self, **config: Any) -> None:
        super().__init__()
        self.config = config

    def save_pretrained(self, folder: Path, variant: str = "", **changed: Any) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        described = {"_class_name": type(self).__name__, **self.config, **changed}
        (folder / "config.json").write_text(json.dumps(described))
        save_file(self.state_dict(), folder / f"{STEM}{variant and '.' + variant}.safetensors")

    @classmethod
    def from_pretrained(
        cls,
        folder: str,
        *,
        local_files_only: bool,
        output_loading_info: bool,
        use_safetensors: bool,
        low_cpu_mem_usage: bool,
        variant: str = "",
    ) -> Any:
        assert local_files_only
        assert output_loading_info
        config = json.loads((Path(folder) / "config.json").read_text())
        model = cls(**{name: value for name, value in config.items() if not name.startswith("_")})
        file = Path(folder) / f"{STEM}{variant and '.' + variant}.{'safetensors' if use_safetensors else 'bin'}"
        weights = load_file(file) if use_safetensors else torch.load(file, weights_only=True)
        missing = model.load_state_dict(weights, strict=False).missing_keys
        return model.eval(), {"missing_keys": missing, "mismatched_keys": []}


class _Distribution:
    """Latents that are drawn, and the likeliest ones."""

    def __init__(self, mean: Tensor) -> None:
        self.mean = mean

    def mode(self) -> Tensor:
        return self.mean

    def sample(self) -> Tensor:
        return self.mean + torch.randn_like(self.mean)


class AutoencoderKL(ModelMixin):
    """Images to half their size and back; of videos with `frames`."""

    def __init__(self, latent_channels: int = 4, width: int = 8, layers: int = 1, frames: bool = False) -> None:
        super().__init__(latent_channels=latent_channels, width=width, layers=layers, frames=frames)
        self.spatial_compression_ratio = 2
        kind = nn.Conv3d if frames else nn.Conv2d
        step = (1, 2, 2) if frames else (2, 2)
        self.encoder = nn.Sequential(kind(3, width, 3, step, 1), kind(width, latent_channels, 1))
        self.decoder = nn.Sequential(
            kind(latent_channels, width, 1),
            nn.Upsample(scale_factor=step),
            *(kind(width, width, 1) for _ in range(layers - 1)),
            kind(width, 3, 3, 1, 1),
        )

    def encode(self, x: Tensor) -> Any:
        return SimpleNamespace(latent_dist=_Distribution(self.encoder(x)))

    def decode(self, z: Tensor) -> Any:
        return SimpleNamespace(sample=self.decoder(z))

    def forward(self, sample: Tensor, sample_posterior: bool = True) -> Any:
        raise AssertionError("its own forward is not what is run")


class UNet(ModelMixin):
    """A component without halves."""

    def __init__(self) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(4, 4, 2, 2)

    def forward(self, sample: Tensor) -> Tensor:
        return self.up(sample)


class Scheduler:
    """No model, though it is loaded alike."""

    from_pretrained = None
