"""CONTRIBUTING's examples work as they stand: packages installed, changes applied to a copy, and their tests pass."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "CONTRIBUTING.md").read_text()
BLOCKS = re.findall(r"```(python|diff|toml)\n(?:# |--- )(\S+)\n(.*?)```", TEXT, re.DOTALL)
PACKAGES = sorted({name.split("/")[0] for _, name, _ in BLOCKS if name.endswith("pyproject.toml")})
PLACES = re.findall(r"^\| ([^|]+) \| `([\w/]+\.py)`", TEXT, re.MULTILINE)
HOLDS = {
    "what counts as an upsampling call": "SITE_DETECTORS",
    "what `score` measures: add a metric": "METRICS.register(",
    "a threshold of the verdict": "LARGE_SHARE",
    "what `score` takes besides image files": "def find_sources(",
    "the file formats of models": "MODEL_FORMATS",
    "a column of the score table": "add_column",
}
"""What a newcomer must find in the file that the table sends them to."""


def apply(hunk: str, text: str) -> str:
    """A hunk of a diff without line numbers: what it starts from must be there, once."""
    lines = hunk.splitlines()
    old = "\n".join(line[1:] for line in lines if line[:1] != "+")
    new = "\n".join(line[1:] for line in lines if line[:1] != "-")
    assert text.count(old) == 1, old
    return text.replace(old, new)


def write(folder: Path, packages: bool) -> None:
    """The blocks that make up the packages, or the others: a file, or changes to one."""
    for kind, name, body in BLOCKS:
        if (name.split("/")[0] in PACKAGES) != packages:
            continue
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if kind == "diff":
            for hunk in body.split("@@\n"):
                path.write_text(apply(hunk, path.read_text()))
        else:
            assert not path.exists(), name
            path.write_text(body)


def passes(tests: list[Path], *paths: Path) -> None:
    """Tests in a process of their own, which finds these folders first."""
    command = [sys.executable, "-m", "pytest", "-q", "--import-mode=importlib", "--doctest-modules", "-c", os.devnull]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }
    run = subprocess.run(
        [*command, "--rootdir", str(tests[0].parent), *map(str, tests)],
        cwd=tests[0].parent,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_every_package_is_installed_and_its_tests_pass(tmp_path: Path) -> None:
    assert len(PACKAGES) == 3
    write(tmp_path, packages=True)
    installed = tmp_path / "installed"
    install = ["install", "--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--target", str(installed)]
    # together: what one package adds must not be in the way of another
    folders = [str(tmp_path / package) for package in PACKAGES]
    subprocess.run([sys.executable, "-m", "pip", *install, *folders], check=True, capture_output=True)
    tests = sorted(path for package in PACKAGES for path in (tmp_path / package).glob("test_*.py"))
    assert len(tests) == len(PACKAGES)
    passes(tests, installed)


def test_the_change_to_the_house_applies_and_its_test_passes(tmp_path: Path) -> None:
    unneeded = shutil.ignore_patterns("__pycache__", "*.safetensors")
    # laid out as installed, so that nothing else is found as artifactlab.metrics
    shutil.copytree(ROOT / "metrics", tmp_path / "artifactlab" / "metrics", ignore=unneeded)
    shutil.copytree(ROOT / "artifactlab", tmp_path / "artifactlab", ignore=unneeded, dirs_exist_ok=True)
    write(tmp_path, packages=False)
    passes([tmp_path / "tests" / "lint" / "test_uneven_nearest.py"], tmp_path)


@pytest.mark.parametrize(("change", "place"), PLACES, ids=[change for change, _ in PLACES])
def test_the_file_to_go_to_first_is_the_right_one(change: str, place: str) -> None:
    assert HOLDS[change] in (ROOT / place).read_text()


def test_the_table_of_places_is_complete() -> None:
    assert {change for change, _ in PLACES} == HOLDS.keys()
