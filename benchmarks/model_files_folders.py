"""Folders that diffusers and transformers write, opened by the command line: random small models, saved and typed.

    python benchmarks/model_files_folders.py

A folder passes where `lint FOLDER` and `diagnose FOLDER` exit with 0, and the sites are those of the model that was
saved: of an autoencoder, those of its own decode. Hostile folders pass where both end with 2 and one line.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from architectures_diffusers import ARCHITECTURES as AUTOENCODERS
from architectures_records import Architecture
from architectures_transformers import ARCHITECTURES as TRANSFORMERS
from model_files import Outcome, differing, own_sites, prepare, run
from torch import Tensor, nn

PROBE = ("--probe", "slanted-edge", "--size")
PREPROCESSOR = {
    "do_resize": True,
    "size": {"height": 64, "width": 64},
    "do_rescale": True,
    "do_normalize": True,
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
}


@dataclass(frozen=True)
class Case:
    """A folder, and what is typed after it."""

    name: str
    save: Callable[[Path], Any]
    """writes the folder; returns what has the sites, with its input, or None of a hostile one"""
    typed: tuple[str, ...] = (*PROBE, "64x64")
    kwargs: dict[str, Any] = field(default_factory=dict)


class Decode(nn.Module):
    """An autoencoder's own decode, with its names."""

    def __init__(self, model: nn.Module, **given: Any) -> None:
        super().__init__()
        self._modules, self.model, self.given = model._modules, [model], given

    def forward(self, latents: Tensor) -> Tensor:
        return self.model[0].decode(latents, **self.given).sample


def named(known: list[Architecture], name: str) -> Architecture:
    return next(one for one in known if one.name.split(maxsplit=1)[1] == name)


def autoencoder(name: str, latents: str, **given: Any) -> Callable[[Path], Any]:
    def save(folder: Path) -> Any:
        model = named(AUTOENCODERS, name).build()
        model.save_pretrained(folder)
        return Decode(model, **given), _noise(latents)

    return save


def transformer(name: str, size: str = "1x3x64x64") -> Callable[[Path], Any]:
    def save(folder: Path) -> Any:
        model = named(TRANSFORMERS, name).build()
        model.save_pretrained(folder)
        (folder / "preprocessor_config.json").write_text(
            json.dumps({**PREPROCESSOR, "size": dict(zip(("height", "width"), _sides(size), strict=True))})
        )
        return model, _noise(size)

    return save


def pipeline(folder: Path) -> Any:
    truth = autoencoder("AutoencoderKL", "1x4x32x32")(folder / "vae")
    (folder / "model_index.json").write_text(
        json.dumps({"_class_name": "StableDiffusionPipeline", "vae": ["diffusers", "AutoencoderKL"]})
    )
    return truth


def pickled(folder: Path) -> Any:
    """The same in pickles of tensors."""
    model, latents = autoencoder("AutoencoderKL", "1x4x32x32")(folder)
    (folder / "diffusion_pytorch_model.safetensors").unlink()
    torch.save(model.model[0].state_dict(), folder / "diffusion_pytorch_model.bin")
    return model, latents


def half(folder: Path) -> Any:
    """In half precision, in a variant and in shards."""
    model, latents = autoencoder("AutoencoderKL", "1x4x32x32")(folder)
    (folder / "diffusion_pytorch_model.safetensors").unlink()
    model.model[0].half().save_pretrained(folder, variant="fp16", max_shard_size="100KB")
    return Decode(model.model[0].float()), latents


def hostile(**changed: Any) -> Callable[[Path], None]:
    def save(folder: Path) -> None:
        named(AUTOENCODERS, "AutoencoderKL").build().save_pretrained(folder)
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, **changed}))

    return save


class _Runs:
    """A pickle that would write a file."""

    def __reduce__(self) -> Any:
        return (print, ("CODE HAS RUN",))


def pickle_with_code(folder: Path) -> None:
    hostile()(folder)
    (folder / "diffusion_pytorch_model.safetensors").unlink()
    torch.save({"encoder.conv_in.weight": _Runs()}, folder / "diffusion_pytorch_model.bin")


def without_weights(folder: Path) -> None:
    hostile()(folder)
    (folder / "diffusion_pytorch_model.safetensors").unlink()


CASES = [
    Case("AutoencoderKL, images", autoencoder("AutoencoderKL", "1x4x32x32")),
    Case("AutoencoderKL, latents", autoencoder("AutoencoderKL", "1x4x32x32"), ("--noise", "1x4x32x32")),
    Case("AutoencoderKL, .bin", pickled),
    Case("AutoencoderKL, fp16 shards", half),
    Case("pipeline folder", pipeline),
    Case("AutoencoderTiny", autoencoder("AutoencoderTiny", "1x4x8x8")),
    Case("AutoencoderDC", autoencoder("AutoencoderDC", "1x4x16x16")),
    Case("VQModel, latents", autoencoder("VQModel", "1x3x32x32"), ("--noise", "1x3x32x32"), {"input": "latents"}),
    Case(
        "TemporalDecoder",
        autoencoder("AutoencoderKLTemporalDecoder", "2x4x32x32", num_frames=2),
        ("--noise", "2x4x32x32", "--count", "2"),
    ),
    Case("Oobleck, latents", autoencoder("AutoencoderOobleck", "1x4x64"), ("--noise", "1x4x64")),
    Case("LTX, video", autoencoder("AutoencoderKLLTXVideo", "1x8x2x8x8"), (*PROBE, "9x64x64")),
    Case("LTX, latents", autoencoder("AutoencoderKLLTXVideo", "1x8x2x8x8"), ("--noise", "1x8x2x8x8", "--count", "2")),
    Case("Wan, video", autoencoder("AutoencoderKLWan", "1x4x3x16x16"), (*PROBE, "9x64x64")),
    Case("Wan, an image", autoencoder("AutoencoderKLWan", "1x4x1x16x16")),
    Case(
        "CogVideoX, latents",
        autoencoder("AutoencoderKLCogVideoX", "1x4x3x8x8"),
        ("--noise", "1x4x3x8x8", "--count", "2"),
    ),
    Case("Swin2SR", transformer("Swin2SRForImageSuperResolution")),
    Case("DPT depth", transformer("DPTForDepthEstimation")),
    Case("DPT, resized", transformer("DPTForDepthEstimation"), (*PROBE, "128x128")),
    Case("DepthAnything", transformer("DepthAnythingForDepthEstimation")),
    Case("GLPN", transformer("GLPNForDepthEstimation")),
    Case("Segformer", transformer("SegformerForSemanticSegmentation", "1x3x128x128"), (*PROBE, "128x128")),
    Case("UperNet", transformer("UperNetForSemanticSegmentation", "1x3x192x192"), (*PROBE, "192x192")),
    Case("Mask2Former", transformer("Mask2FormerForUniversalSegmentation", "1x3x128x128"), (*PROBE, "128x128")),
]
HOSTILE = [
    Case("class os.system", hostile(_class_name="os.system")),
    Case("class of no model", hostile(_class_name="DDIMScheduler")),
    Case("class a list", hostile(_class_name=["my", "Vae"])),
    Case("auto_map", hostile(auto_map={"AutoModel": "evil.Vae"})),
    Case("widths of a million", hostile(block_out_channels=[1 << 20, 1 << 20])),
    Case("10^9 layers", hostile(layers_per_block=10**9)),
    Case("10^7 layers", hostile(layers_per_block=10**7)),
    Case("wider than its weights", hostile(block_out_channels=[16, 32])),
    Case("no weights", without_weights),
    Case("a pickle with code", pickle_with_code),
]


@dataclass(frozen=True)
class Row:
    """What became of a folder."""

    name: str
    passed: bool
    said: str
    peak: int
    """MB of the command that took most"""


def measured(case: Case, refused: bool) -> Row:
    """The rows of one folder, opened by both commands."""
    with TemporaryDirectory() as name:
        truth = case.save(Path(name))
        options = ["--kwargs", json.dumps(case.kwargs)] if case.kwargs else []
        lint = run("lint", name, *options)
        diagnose = run("diagnose", name, *options, *case.typed, "--format", "json")
        passed, said = _refused(lint, diagnose) if refused else _opened(lint, diagnose, own_sites(*truth))
        return Row(case.name, passed, said.replace(name, "FOLDER"), max(lint.megabytes, diagnose.megabytes))


def _refused(lint: Outcome, diagnose: Outcome) -> tuple[bool, str]:
    passed = all(one.code == 2 and len(one.err.strip().splitlines()) == 1 for one in (lint, diagnose))
    return passed and "CODE HAS RUN" not in lint.out, lint.said


def _opened(lint: Outcome, diagnose: Outcome, expected: list[str]) -> tuple[bool, str]:
    if lint.code or diagnose.code:
        failed = lint if lint.code else diagnose
        return False, f"{failed.code}: {failed.said}"
    found = diagnose.sites()
    return set(found) == set(expected), differing(found, expected)


def _sides(size: str) -> list[int]:
    return [int(side) for side in size.split("x")[-2:]]


def _noise(size: str) -> Tensor:
    return torch.randn([int(side) for side in size.split("x")], generator=torch.Generator().manual_seed(0))


def main(wanted: str = "") -> None:
    prepare()
    passed = True
    print(f"{'folder':28}{'':6}{'MB':>6}  what it said, or sites that are those of the model itself")
    for case, refused in [*((one, False) for one in CASES), *((one, True) for one in HOSTILE)]:
        if wanted not in case.name:
            continue
        row = measured(case, refused)
        passed &= row.passed
        print(f"{row.name:28}{'ok' if row.passed else 'FAIL':6}{row.peak:6}  {row.said}", flush=True)
    sys.exit(not passed)


if __name__ == "__main__":
    main(*sys.argv[1:])
