"""README and docs as a newcomer uses them: their Python runs, and so does every command, in the order they stand there.

What stands on several pages runs once.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import matplotlib.pyplot as plt
import nibabel
import numpy as np
import pytest
import scipy.ndimage
import torch
import yaml
from click.testing import CliRunner, Result
from safetensors.torch import save_file

from artifactlab.cli.main import main

ROOT = Path(__file__).resolve().parent.parent
PROMPTS = re.compile(r"^\$ (.*)$", re.MULTILINE)


def in_menu(entry: object) -> Iterator[str]:
    """Pages of a part of the site's menu, in its order."""
    if isinstance(entry, str):
        yield entry
    elif isinstance(entry, (list, dict)):
        for part in entry.values() if isinstance(entry, dict) else entry:
            yield from in_menu(part)


SITE = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
PAGES = [ROOT / "README.md", *(p for name in in_menu(SITE["nav"]) if (p := ROOT / "docs" / name).is_file())]
"""README first, then the site as somebody reads it from the first page to the last."""
TEXT = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
BLOCKS = list(dict.fromkeys(re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)))
SHELL = "".join(re.findall(r"```(?:console|text|bash)\n(.*?)```", TEXT, re.DOTALL)).replace("\\\n", " ")
TOML = re.search(r"```toml\n# (\S+)\n(.*?)```", TEXT, re.DOTALL)
COMMANDS = [list(c) for c in dict.fromkeys(tuple(shlex.split(line, comments=True)) for line in PROMPTS.findall(SHELL))]
OURS = [command[1:] for command in COMMANDS if command[0] == "artifactlab"]
ELSEWHERE = [["demo"]]
"""what another test runs just as it stands: tests/test_demo.py"""
SHORTER = {"--distil": ["--steps", "3"], "--calibrate": ["--false-alarms", "0.34"]}
"""option -> what is added so that a test does not train for minutes, nor scores hundreds of images"""
MODEL = """
import torch

class Generator(torch.nn.Module):
    def __init__(self, channels=3):
        super().__init__()
        self.up = torch.nn.ConvTranspose2d(channels, channels, 3, 2, 1, 1, bias=False)
        with torch.no_grad():
            kernel = torch.tensor([[0.2, 0.5, 0.2], [0.5, 0.8, 0.5], [0.3, 0.5, 0.3]])
            self.up.weight[:] = torch.eye(channels)[:, :, None, None] * kernel

    def forward(self, x):
        return self.up(x[..., ::2, ::2])

def make_generator(channels=3):
    return Generator(channels)

class Decoder(Generator):
    def forward(self, z, timestep: int, text: torch.Tensor):
        return self.up(z) + 0.001 * timestep * text.mean()

def make_decoder():
    return Decoder(4)

def make_segmenter():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Conv3d(1, 4, 3, 2, 1), torch.nn.ConvTranspose3d(4, 2, 3, 2, 1, 1))

def make_video_decoder():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.ConvTranspose3d(8, 3, (2, 4, 4), (2, 4, 4)), torch.nn.Sigmoid())

def make_vocoder():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.ConvTranspose1d(80, 8, 16, 8, 4), torch.nn.Conv1d(8, 1, 7, padding=3))

def latents():
    while True:
        yield {"z": torch.randn(1, 4, 64, 64), "timestep": 500, "text": torch.ones(1, 7)}
"""


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the docs suppose: a model with an offender, its weights, photos, outputs old and new."""
    desk = tmp_path_factory.mktemp("desk")
    (desk / "my_models.py").write_text(MODEL)
    known: dict[str, type[torch.nn.Module]] = {}
    exec(MODEL, known)
    weights = known["make_generator"]().state_dict()
    torch.save(weights, desk / "weights.pth")
    save_file(weights, desk / "weights.safetensors")
    np.save(desk / "text.npy", np.ones((1, 7)))
    rng = np.random.default_rng(0)
    np.save(desk / "mel.npy", rng.normal(size=(1, 80, 64)).astype(np.float32))
    scan = scipy.ndimage.gaussian_filter(rng.normal(size=(64, 64, 64)), 3).astype(np.float32)
    nibabel.save(nibabel.Nifti1Image(scan, np.eye(4)), desk / "scan.nii.gz")
    for folder, size, count in (("photos", 256, 1), ("check", 128, 2), ("outputs", 96, 5), ("outputs_fixed", 96, 5)):
        (desk / folder).mkdir()
        for number in range(count):
            noise = cv2.GaussianBlur(rng.normal(size=(size, size, 3)), (0, 0), 5)
            smooth = (128 + 30 * noise / noise.std()).clip(40, 200).astype(np.uint8)
            if folder == "outputs":
                smooth[::2, ::2] += 20
            cv2.imwrite(str(desk / folder / f"{number}.png"), smooth)
    assert TOML
    (desk / TOML[1]).write_text(TOML[2])
    return desk


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_every_python_block_runs(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    plt.switch_backend("agg")
    try:
        exec(compile(BLOCKS[number], f"block {number}", "exec"), {"__name__": "docs"})
    finally:
        plt.close("all")


@pytest.fixture(scope="module")
def results(desk: Path) -> dict[tuple[str, ...], Result]:
    """What each command of ours came to, in the order of the docs."""
    results = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(desk)
        for arguments in OURS:
            if arguments not in ELSEWHERE:
                extra = [word for option, words in SHORTER.items() if option in arguments for word in words]
                results[tuple(arguments)] = CliRunner().invoke(main, [*arguments, *extra])
    return results


def test_every_command_runs_in_the_order_of_the_docs(desk: Path, results: dict[tuple[str, ...], Result]) -> None:
    for arguments, result in results.items():
        # 1 says that three steps of training were too few, or that the outputs have grids, which they do
        may_fail = any(option in arguments for option in (*SHORTER, "shows"))
        assert result.exit_code in ((0, 1) if may_fail else (0,)), f"{arguments}: {result.output}"
    assert (desk / "report/report.html").is_file()
    assert (desk / "fixed.safetensors").is_file()


def test_what_the_docs_prove_is_proven(results: dict[tuple[str, ...], Result]) -> None:
    assert "better" in results["compare", "outputs/", "outputs_fixed/"].stdout.lower()


@pytest.mark.parametrize("command", [c for c in COMMANDS if c[0] == "make"], ids=" ".join)
def test_every_make_target_is_there(command: list[str]) -> None:
    subprocess.run([*command, "--dry-run"], cwd=ROOT, check=True, capture_output=True)


@pytest.mark.parametrize("line", re.findall(r"^\$ (eval .*)$", SHELL, re.MULTILINE))
def test_completion_is_what_a_shell_takes(line: str) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    check = subprocess.run(
        ["bash", "-c", f"{line}\ncomplete -p artifactlab"],
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
    )
    assert check.returncode == 0, check.stderr
    assert "artifactlab" in check.stdout


def test_there_is_nothing_in_the_shell_blocks_that_no_test_knows() -> None:
    assert {command[0] for command in COMMANDS} <= {"artifactlab", "make", "eval", "pip"}
    assert [c for c in COMMANDS if c[0] == "pip"] == [["pip", "install", "artifactlab"]]
    assert len(OURS) >= 10
    assert len(BLOCKS) >= 2
