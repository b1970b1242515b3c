"""CONTRIBUTING's examples work as they stand: applied to a copy of the packages, their own tests pass."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BLOCKS = re.findall(r"```(python|diff)\n(?:# |--- )(\S+)\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(), re.DOTALL)


def apply(hunk: str, text: str) -> str:
    """A hunk of a diff without line numbers: what it starts from must be there, once."""
    lines = hunk.splitlines()
    old = "\n".join(line[1:] for line in lines if line[:1] != "+")
    new = "\n".join(line[1:] for line in lines if line[:1] != "-")
    assert text.count(old) == 1, old
    return text.replace(old, new)


def apply_all(folder: Path) -> None:
    """Every block of CONTRIBUTING: a file, or changes to one."""
    for kind, name, body in BLOCKS:
        # laid out as installed, so that nothing else is found as artifactlab.metrics
        path = folder / re.sub("^metrics/", "artifactlab/metrics/", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        if kind == "python":
            assert not path.exists(), name
            path.write_text(body)
        else:
            for hunk in body.split("@@\n"):
                path.write_text(apply(hunk, path.read_text()))


def test_every_example_applies_and_its_tests_pass(tmp_path: Path) -> None:
    unneeded = shutil.ignore_patterns("__pycache__", "*.safetensors")
    shutil.copytree(ROOT / "artifactlab", tmp_path / "artifactlab", ignore=unneeded)
    shutil.copytree(ROOT / "metrics", tmp_path / "artifactlab" / "metrics", ignore=unneeded)
    apply_all(tmp_path)
    tests = sorted(str(path) for path in (tmp_path / "tests").rglob("test_*.py"))
    assert len(tests) == 4
    command = [sys.executable, "-m", "pytest", "-q", "--import-mode=importlib", "--doctest-modules", "-c", os.devnull]
    made = [str(tmp_path / name) for name in ("artifactlab/metrics/lone.py", "artifactlab/fix/upsample/spline.py")]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    run = subprocess.run(
        [*command, "--rootdir", str(tmp_path), *tests, *made],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout + run.stderr
