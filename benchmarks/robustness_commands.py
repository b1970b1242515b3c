"""The commands that write files, on small inputs of their own; what they are killed in, and what disks fill under."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from robustness_processes import ARTIFACTLAB, Outcome, run

MODEL = "artifactlab.demo.unet:broken"
OWN_MODEL = """
import torch

def make(scale=1.0):
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.ConvTranspose2d(8, 3, 3, 2, 1, 1))
    with torch.no_grad():
        model[1].weight *= scale
    return model.eval()
"""
IMAGES = 12
"""per folder, so that most moments of a run are not spent on them"""


@dataclass(frozen=True)
class Writer:
    """A command that writes."""

    name: str
    arguments: tuple[str, ...]
    target: str
    """the file or the folder that it writes"""

    def run(self, folder: Path, quiet: bool = False, **options: object) -> Outcome:
        """Run it in a `prepared` folder."""
        return run([*ARTIFACTLAB, *self.arguments, *(["--quiet"] if quiet else [])], folder, **options)

    def written(self, folder: Path) -> dict[str, str]:
        """Digests of the files that it has written, and of others that it has left; drafts are hidden ones."""
        inputs = {*INPUTS}
        return {
            str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.rglob("*"))
            if path.is_file() and path.relative_to(folder).parts[0] not in inputs
        }


INPUTS = ("images", "better", "before.csv", "after.csv", "my_models.py")
ONE = ("--metric", "axis_excess")
FIX = ("fix", "my_models.py:make", "--site", "1", "--input", "images/00.png", "--crop", "64", "-o", "fixed.safetensors")
WRITERS = (
    Writer("score", ("score", "images", "--format", "csv", "-o", "scores.csv"), "scores.csv"),
    Writer("score --workers 2", ("score", "images", "--workers", "2", *ONE, "-o", "scores.txt"), "scores.txt"),
    Writer(
        "diagnose",
        ("diagnose", "my_models.py:make", "--input", "images/00.png", "--crop", "64", "-o", "report"),
        "report",
    ),
    Writer("fix", FIX, "fixed.safetensors"),
    Writer("fix --distil", (*FIX, "--distil", "images", "--steps", "60"), "fixed.safetensors"),
    Writer(
        "compare", ("compare", "before.csv", "after.csv", "--format", "json", "-o", "compared.json"), "compared.json"
    ),
    Writer(
        "compare, folders",
        ("compare", "images", "better", "--workers", "2", *ONE, "-o", "compared.txt"),
        "compared.txt",
    ),
    Writer(
        "compare, models",
        (
            "compare",
            "my_models.py:make",
            "my_models.py:make",
            "--input",
            "images/00.png",
            "--kwargs",
            '{"scale": 1.0}',
            "--kwargs",
            '{"scale": 1.2}',
            "-o",
            "parted.txt",
        ),
        "parted.txt",
    ),
    Writer("init-config", ("init-config", "--force", "-o", "artifactlab.toml"), "artifactlab.toml"),
)
"""all of them but `demo`, which is `diagnose` with everything given"""


def prepare(folder: Path) -> None:
    """What the commands read: images before and after, scores of both, a model."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    (folder / "my_models.py").write_text(OWN_MODEL)
    for name, factor in (("images", 4), ("better", 1)):
        (folder / name).mkdir()
        for number in range(IMAGES):
            smooth = cv2.GaussianBlur(rng.normal(size=(96, 96, 3)), (0, 0), 4)
            pixels = (128 + 40 * smooth / smooth.std()).clip(0, 255).astype(np.uint8)
            pixels = np.kron(pixels[::factor, ::factor], np.ones((factor, factor, 1), np.uint8))
            cv2.imwrite(str(folder / name / f"{number:02d}.png"), pixels)
    for name, value in (("before", 0.5), ("after", 0.1)):
        rows = [f"{number:02d}.png,{value + number / 1000},\n" for number in range(IMAGES)]
        (folder / f"{name}.csv").write_text("path,axis_excess,error\n" + "".join(rows))
