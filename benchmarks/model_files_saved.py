"""Models as MONAI, segmentation-models-pytorch, Lightning and Keras save them: the sites and the verdict of a twin?

    python benchmarks/model_files_saved.py

with artifactlab's extras `monai`, `smp`, `keras`, `spandrel` and `lightning`. Each model is saved as its library does
it, opened as a user would, and diagnosed beside a twin that was never a file: the same module, or, of Keras, layers of
torch with the same weights. A row is right where sites (kind, factor and name) and verdicts are those of the twin.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from architectures_torchvision import provide_operators
from publish import arguments, markdown_table, stamp
from torch import Tensor, nn

import artifactlab

os.environ["KERAS_BACKEND"] = "torch"
MONAI: dict[str, tuple[dict[str, Any], str]] = {
    "UNet": (
        {"spatial_dims": 2, "in_channels": 1, "out_channels": 2, "channels": [4, 8, 16], "strides": [2, 2]},
        "1x1x64x64",
    ),
    "SegResNet": ({"spatial_dims": 2, "in_channels": 1, "out_channels": 2, "init_filters": 8}, "1x1x64x64"),
    "DynUNet": (
        {
            "spatial_dims": 3,
            "in_channels": 1,
            "out_channels": 2,
            "kernel_size": [3, 3, 3],
            "strides": [1, 2, 2],
            "upsample_kernel_size": [2, 2],
            "filters": [4, 8, 16],
        },
        "1x1x32x32x32",
    ),
}
SMP = ("Unet", "FPN", "Linknet", "DeepLabV3Plus")
LIGHTNING = ("model", "generator", "net")
"""Attributes of three Lightning modules that hold the network."""


@dataclass(frozen=True)
class Saved:
    """A file or folder, and the model that was never one."""

    target: str
    twin: nn.Module
    x: Tensor
    how: dict[str, Any]
    """Further arguments of `load_model`."""


class Net(nn.Sequential):
    """What is trained by Lightning here."""

    def __init__(self) -> None:
        super().__init__(
            nn.Conv2d(3, 8, 3, padding=1), nn.ConvTranspose2d(8, 8, 3, 2, 1, 1), nn.ReLU(), nn.Conv2d(8, 3, 3)
        )


def monai(name: str, folder: Path) -> Saved:
    import monai.networks.nets as nets

    given, size = MONAI[name]
    model = getattr(nets, name)(**given)
    for part in ("configs", "models"):
        (folder / part).mkdir()
    config = {"network_def": {"_target_": name, **given}, "channels": given["in_channels"]}
    config["network_def"]["in_channels"] = "@channels"
    (folder / "configs" / "inference.json").write_text(json.dumps(config))
    torch.save(model.state_dict(), folder / "models" / "model.pt")
    return Saved(str(folder), model.eval(), _noise(size), {})


def smp(name: str, folder: Path) -> Saved:
    import segmentation_models_pytorch as package

    model = getattr(package, name)("resnet18", encoder_weights=None, classes=3)
    model.save_pretrained(folder)
    return Saved(str(folder), model.eval(), _noise("1x3x64x64"), {})


def lightning(name: str, folder: Path) -> Saved:
    """Saved by Lightning's own trainer, beside the weights of a discriminator."""
    import lightning.pytorch as pl

    module = pl.LightningModule()
    setattr(module, name, Net())
    module.discriminator = nn.Conv2d(3, 1, 3)
    trainer = pl.Trainer(logger=False, enable_progress_bar=False, enable_model_summary=False, accelerator="cpu")
    trainer.strategy.connect(module)
    trainer.save_checkpoint(folder / "x.ckpt")
    how = {"checkpoint": folder / "x.ckpt", "checkpoint_key": "state_dict"}
    return Saved(f"{__file__}:Net", getattr(module, name).eval(), _noise("1x3x64x64"), how)


def keras(name: str, folder: Path) -> Saved:
    """A small decoder of Keras, and the same of torch with its weights."""
    import keras as package

    layers = package.layers
    up: Any = layers.UpSampling2D(2) if name == "nearest" else layers.Conv2DTranspose(8, 3, 2, padding="same")
    last = layers.Conv2D(3, 3, padding="valid")
    model = package.Sequential([package.Input((None, None, 3)), layers.Conv2D(8, 3, padding="valid"), up, last])
    model.save(folder / "x.keras")
    first, *_ = model.layers
    twin = nn.Sequential(_conv(first), _upsampled(up, name), _conv(last))
    return Saved(str(folder / "x.keras"), twin.eval(), _noise("1x3x64x64"), {})


def _conv(layer: Any) -> nn.Conv2d:
    kernel, bias = (value.value.detach() for value in layer.weights)
    conv = nn.Conv2d(kernel.shape[2], kernel.shape[3], 3)
    conv.load_state_dict({"weight": kernel.permute(3, 2, 0, 1), "bias": bias})
    return conv


def _upsampled(layer: Any, name: str) -> nn.Module:
    if name == "nearest":
        return nn.Upsample(scale_factor=2)
    kernel, bias = (value.value.detach() for value in layer.weights)
    conv = nn.ConvTranspose2d(8, 8, 3, 2)
    conv.load_state_dict({"weight": kernel.permute(3, 2, 0, 1), "bias": bias})
    return nn.Sequential(conv, nn.ZeroPad2d((0, -1, 0, -1)))


FORMATS: dict[str, tuple[Callable[[str, Path], Saved], tuple[str, ...]]] = {
    "MONAI bundle": (monai, tuple(MONAI)),
    "SMP folder": (smp, SMP),
    "Lightning": (lightning, LIGHTNING),
    "Keras": (keras, ("nearest", "transposed")),
}
"""Format -> what saves a model of it, and which."""


def row(kind: str, name: str) -> tuple[str, ...]:
    """What became of one model."""
    save, _ = FORMATS[kind]
    with TemporaryDirectory() as folder:
        torch.manual_seed(0)
        saved = save(name, Path(folder))
        try:
            opened = artifactlab.load_model(saved.target, **saved.how)
        except artifactlab.ArtifactLabError as error:
            return kind, name, "no", "-", "-", "-", str(error)[:80]
        with torch.no_grad():
            far = float((opened(saved.x) - saved.twin(saved.x)).abs().max())
        ours, theirs = _found(saved.twin, saved.x), _found(opened, saved.x)
    named = sorted({site[0] for site in theirs})
    kinds = [sorted(site[1:3] for site in found) for found in (ours, theirs)]
    words = [sorted(site[3] for site in found) for found in (ours, theirs)]
    return kind, name, "yes", f"{far:.0e}", _like(*kinds), _like(*words), ", ".join(named)


def _found(model: nn.Module, x: Tensor) -> list[tuple[str, str, str, str]]:
    """Name, kind, factor and verdict of each site."""
    layout = "NCDHW" if x.ndim == 5 else "NCHW"
    sites = artifactlab.diagnose(model, x, data_range=1.0, layout=layout).sites
    return [(one.site.name, one.site.op, str(one.site.scale), one.verdict) for one in sites]


def _like(ours: list[Any], theirs: list[Any]) -> str:
    return "same" if ours == theirs else f"**{theirs}, not {ours}**"


def _noise(size: str) -> Tensor:
    return torch.rand([int(side) for side in size.split("x")], generator=torch.Generator().manual_seed(0))


def main() -> None:
    arguments(__doc__).parse_args()
    provide_operators()
    print(markdown_table(["saved by", "model", "opened", "output off by", "sites", "verdicts", "names"], []))
    rows: list[tuple[str, ...]] = []
    for kind, (_, names) in FORMATS.items():
        for name in names:
            rows.append(row(kind, name))
            print("| " + " | ".join(rows[-1]) + " |", flush=True)  # each when it is there: all of them take minutes
    right = sum(row[4] == row[5] == "same" for row in rows)
    print(f"\n{right} of {len(rows)} have the sites and the verdicts of their twin. {stamp()}")
    if right < len(rows):
        sys.exit(1)


if __name__ == "__main__":
    main()
