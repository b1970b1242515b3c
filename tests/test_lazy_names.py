"""`import artifactlab` names everything and imports nothing: each name comes with what it needs when it is used."""

from __future__ import annotations

import ast
import importlib
import inspect
import subprocess
import sys
from importlib.metadata import version
from types import ModuleType

import pytest

import artifactlab

LAZY = ("artifactlab", "artifactlab.report")
FIRST = (
    "import artifactlab.lint.rules",
    "from artifactlab.lint import RULES",
    "from artifactlab import fix, lint",
    "import artifactlab.attribution.diagnose, artifactlab.comparing.compare",
    "import artifactlab; artifactlab.lint; import artifactlab.lint.checks",
    "import artifactlab; artifactlab.fix; artifactlab.report",
)
"""What a program may import before it uses the public functions."""


def python(code: str, *arguments: str) -> str:
    """What a fresh interpreter prints."""
    return subprocess.run([sys.executable, "-c", code, *arguments], check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("name", LAZY)
def test_names_are_listed_alike_for_people_type_checkers_and_python(name: str) -> None:
    module = importlib.import_module(name)
    checked = next(node for node in ast.parse(inspect.getsource(module)).body if isinstance(node, ast.If))
    imports = [node for node in checked.body if isinstance(node, ast.ImportFrom)]
    typed = {alias.name for node in imports for alias in node.names}
    assert typed == {*module.__all__} | ({"__version__"} if name == "artifactlab" else set())
    assert typed == module._places.keys()
    for node in imports:
        for alias in node.names:
            assert getattr(module, alias.name) is getattr(importlib.import_module(node.module or ""), alias.name)


def test_packages_follow_without_being_imported_by_name() -> None:
    packages = set(dir(artifactlab)) - {*artifactlab.__all__, "__version__"}
    assert {"fix", "metrics", "models", "scoring"} <= packages
    for name in packages:
        assert getattr(artifactlab, name) is importlib.import_module(f"artifactlab.{name}")


def test_dir_shows_what_is_public_and_no_internals() -> None:
    code = "import artifactlab; print(*dir(artifactlab))"
    shown = python(code).split()
    assert shown == python(f"import artifactlab.cli.main, artifactlab.lint.rules; {code}").split() == dir(artifactlab)
    assert {*artifactlab.__all__} < {*shown}
    assert [name for name in shown if name.startswith("_")] == ["__version__"]


def test_the_version_is_the_installed_one() -> None:
    assert artifactlab.__version__ == version("artifactlab")


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'artifactlab' has no attribute 'diagnos'"):
        artifactlab.diagnos  # noqa: B018
    assert not hasattr(artifactlab, "__wrapped__")


USED = """
import inspect, sys, torch
for first in sys.argv[1:]:
    for name in [name for name in sys.modules if name.split(".")[0] == "artifactlab"]:
        del sys.modules[name]
    exec(first, {})
    import artifactlab
    assert artifactlab.lint(torch.nn.Sequential()) == (), first
    assert inspect.isfunction(artifactlab.diagnose) and inspect.isfunction(artifactlab.compare), first
    import artifactlab.lint.checks
    from artifactlab import lint
    assert lint is artifactlab.lint is artifactlab.lint.__globals__["lint"], first
    assert inspect.ismodule(sys.modules["artifactlab.lint"]), first
print("all")
"""


def test_whatever_was_imported_before_public_names_are_the_functions() -> None:
    assert python(USED, *FIRST) == "all\n"


def test_a_public_name_can_be_replaced_as_tests_do(monkeypatch: pytest.MonkeyPatch) -> None:
    before = artifactlab.lint
    with monkeypatch.context() as patch:
        patch.setattr(artifactlab, "lint", print)
        assert artifactlab.lint is print
    assert artifactlab.lint is before
    assert isinstance(sys.modules["artifactlab.lint"], ModuleType)
