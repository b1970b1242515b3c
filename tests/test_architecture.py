"""The house: which file may import which, and what is installed."""

from __future__ import annotations

import ast
import functools
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parent.parent
ROOMS = (
    ("printable", "_interrupts", "_lazy", "_version"),
    ("errors",),
    ("registry", "serialize", "files", "frames"),
    ("views",),
    ("metrics",),
    ("inputs",),
    ("models",),
    ("scoring",),
    ("attribution",),
    ("comparing", "lint", "demo"),
    ("fix",),
    ("report",),
    ("integrations",),
    ("__init__",),
    ("cli",),
    ("__main__",),
)
"""the rooms of the house, ground floor first; a file imports from its own room and from lower floors"""
WITHIN_ATTRIBUTION = (
    ("sites",),
    ("records", "windows", "handles", "reading"),
    ("diagnosis", "artifact_words"),
    ("verdicts",),
    ("repair",),
    ("findings",),
)
"""likewise; what is not named here lies above"""
SOURCES = sorted([*ROOT.glob("artifactlab/**/*.py"), *ROOT.glob("metrics/*.py")])


def module_of(path: Path) -> str:
    """`artifactlab.metrics.bands` of metrics/bands.py; a package is named without its __init__."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    parts = ("artifactlab", *parts) if parts[0] == "metrics" else parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 2 else parts)


PACKAGES = ("artifactlab/", "metrics/")
"""where what is installed lies"""
MODULES = {module_of(path): path for path in SOURCES if "artifactlab/metrics" not in str(path)}


@functools.cache
def imports_of(path: Path) -> set[str]:
    """Our modules that a file imports, those inside functions and for type checkers, too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide what is imported"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        for name in names:
            if name.split(".")[0] == "artifactlab":
                found.add(next((m for m in (name, name.rpartition(".")[0]) if m in MODULES), "artifactlab.__init__"))
    return found


def floor(module: str, floors: tuple[tuple[str, ...], ...], depth: int) -> int:
    name = [*module.split("."), "__init__"][depth]
    return next((level for level, names in enumerate(floors) if name in names), len(floors))


def may_import(module: str, other: str) -> bool:
    """Whether another module lies on a lower floor, or in the same room."""
    ours, theirs = module.split("."), other.split(".")
    if ours[1] != theirs[1]:
        return floor(other, ROOMS, 1) < floor(module, ROOMS, 1)
    if ours[1] == "attribution" and ours[2:3] != theirs[2:3]:
        low, high = floor(other, WITHIN_ATTRIBUTION, 2), floor(module, WITHIN_ATTRIBUTION, 2)
        return low < high or low == high == len(WITHIN_ATTRIBUTION)
    return True


def test_imports_point_one_way() -> None:
    imports = [(module, other) for module, path in MODULES.items() for other in imports_of(path) - {module}]
    assert len(imports) > len(MODULES)
    assert [f"{module} imports {other}" for module, other in imports if not may_import(module, other)] == []


def test_every_room_has_a_floor() -> None:
    named = [room for floor in ROOMS for room in floor]
    assert {module.split(".")[1] for module in MODULES} == set(named)


def test_no_imports_go_in_a_circle() -> None:
    waiting = {module: imports_of(path) - {module} for module, path in MODULES.items()}
    while free := [module for module, needed in waiting.items() if not needed & waiting.keys()]:
        for module in free:
            del waiting[module]
    assert not waiting


def test_metrics_import_only_errors_and_libraries() -> None:
    for path in ROOT.glob("metrics/*.py"):
        assert {module.split(".")[1] for module in imports_of(path)} <= {"errors", "metrics"}


def test_metrics_stays_flat() -> None:
    assert [path for path in (ROOT / "metrics").iterdir() if path.is_dir() and path.name != "__pycache__"] == []


def imported_by(*arguments: str) -> set[str]:
    """The modules that Python has imported at the end of a program."""
    run = subprocess.run([sys.executable, "-X", "importtime", *arguments], check=True, capture_output=True, text=True)
    lines = [line for line in run.stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip() for line in lines}


HEAVY = {"torch", "numpy", "scipy", "cv2", "skimage", "rich", "matplotlib"}
"""What takes from some 50 milliseconds to some seconds to import."""
OTHERS = {"torchvision", "pandas", "lightning", "pytorch_lightning", "torchmetrics", "tensorboard", "metrics"}
"""What belongs to others, and nothing of ours may need."""


def test_importing_the_package_stays_light_and_matplotlib_waits_for_a_drawing() -> None:
    assert imported_by("-c", "import artifactlab") & {*HEAVY, *OTHERS, "click"} == set()
    assert imported_by("-c", "import artifactlab.report.plots") & {"matplotlib", *OTHERS} == set()


def test_help_does_not_wait_for_torch() -> None:
    assert imported_by("-m", "artifactlab", "--help") & {*HEAVY, *OTHERS} == set()


def test_scoring_an_image_imports_nothing_that_runs_models_or_compares(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((64, 64), np.uint8))
    modules = imported_by("-m", "artifactlab", "score", str(tmp_path / "a.png"))
    assert "torch" in modules
    assert modules & {*OTHERS, "scipy", "skimage", "matplotlib", "sympy", "networkx", "torch._dynamo"} == set()
    rooms = {module.split(".")[1] for module in modules if module.startswith("artifactlab.")}
    assert rooms & {"models", "attribution", "comparing", "lint", "fix", "integrations"} == set()


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
    ours = [re.sub("^metrics/", "artifactlab/metrics/", name) for name in tracked if name.startswith(PACKAGES)]
    assert len(ours) > 400
    assert set(ours) - set(names) == set()


def test_the_demo_weights_stay_under_one_megabyte() -> None:
    assert sum(path.stat().st_size for path in ROOT.glob("artifactlab/demo/*.safetensors")) < 1e6


def test_no_stranger_is_imported_as_metrics() -> None:
    for path in [*SOURCES, *ROOT.glob("tests/**/*.py"), *ROOT.glob("benchmarks/*.py")]:
        # parsing all takes seconds: only where a line may import it
        text = path.read_text()
        suspicious = re.search(r"^\s*(?:import|from)\b.*(?<![.\w])metrics\b", text, re.MULTILINE)
        for node in ast.walk(ast.parse(text)) if suspicious else ():
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            assert "metrics" not in {name.split(".")[0] for name in names}
