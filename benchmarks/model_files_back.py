"""Fixed models written back into the format that they came in, and opened there by the library itself.

`python benchmarks/model_files_back.py`, with spandrel, diffusers and transformers (`[bench-models]`). Random weights
are saved as a file of spandrel's or a folder of diffusers or transformers, `fix` is run on every site that it can swap,
and what it wrote is opened by the library's own loader. A row passes where its picture is that of `load_model` with
artifactlab's own weights, or where nothing was written and the reason was said. Random weights are the hard case: no
smooth kernel is near to them.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from architectures_spandrel import ARCHITECTURES
from architectures_torchvision import provide_operators
from model_files_folders import autoencoder, pipeline, transformer
from model_files_spandrel import NAMES
from publish import arguments, markdown_table, publish
from torch import Tensor, nn

import artifactlab
from artifactlab.cli.main import main as command
from artifactlab.errors import ArtifactLabError
from artifactlab.fix import replace_upsampler
from artifactlab.lint.model_copy import full_copy

HALF = 2
"""the outer half of the picture is border: what pads differently is carried far by the layers behind it"""
OPTIONS = ({}, {"kernel_size": 1})
"""of the new layer: as it is by default, and, where the old layer cannot hold that, the smallest"""
LARGER = 4
"""Times the side of a second picture: what a norm over the whole picture carries in from the border falls with that"""
MARGIN = 3.0
"""dB that the library's picture may be farther from ours than `fix` says, whose border is narrower"""
EXACT, FALLS = 0.5, 0.5
"""Of 255, what an exact row may differ by: what rounds to the same pixel; or, where a norm carries the border in, the
share that may be left on the larger picture, whose border is a quarter as much of it"""
HEADER = ("model", "site", "new layer", "written", "opened by", "largest difference, of 255", "dB", "said by `fix`")


@dataclass(frozen=True)
class Kind:
    """A file or folder, and how its library opens what became of it."""

    name: str
    save: Callable[[Path], Path]
    """writes it into a folder; returns what is typed"""
    reload: Callable[[Path], Callable[[Tensor], Tensor]]
    """the library's own loader, of what was written"""
    loader: str
    side: int = 64
    """pixels of the images that it takes"""
    is_any_size: bool = True
    """whether it takes other sizes, too: image processors resize"""


@dataclass(frozen=True)
class Row:
    """What became of a fix at one site."""

    cells: tuple[str, ...]
    passed: bool


def spandrel_kind(name: str) -> Kind:
    """Random weights under `params_ema`, as training code writes them."""
    found = next(one for one in ARCHITECTURES if one.name == name)

    def save(folder: Path) -> Path:
        torch.manual_seed(0)
        torch.save({"params_ema": found.build().state_dict()}, folder / "4x-foo.pth")
        return folder / "4x-foo.pth"

    def reload(written: Path) -> Callable[[Tensor], Tensor]:
        import spandrel

        opened = spandrel.ModelLoader().load_from_file(written / "out.elsewhere.pth").eval()
        assert isinstance(opened, spandrel.ImageModelDescriptor)
        return lambda x: opened._call_fn(opened.model, x)  # as it calls itself, but for cutting to 0 and 1

    return Kind(name.removeprefix("spandrel "), save, reload, "spandrel.ModelLoader")


def diffusers_kind(name: str, save: Callable[[Path], Any], loader: str) -> Kind:
    def reload(written: Path) -> Callable[[Tensor], Tensor]:
        import diffusers

        opened = getattr(diffusers, loader).from_pretrained(written / "out").eval()

        def run(x: Tensor) -> Tensor:
            code = opened.encode(2 * x - 1)
            latents = code.latent_dist.mode() if hasattr(code, "latent_dist") else code.latents
            return (opened.decode(latents).sample + 1) / 2

        return run

    return Kind(name, saved_by(save), reload, f"{loader}.from_pretrained")


def transformers_kind(name: str, loader: str, field: str, side: int = 64) -> Kind:
    def reload(written: Path) -> Callable[[Tensor], Tensor]:
        import transformers

        opened = getattr(transformers, loader).from_pretrained(written / "out").eval()
        return lambda x: getattr(opened(2 * x - 1), field)

    return Kind(
        name, saved_by(transformer(name, f"1x3x{side}x{side}")), reload, f"{loader}.from_pretrained", side, False
    )


def saved_by(save: Callable[[Path], Any]) -> Callable[[Path], Path]:
    def into(folder: Path) -> Path:
        torch.manual_seed(0)
        (folder / "model").mkdir()
        save(folder / "model")
        return folder / "model"

    return into


KINDS = [
    *map(spandrel_kind, NAMES),
    diffusers_kind("AutoencoderKL", autoencoder("AutoencoderKL", "1x4x32x32"), "AutoencoderKL"),
    diffusers_kind("pipeline's vae", pipeline, "AutoencoderKL"),
    diffusers_kind("AutoencoderTiny", autoencoder("AutoencoderTiny", "1x4x8x8"), "AutoencoderTiny"),
    transformers_kind("Swin2SRForImageSuperResolution", "AutoModelForImageToImage", "reconstruction"),
    transformers_kind("DPTForDepthEstimation", "AutoModelForDepthEstimation", "predicted_depth"),
    transformers_kind("SegformerForSemanticSegmentation", "AutoModelForSemanticSegmentation", "logits", 128),
]


def rows(kind: Kind) -> Iterator[Row]:
    """A row for each site that can be swapped, and one more where only the smallest layer goes back."""
    with TemporaryDirectory() as name:
        path = kind.save(Path(name))
        image = artifactlab.make_probe("zone-plate", kind.side).expand(1, 3, -1, -1).contiguous()
        model = artifactlab.load_model(str(path))
        sites = swappable(model, image)
        for site in sites:
            for options in OPTIONS:
                row = fixed(kind, path, image, site, options)
                yield row
                if row.cells[3] != "nothing":
                    break
        if not sites:
            yield Row((kind.name, "none that `fix` can swap", *[""] * 6), True)


def swappable(model: nn.Module, image: Tensor) -> list[str]:
    """Keys of the sites that a new layer can be put at."""
    with torch.no_grad(), artifactlab.capture(model) as found:
        model(image)
    keys = []
    for site in {one.site.key: one.site for one in found.sites}.values():
        with contextlib.suppress(ArtifactLabError):
            replace_upsampler(full_copy(model), site)
            keys.append(site.key)
    return keys


def fixed(kind: Kind, path: Path, image: Tensor, site: str, options: dict[str, Any]) -> Row:
    """Run `fix` as it is typed, and open what it wrote by both programs."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        out = folder / ("out" if path.is_dir() else "out.safetensors")
        probe = ("--probe", "zone-plate", "--size", f"{kind.side}x{kind.side}")
        said = run("fix", str(path), "--site", site, "--options", json.dumps(options), *probe, "-o", str(out))
        (back,) = said["back"]
        files = [Path(one).name for one in back["files"]]
        words = back["sentence"].replace(str(path), path.name).replace(name, "").partition("; this does")[0]
        start = (kind.name, f"`{site}`", json.dumps(options) if options else "default", ", ".join(files) or "nothing")
        if not files:
            return Row((*start, "", "", "" if back["psnr"] is None else f"{back['psnr']:.1f}", words), bool(words))
        own = out / "artifactlab.safetensors" if path.is_dir() else out
        ours, theirs = artifactlab.load_model(str(path), checkpoint=own), kind.reload(folder)
        largest, decibels = differences(ours, theirs, image)
        texts, same = f"{largest:.2g}", decibels >= back["psnr"] - MARGIN
        if "only the image's border differs" in words:
            same = largest < EXACT
            if not same and kind.is_any_size:
                larger = artifactlab.make_probe("zone-plate", LARGER * kind.side).expand(1, 3, -1, -1).contiguous()
                smaller_share, _ = differences(ours, theirs, larger)
                same = smaller_share < max(EXACT, FALLS * largest)
                texts += f"; {smaller_share:.2g} at {LARGER} times the side"
        return Row((*start, kind.loader, texts, f"{decibels:.1f}", words), same)


def differences(ours: nn.Module, theirs: Callable[[Tensor], Tensor], image: Tensor) -> tuple[float, float]:
    """The largest one in the middle of the picture, of 255 over the picture's own range, and the PSNR of white at 1."""
    expected, got = pictured(ours, image), pictured(theirs, image)
    error = (got - expected).double()
    largest = 255 * float(error.abs().max() / (expected.max() - expected.min()))
    return largest, -10 * float(error.square().mean().clamp_min(1e-30).log10())


def run(*line: str) -> dict[str, Any]:
    """The JSON of a command."""
    told = io.StringIO()
    with contextlib.redirect_stdout(told), contextlib.redirect_stderr(io.StringIO()) as errors:
        try:
            command([*line, "--format", "json"], prog_name="artifactlab")
        except SystemExit as end:
            if end.code == 2:
                raise SystemExit(f"{' '.join(line)}: {errors.getvalue()}") from end
    return dict(json.loads(told.getvalue()))


def pictured(model: Callable[[Tensor], Any], image: Tensor) -> Tensor:
    """The middle of the picture that a model makes."""
    with torch.no_grad():
        made = model(image)
    made = next(iter(made.values())) if isinstance(made, dict) else made
    for axis in (-2, -1):
        size = made.shape[axis]
        made = made.narrow(axis, size // 2 // HALF, size // HALF)
    return made.squeeze()


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--only", default="", help="models whose name has this in it")
    asked = parser.parse_args()
    provide_operators()
    warnings.simplefilter("ignore")  # of how the libraries use torch
    made: list[Row] = []
    for kind in KINDS:
        for row in rows(kind) if asked.only in kind.name else ():
            made.append(row)
            print(*row.cells, "" if row.passed else "FAILED", sep=" | ", file=sys.stderr, flush=True)
    written = sum(row.cells[3] not in ("nothing", "") for row in made)
    passed = f"{sum(row.passed for row in made)} of {len(made)} rows pass; {written} were written and opened."
    publish("model_files_back", f"{markdown_table(HEADER, [row.cells for row in made])}\n\n{passed}", asked.publish)
    if not all(row.passed for row in made):
        sys.exit(1)


if __name__ == "__main__":
    main()
