"""What lies in the current folder is run only where a target of that folder was named."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import artifactlab

INSTALLED = "from torch import nn\ndef make():\n    import drawing_of_mine\n    return nn.Identity()\n"


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """A folder of installed packages, and one to work in, with a module of the same name as one installed."""
    (tmp_path / "installed").mkdir()
    (tmp_path / "installed" / "drawing_of_mine.py").write_text("")
    (tmp_path / "installed" / "zoo_of_theirs.py").write_text(INSTALLED)
    work = tmp_path / "work"
    work.mkdir()
    (work / "drawing_of_mine.py").write_text("raise SystemExit('code from the current folder ran')")
    (work / "zoo_of_mine.py").write_text("from torch import nn\ndef make():\n    import late\n    return late.made()\n")
    (work / "late.py").write_text("from torch import nn\ndef made(): return nn.Upsample(scale_factor=2)\n")
    return tmp_path


def load(folders: Path, target: str) -> subprocess.CompletedProcess[str]:
    paths = [str(folders / "installed"), str(Path(artifactlab.__file__).parent.parent)]
    code = (
        f"import sys; sys.path[:0] = {paths!r}; sys.path[:] = [p for p in sys.path if p]\n"
        f"import artifactlab\ntry: print(artifactlab.load_model({target!r}))\n"
        "except artifactlab.ModelError as error: sys.exit(str(error))"
    )
    run = [sys.executable, "-c", code]
    return subprocess.run(run, cwd=folders / "work", capture_output=True, text=True)


def test_an_installed_target_runs_nothing_of_the_current_folder(folders: Path) -> None:
    result = load(folders, "zoo_of_theirs:make")
    assert result.stdout == "Identity()\n", result.stderr


def test_a_target_of_the_current_folder_imports_its_neighbours_late(folders: Path) -> None:
    result = load(folders, "zoo_of_mine:make")
    assert "Upsample" in result.stdout, result.stderr


def test_of_two_modules_with_a_name_the_installed_one_is_taken_and_the_other_named(folders: Path) -> None:
    (folders / "work" / "zoo_of_theirs.py").write_text("def other(): pass")
    result = load(folders, "zoo_of_theirs:other")
    assert "the one in this folder is zoo_of_theirs.py:factory" in result.stderr


def test_a_folder_of_the_name_without_modules_hides_no_package_of_the_current_one(folders: Path) -> None:
    (folders / "installed" / "nets").mkdir()
    (folders / "work" / "nets").mkdir()
    (folders / "work" / "nets" / "__init__.py").write_text("from torch import nn\ndef make(): return nn.Identity()\n")
    assert load(folders, "nets:make").stdout == "Identity()\n"
