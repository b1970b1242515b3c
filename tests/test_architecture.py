"""The house: which file may import which, and what is installed."""

from __future__ import annotations

import ast
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LAYERS = {
    "errors": 0,
    "metrics": 1,
    "records": 1,
    "outputs": 1,
    "images": 2,
    "probes": 2,
    "models": 2,
    "evidence": 2,
    "randomness": 2,
    "compiled": 2,
    "sites": 2,
    "wiring": 3,
    "merges": 4,
    "gates": 4,
    "measures": 3,
    "model_state": 2,
    "runner": 3,
    "capture": 5,
    "repair": 4,
    "inputs": 4,
    "turned": 4,
    "examples": 6,
    "severity": 4,
    "verdicts": 5,
    "registration": 6,
    "origin": 6,
    "constant_patterns": 6,
    "findings": 7,
    "seams": 5,
    "effects": 5,
    "score": 5,
    "paired": 2,
    "saved": 6,
    "changes": 7,
    "compare": 8,
    "lint": 6,
    "survey": 7,
    "trials": 7,
    "lattices": 6,
    "parting": 2,
    "fast": 8,
    "screening": 9,
    "until_sure": 6,
    "variants": 8,
    "diagnose": 10,
    "demo": 11,
    "fix": 11,
    "report": 12,
    "integrations": 13,
    "cli": 13,
    "__main__": 14,
    "__init__": 15,
}
"""part of the house -> floor; a file imports from its own part and from lower floors"""


def part_of(path: Path) -> str:
    if path.is_relative_to(ROOT / "metrics"):
        return "metrics"
    relative = path.relative_to(ROOT / "artifactlab")
    return relative.parts[0].removesuffix(".py")


def imported_parts(path: Path) -> set[str]:
    """Parts that a file imports when it is loaded (imports inside functions are lazy on purpose)."""
    parts = set()
    for node in ast.parse(path.read_text()).body:
        names = [f"{node.module}.{a.name}" for a in node.names] if isinstance(node, ast.ImportFrom) else []
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        for name in names:
            pieces = name.split(".")
            if pieces[0] == "artifactlab":
                parts.add(pieces[1] if len(pieces) > 1 else "__init__")
    return parts


SOURCES = sorted([*ROOT.glob("artifactlab/**/*.py"), *ROOT.glob("metrics/*.py")])


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_one_way(path: Path) -> None:
    part = part_of(path)
    allowed = {other for other, floor in LAYERS.items() if floor < LAYERS[part]} | {part}
    if part == "cli":  # commands use the public names, as a user would
        allowed.add("__init__")
    assert imported_parts(path) <= allowed


def test_metrics_import_only_errors_and_libraries() -> None:
    for path in ROOT.glob("metrics/*.py"):
        assert imported_parts(path) <= {"errors", "metrics"}


def test_metrics_stays_flat() -> None:
    assert [path for path in (ROOT / "metrics").iterdir() if path.is_dir() and path.name != "__pycache__"] == []


def test_importing_the_package_stays_light() -> None:
    code = "import sys, artifactlab; print(*[m for m in sys.modules])"
    modules = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    unwanted = {"matplotlib", "torchvision", "pandas", "rich", "click", "skimage", "metrics"}
    unwanted |= {"lightning", "pytorch_lightning", "torchmetrics", "tensorboard"}
    assert unwanted & set(modules) == set()


def test_the_wheel_ships_no_top_level_metrics_and_everything_it_needs(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    source = tmp_path / "source"
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()
    for name in tracked:
        target = source / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_file() and not name.startswith(("tests/", "typings/")):
            target.write_bytes((ROOT / name).read_bytes())
    subprocess.run([*build, "--wheel-dir", str(tmp_path), str(source)], check=True, capture_output=True)
    names = zipfile.ZipFile(next(tmp_path.glob("artifactlab-*.whl"))).namelist()
    top = {name.split("/")[0] for name in names if not name.split("/")[0].endswith(".dist-info")}
    assert top == {"artifactlab"}
    for needed in (
        "artifactlab/metrics/jaggedness.py",
        "artifactlab/lint/checks.py",
        "artifactlab/schemas/diagnosis.json",
        "artifactlab/schemas/score.json",
        "artifactlab/schemas/lint.json",
        "artifactlab/schemas/compare.json",
        "artifactlab/schemas/compare_models.json",
        "artifactlab/report/page/report.html.j2",
        "artifactlab/report/page/report.css",
        "artifactlab/report/page/report.js",
        "artifactlab/demo/unet.safetensors",
        "artifactlab/demo/swapped_up2.safetensors",
        "artifactlab/py.typed",
    ):
        assert needed in names


def test_the_demo_weights_stay_under_one_megabyte() -> None:
    assert sum(path.stat().st_size for path in ROOT.glob("artifactlab/demo/*.safetensors")) < 1e6


def test_no_stranger_is_imported_as_metrics() -> None:
    for path in [*SOURCES, *ROOT.glob("tests/**/*.py"), *ROOT.glob("benchmarks/*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            assert "metrics" not in {name.split(".")[0] for name in names}
