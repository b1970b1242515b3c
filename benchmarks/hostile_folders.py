"""Folders as diffusers and transformers write them in which something was changed, and what is no regular file."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import torch
from architectures_records import Architecture
from hostile_pickles import TRICKS, in_zip
from robustness_bombs import header

Make = Callable[[Path], object]
WEIGHTS = "diffusion_pytorch_model.safetensors"
EVIL = "open('ran', 'w').close()\nraise SystemExit\n"


def _named(known: list[Architecture], name: str) -> Any:
    torch.manual_seed(0)
    return next(one for one in known if one.name.split(maxsplit=1)[1] == name).build()


@cache
def _autoencoder() -> Path:
    """The folder of an autoencoder, kept until the process ends."""
    from architectures_diffusers import ARCHITECTURES

    folder = Path(tempfile.mkdtemp())
    _named(ARCHITECTURES, "AutoencoderKL").save_pretrained(folder)
    return folder


@cache
def _upscaler() -> Path:
    from architectures_transformers import ARCHITECTURES

    folder = Path(tempfile.mkdtemp())
    _named(ARCHITECTURES, "Swin2SRForImageSuperResolution").save_pretrained(folder)
    return folder


def build() -> None:
    """Write the folders that are copied, before workers are forked that would each have their own."""
    _autoencoder()
    _upscaler()


def remove() -> None:
    """Remove the folders that are copied."""
    for made in (_autoencoder, _upscaler):
        if made.cache_info().currsize:
            shutil.rmtree(made())


def autoencoder(folder: Path) -> None:
    shutil.copytree(_autoencoder(), folder, dirs_exist_ok=True)


def upscaler(folder: Path) -> None:
    shutil.copytree(_upscaler(), folder, dirs_exist_ok=True)


def _config(**values: object) -> Make:
    def make(folder: Path) -> None:
        autoencoder(folder)
        known = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**known, **values}))

    return make


def _swin(**values: object) -> Make:
    def make(folder: Path) -> None:
        upscaler(folder)
        known = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**known, **values}))

    return make


def _text(name: str, content: str | bytes, start: Make = autoencoder) -> Make:
    def make(folder: Path) -> None:
        start(folder)
        (folder / name).unlink(missing_ok=True)
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())

    return make


def _pickled(name: str, content: bytes, start: Make = autoencoder) -> Make:
    """Weights in a pickle, in the place of safe ones."""

    def make(folder: Path) -> None:
        start(folder)
        for path in folder.glob("*.safetensors"):
            path.unlink()
        (folder / name).write_bytes(content)

    return make


def _pipeline(index: dict[str, object], component: str = "vae") -> Make:
    def make(folder: Path) -> None:
        if component:
            autoencoder(folder / component)
        (folder / "model_index.json").write_text(json.dumps(index))
        (folder / "pipeline.py").write_text(EVIL)
        (folder / "evil.py").write_text(EVIL)

    return make


def _moved(name: str, put: Callable[[Path], object]) -> Make:
    """With something else in the place of a file."""

    def make(folder: Path) -> None:
        autoencoder(folder)
        (folder / name).unlink()
        put(folder / name)

    return make


def _with_code(make: Make) -> Make:
    def made(folder: Path) -> None:
        make(folder)
        for name in ("evil.py", "modeling_evil.py", "__init__.py", "configuration_evil.py", "diffusers.py", "torch.py"):
            (folder / name).write_text(EVIL)

    return made


BILLION, MILLION = 10**9, 10**6
INDEX = "diffusion_pytorch_model.safetensors.index.json"
FOLDERS: dict[str, Make] = {
    "class os.system": _config(_class_name="os.system"),
    "class of a private module": _config(_class_name="models.os.system"),
    "class of no model": _config(_class_name="DDIMScheduler"),
    "class a list": _config(_class_name=["evil", "Vae"]),
    "class a number": _config(_class_name=7),
    "class with control characters": _config(_class_name="\x1b[2J\r\n"),
    "class of a megabyte": _config(_class_name="A" * MILLION),
    "auto_map": _with_code(_config(auto_map={"AutoModel": "evil.Vae"})),
    "auto_map of a path": _with_code(_config(auto_map={"AutoModel": "../../evil--evil.Vae"})),
    "auto_map in transformers": _with_code(_swin(auto_map={"AutoModel": "modeling_evil.Vae"})),
    "custom class in transformers": _with_code(_swin(architectures=["modeling_evil.Vae"])),
    "architecture os.system": _swin(architectures=["os.system"]),
    "architecture a dict": _swin(architectures={"a": "b"}),
    "no architecture": _swin(architectures=[]),
    "an adapter": _text("adapter_config.json", "{}"),
    "custom pipeline": _pipeline({"_class_name": ["pipeline", "Evil"], "vae": ["evil", "Vae"]}, component=""),
    "pipeline without components": _pipeline({"_class_name": "StableDiffusionPipeline"}, component=""),
    "pipeline whose component leads out": _pipeline({"_class_name": "P", "../vae": ["diffusers", "A"]}, component=""),
    "pipeline of a million components": _pipeline(
        {"_class_name": "P", **{f"c{k}": ["a", "b"] for k in range(100_000)}}, ""
    ),
    "10^6 channels": _config(block_out_channels=[MILLION, MILLION]),
    "10^9 channels": _config(block_out_channels=[BILLION, BILLION]),
    "2^70 channels": _config(block_out_channels=[2**70, 2**70]),
    "0 channels": _config(block_out_channels=[0, 0]),
    "negative channels": _config(block_out_channels=[-16, -16]),
    "fractions of channels": _config(block_out_channels=[16.5, 16.5]),
    "10^5 layers": _config(layers_per_block=100_000),
    "10^7 layers": _config(layers_per_block=10**7),
    "10^9 layers": _config(layers_per_block=BILLION),
    "10^5 blocks": _config(
        block_out_channels=[16] * 100_000,
        down_block_types=["DownEncoderBlock2D"] * 100_000,
        up_block_types=["UpDecoderBlock2D"] * 100_000,
    ),
    "10^6 latent channels": _config(latent_channels=MILLION),
    "10^6 images' channels": _config(in_channels=MILLION, out_channels=MILLION),
    "10^9 groups": _config(norm_num_groups=BILLION),
    "0 groups": _config(norm_num_groups=0),
    "an activation that is code": _config(act_fn="__import__('os').system('touch ran')"),
    "blocks of no kind": _config(down_block_types=["os.system", "os.system"]),
    "10^6 embeddings": _swin(embed_dim=MILLION),
    "windows of 10^6": _swin(window_size=MILLION),
    "windows of 0": _swin(window_size=0),
    "upscale of 10^6": _swin(upscale=MILLION),
    "10^5 stages": _swin(depths=[1] * 100_000, num_heads=[1] * 100_000, num_layers=100_000),
    "10^9 heads": _swin(num_heads=[BILLION] * 2),
    "NaN in sizes": _config(block_out_channels=[float("nan"), float("nan")]),
    "Infinity as layers": _config(layers_per_block=float("inf")),
    "NaN in transformers": _swin(layer_norm_eps=float("nan")),
    "NaN in the processor": _text(
        "preprocessor_config.json",
        '{"do_normalize": true, "image_mean": [NaN, NaN, NaN], "image_std": [NaN, NaN, NaN]}',
        upscaler,
    ),
    "Infinity in the processor": _text(
        "preprocessor_config.json", '{"do_normalize": true, "image_mean": [0], "image_std": [Infinity]}', upscaler
    ),
    "a size of 10^9 in the processor": _text(
        "preprocessor_config.json", '{"do_resize": true, "size": {"height": 1000000000, "width": 1000000000}}', upscaler
    ),
    "a million means in the processor": _text(
        "preprocessor_config.json",
        json.dumps({"do_normalize": True, "image_mean": [0.5] * MILLION, "image_std": [0.5] * MILLION}),
        upscaler,
    ),
    "JSON nested": _text("config.json", '{"_class_name":' * 100_000),
    "JSON lists nested": _text(
        "config.json", '{"_class_name": "AutoencoderKL", "a": ' + "[" * 50_000 + "]" * 50_000 + "}"
    ),
    "JSON nested nearly too deep": _text(
        "config.json", '{"_class_name": "AutoencoderKL", "a": ' + "[" * 900 + "]" * 900 + "}"
    ),
    "JSON a list": _text("config.json", "[]"),
    "JSON empty": _text("config.json", ""),
    "JSON no UTF-8": _text("config.json", b'{"_class_name": "\xff"}'),
    "JSON of 20 MB": _text("config.json", '{"_class_name": "AutoencoderKL", "a": "' + "x" * 20_000_000 + '"}'),
    "JSON a number of 10^6 digits": _text(
        "config.json", '{"_class_name": "AutoencoderKL", "a": ' + "9" * MILLION + "}"
    ),
    "JSON a name twice": _text("config.json", '{"_class_name": "AutoencoderKL", "_class_name": "os.system"}'),
    "config a pipe": _moved("config.json", os.mkfifo),
    "config /dev/zero": _moved("config.json", lambda path: path.symlink_to("/dev/zero")),
    "config a folder": _moved("config.json", Path.mkdir),
    "config a link to itself": _moved("config.json", lambda path: path.symlink_to(path.name)),
    "weights a pipe": _moved(WEIGHTS, os.mkfifo),
    "weights /dev/zero": _moved(WEIGHTS, lambda path: path.symlink_to("/dev/zero")),
    "weights a folder": _moved(WEIGHTS, Path.mkdir),
    "weights a link to another's file": _moved(WEIGHTS, lambda path: path.symlink_to("/etc/passwd")),
    "weights missing": _moved(WEIGHTS, lambda path: None),
    "weights 3 GB of zeros": _moved(WEIGHTS, lambda path: (path.touch(), os.truncate(path, 3 << 30))),
    "weights a header of 10^9 bytes": _moved(
        WEIGHTS, lambda path: (path.write_bytes(header(b"{", length=10**9)), os.truncate(path, 10**9 + 9))
    ),
    "weights 10^5 empty tensors": _moved(
        WEIGHTS,
        lambda path: path.write_bytes(
            header(
                json.dumps(
                    {f"w{k}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for k in range(200_000)}
                ).encode()
            )
        ),
    ),
    "weights no safetensors": _text(WEIGHTS, b"\x80\x02}."),
    "weights of another net": _text(
        WEIGHTS, header(b'{"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}', data=bytes(4))
    ),
    "an index that leads out": _text(INDEX, '{"weight_map": {"w": "../../etc/passwd"}}'),
    "an index of lists": _text(INDEX, '{"weight_map": [["a"]]}'),
    "an index nested": _text(INDEX, '{"weight_map":' * 100_000),
    **{
        f".bin: {name}": _pickled("diffusion_pytorch_model.bin", in_zip(TRICKS[name]))
        for name in (
            "os.system, protocol 2",
            "builtins.exec",
            "getattr chain",
            "_load_from_bytes",
            "persistent id in a persistent id",
            "NEWOBJ",
            "tuples of twice itself",
        )
    },
    **{
        f".bin in transformers: {name}": _pickled("pytorch_model.bin", in_zip(TRICKS[name]), upscaler)
        for name in ("os.system, protocol 2", "getattr chain", "BUILD with __setstate__")
    },
    "an index of pickles": _with_code(
        _pickled("diffusion_pytorch_model-00001-of-00001.bin", in_zip(TRICKS["posix.system"]))
    ),
}
"""folders by what is wrong with them; the last part of a path is `model`"""


def _sparse(path: Path) -> None:
    path.touch()
    os.truncate(path, 3 << 30)


IRREGULAR: dict[str, tuple[str, Callable[[Path], object]]] = {
    f"{name}, {kind}": (f"x.{kind}", put)
    for kind in ("pth", "safetensors", "onnx", "pt2", "ts")
    for name, put in {
        "a pipe": os.mkfifo,
        "/dev/zero": lambda path: path.symlink_to("/dev/zero"),
        "a link to itself": lambda path: path.symlink_to(path.name),
        "3 GB of zeros": _sparse,
        "nothing": Path.touch,
    }.items()
}
NAMES = (
    "\x1b[2J.pth",
    "a\rb.pth",
    "a\nb.onnx",
    "\u202efoo.pt2",
    "x" * 240 + ".pth",
    os.fsdecode(b"\xff\xfe.pth"),
    "-x.pth",
    "[red].safetensors",
)
"""names of files that hold no net"""
