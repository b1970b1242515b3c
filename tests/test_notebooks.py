"""The committed notebooks as a reader finds them: outputs there, nothing of the machine in them, public names only.

That they run is tested by nbmake: `make test-notebooks`, which CI calls, too.
"""

from __future__ import annotations

import ast
import importlib
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

NOTEBOOKS = sorted((Path(__file__).resolve().parent.parent / "notebooks").glob("*.ipynb"))
MARKED = {2: "YOUR MODEL HERE", 3: "YOUR FOLDER HERE", 4: "YOUR MODEL HERE", 5: "YOUR MODEL HERE"}
OUTSIDE = {"ipywidgets", "matplotlib", "numpy", "skimage", "torch"}
PUBLIC = {"artifactlab", "artifactlab.fix", "artifactlab.metrics", "artifactlab.report"}
DEMO = {"artifactlab.demo.run", "artifactlab.demo.unet", "real_decoders"}
"""what is there to be looked at: the package's own model, and the benchmark's decoders"""
MOST_BYTES = 620_000

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def code_cells(path: Path) -> list[dict[str, Any]]:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


def syntax(path: Path) -> ast.Module:
    """All code of a notebook but for its magics."""
    lines = "\n".join("".join(cell["source"]) for cell in code_cells(path)).splitlines()
    return ast.parse("\n".join(line for line in lines if not line.startswith("%")))


def texts(path: Path) -> Iterator[str]:
    """Sources and outputs without the pictures."""
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        yield "".join(cell["source"])
        for output in cell.get("outputs", []):
            shown = {kind: text for kind, text in output.get("data", {}).items() if not kind.startswith("image/")}
            yield json.dumps(output | {"data": shown})


def imported(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """(module, name) of everything imported; the name is empty where the module is."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            yield from ((node.module or "", alias.name) for alias in node.names)


def is_public(module: str, name: str) -> bool:
    if module.partition(".")[0] in OUTSIDE | set(sys.stdlib_module_names) or module in DEMO:
        return True
    return module in PUBLIC and (
        not name or f"{module}.{name}" in PUBLIC or name in importlib.import_module(module).__all__
    )


def test_there_are_six_in_pipeline_order() -> None:
    assert [path.name[:2] for path in NOTEBOOKS] == [f"{number}_" for number in range(1, 7)]


@each_notebook
def test_every_cell_ran_and_none_failed(path: Path) -> None:
    cells = code_cells(path)
    assert all(cell["execution_count"] for cell in cells)
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert not [output for output in outputs if output["output_type"] == "error"]
    assert [output for output in outputs if "image/png" in output.get("data", {})]


@each_notebook
def test_nothing_of_the_machine_and_the_hour_is_left_in_it(path: Path) -> None:
    assert not [
        text for text in texts(path) if re.search(r"(?<![\w.)])/(tmp|home|root|work|usr|var|Users|opt)/|[A-Z]:\\", text)
    ]
    book = json.loads(path.read_text(encoding="utf-8"))
    assert set(book["metadata"]) == {"kernelspec", "language_info"}  # no state of widgets, no versions
    assert not [cell for cell in book["cells"] if cell["metadata"]], "cells carry metadata, times of execution perhaps"
    assert path.stat().st_size < MOST_BYTES


@each_notebook
def test_only_public_names_are_used(path: Path) -> None:
    tree = syntax(path)
    used = set(imported(tree))
    assert not [(module, name) for module, name in used if not is_public(module, name)]
    names = {name for _, name in used} | {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert not [name for name in names if name.startswith("_") and name != "__init__"]


@each_notebook
def test_attributes_of_the_package_are_public(path: Path) -> None:
    modules = {"artifactlab": "artifactlab", "metrics": "artifactlab.metrics"}
    for node in ast.walk(syntax(path)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules:
            assert is_public(modules[node.value.id], node.attr), f"{node.value.id}.{node.attr}"


@pytest.mark.parametrize("number", MARKED)
def test_one_cell_is_marked_for_what_is_the_readers(number: int) -> None:
    sources = ["".join(cell["source"]) for cell in code_cells(NOTEBOOKS[number - 1])]
    assert len([source for source in sources if re.search(f"^# -+ {MARKED[number]} -+$", source, re.M)]) == 1


@each_notebook
def test_links_between_them_lead_somewhere(path: Path) -> None:
    linked = {name for text in texts(path) for name in re.findall(r"\]\((\w+\.ipynb)\)", text)}
    assert linked <= {other.name for other in NOTEBOOKS}
