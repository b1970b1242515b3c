"""What lies in the current folder is run only where a target of that folder was named."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import artifactlab

INSTALLED = "from torch import nn\ndef make():\n    import drawing_of_mine\n    return nn.Identity()\n"
LATE = "from torch import nn\ndef make():\n    import late\n    return late.made()\n"
FILES = {
    "installed/drawing_of_mine.py": "",
    "installed/zoo_of_theirs.py": INSTALLED,
    "installed/zoo_of_both.py": "",
    "installed/nets/data.txt": "no module",
    "work/drawing_of_mine.py": "raise SystemExit('code from the current folder ran')",
    "work/zoo_of_mine.py": LATE,
    "work/late.py": "from torch import nn\ndef made(): return nn.Upsample(scale_factor=2)\n",
    "work/zoo_of_both.py": "def other(): pass",
    "work/nets/__init__.py": "from torch import nn\ndef make(): return nn.Identity()\n",
}
"""in a folder of installed packages and one to work in, two modules of which have the same names"""
TARGETS = ["zoo_of_theirs:make", "zoo_of_both:other", "zoo_of_mine:make", "nets:make"]
LOAD = """
import artifactlab, json

def loaded(target):
    try:
        return str(artifactlab.load_model(target))
    except artifactlab.ModelError as error:
        return str(error)

print(json.dumps({target: loaded(target) for target in TARGETS}))
"""


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Target -> the model or the error, in a process that works in that folder."""
    folder = tmp_path_factory.mktemp("folders")
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    paths = [str(folder / "installed"), str(Path(artifactlab.__file__).parent.parent)]
    clean = f"import sys; sys.path[:0] = {paths!r}; sys.path[:] = [p for p in sys.path if p]"
    run = [sys.executable, "-c", f"{clean}\nTARGETS = {TARGETS}{LOAD}"]
    done = subprocess.run(run, cwd=folder / "work", capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_an_installed_target_runs_nothing_of_the_current_folder(loaded: dict[str, str]) -> None:
    assert loaded["zoo_of_theirs:make"] == "Identity()"


def test_a_target_of_the_current_folder_imports_its_neighbours_late(loaded: dict[str, str]) -> None:
    assert "Upsample" in loaded["zoo_of_mine:make"]


def test_of_two_modules_with_a_name_the_installed_one_is_taken_and_the_other_named(loaded: dict[str, str]) -> None:
    assert "the one in this folder is zoo_of_both.py:factory" in loaded["zoo_of_both:other"]


def test_a_folder_of_the_name_without_modules_hides_no_package_of_the_current_one(loaded: dict[str, str]) -> None:
    assert loaded["nets:make"] == "Identity()"
