"""What other repositories copy or refer to: the pre-commit hook, and the workflow in the docs."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from click.testing import CliRunner

from artifactlab.cli.main import main
from artifactlab.inputs.image_files import SUFFIXES

ROOT = Path(__file__).resolve().parent.parent
(HOOK,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
(WORKFLOW,) = re.findall(r"```yaml\n(# \.github/workflows/.*?)```", (ROOT / "docs/how-to/ci.md").read_text(), re.DOTALL)
STAIRS = (np.tri(24, dtype=np.uint8) * 255).repeat(4, 0).repeat(4, 1)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stairs in `samples`, and a file of gates."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "samples").mkdir()
    (tmp_path / "samples" / "stairs.png").write_bytes(cv2.imencode(".png", STAIRS)[1])
    (tmp_path / "gates.toml").write_text('gates = ["severity>1"]')
    return tmp_path


@pytest.mark.parametrize("arguments", [None, ["--gates", "gates.toml"]])
def test_hook_fails_on_an_image_that_shows_something(repository: Path, arguments: list[str] | None) -> None:
    command = [*shlex.split(HOOK["entry"]), *(arguments or HOOK["args"]), "samples/stairs.png"]
    assert command.pop(0) == "artifactlab"
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 1
    assert "stairs.png" in result.stderr


def test_hook_is_run_on_what_counts_as_an_image_and_on_nothing_else() -> None:
    wanted = [f"a{suffix}" for suffix in SUFFIXES]
    assert [name for name in [*wanted, "A.PNG", "png", "a.svg", "a.png.txt"] if re.search(HOOK["files"], name)] == [
        *wanted,
        "A.PNG",
    ]


def test_workflow_of_the_docs_annotates_what_fails_in_twelve_lines(repository: Path) -> None:
    assert len(WORKFLOW.splitlines()) <= 12
    (job,) = yaml.safe_load(WORKFLOW)["jobs"].values()
    ours = [shlex.split(step["run"])[1:] for step in job["steps"] if step.get("run", "").startswith("artifactlab")]
    assert len(ours) == 1
    result = CliRunner().invoke(main, ours[0])
    assert result.exit_code == 1
    assert result.stdout.startswith("::error file=samples/stairs.png,title=artifactlab score%3A severity>1.0::")
