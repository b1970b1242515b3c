"""The API page's text: every public name says what it is for, what it takes and raises, and shows itself at work."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
import re
import textwrap
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from typing import Any

import pytest
from torch import nn

from artifactlab import errors

PACKAGES = (
    "artifactlab",
    "artifactlab.attribution",
    "artifactlab.attribution.sites",
    "artifactlab.comparing",
    "artifactlab.inputs",
    "artifactlab.lint",
    "artifactlab.metrics",
    "artifactlab.models",
    "artifactlab.scoring",
    "artifactlab.fix",
    "artifactlab.fix.upsample",
    "artifactlab.report",
    "artifactlab.integrations.monitor",
    "artifactlab.integrations.ignite",
    "artifactlab.integrations.transformers",
    "artifactlab.integrations.torchmetrics",
    "artifactlab.integrations.lightning",
    "artifactlab.integrations.tensorboard",
    "artifactlab.integrations.basicsr",
)


def public(package: str) -> Iterator[tuple[str, Any]]:
    """Names and values of a package's `__all__`."""
    module = importlib.import_module(package)
    for name in module.__all__:
        yield f"{package}.{name}", getattr(module, name)


NAMES = {name: value for package in PACKAGES for name, value in public(package)}
CODE = {name: value for name, value in NAMES.items() if inspect.isfunction(value) or inspect.isclass(value)}
ERRORS = {name for name, value in CODE.items() if inspect.isclass(value) and issubclass(value, Exception)}
OUR_ERRORS = {name for name, value in vars(errors).items() if inspect.isclass(value)}
RECORDS = {name for name, value in CODE.items() if dataclasses.is_dataclass(value)}
"""made by artifactlab, for the user to read"""
CALLED = sorted(CODE.keys() - ERRORS - RECORDS - {"artifactlab.Capture", "artifactlab.integrations.tensorboard.Writer"})
"""what a user calls, to do something or to make a module"""


def documented(name: str) -> str:
    return inspect.getdoc(CODE[name]) or ""


def parameters(value: Any) -> list[str]:
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [name for name, parameter in inspect.signature(value).parameters.items() if parameter.kind not in kinds]


def raised_by(value: Any) -> set[str]:
    """Our errors that a function, or a class's `__init__` or `forward`, raises by itself or by a function it calls."""
    bodies = [value.__init__, getattr(value, "forward", None)] if inspect.isclass(value) else [value]
    own = list(filter(inspect.isfunction, bodies))
    called = [function.__globals__.get(name) for function in own for name in _names_in(function, ast.Call, "func")]
    ours = [function for function in called if inspect.isfunction(function) and "artifactlab" in function.__module__]
    return {error for function in [*own, *ours] for error in _names_in(function, ast.Raise, "exc")} & OUR_ERRORS


def _names_in(function: Any, kind: type[ast.AST], field: str) -> set[str]:
    """Of what a function's statements of a kind call, raise or the like."""
    nodes = [getattr(n, field) for n in ast.walk(_tree(function)) if isinstance(n, kind)]
    nodes = [node.func if isinstance(node, ast.Call) else node for node in nodes]
    return {node.id for node in nodes if isinstance(node, ast.Name)}


@cache
def _tree(value: Any) -> ast.AST:
    return ast.parse(textwrap.dedent(inspect.getsource(value))).body[0]


@pytest.mark.parametrize("package", PACKAGES)
def test_every_package_says_what_is_in_it(package: str) -> None:
    assert inspect.getdoc(importlib.import_module(package))


def test_every_name_has_a_docstring_of_its_own() -> None:
    said = {name: (value.__doc__ or "", f"{value.__name__}(") for name, value in CODE.items()}
    assert [name for name, (text, _) in said.items() if not text] == []
    assert [name for name, (text, signature) in said.items() if text.startswith(signature)] == []  # of dataclasses


@pytest.mark.parametrize("name", sorted(NAMES.keys() - CODE.keys()))
def test_every_constant_is_explained_by_its_package(name: str) -> None:
    package, _, constant = name.rpartition(".")
    assert f"`{constant}`" in (inspect.getdoc(importlib.import_module(package)) or "")


@pytest.mark.parametrize("name", sorted(RECORDS))
def test_every_field_of_a_record_is_explained(name: str) -> None:
    explained = {
        statement.target.id
        for record in filter(dataclasses.is_dataclass, CODE[name].__mro__)  # a field is explained where it is declared
        for statement, following in pairwise(_tree(record).body)
        if isinstance(statement, ast.AnnAssign) and isinstance(following, ast.Expr)
    }
    assert {field.name for field in dataclasses.fields(CODE[name])} - explained == set()


def test_every_parameter_is_named() -> None:
    taken = [(name, p) for name in CALLED for p in parameters(CODE[name])]
    assert [(name, p) for name, p in taken if not re.search(rf"\b{p}\b", documented(name))] == []


def test_errors_of_ours_are_listed() -> None:
    raised = [(name, error) for name in CALLED for error in raised_by(CODE[name])]
    assert [(name, error) for name, error in raised if error not in documented(name).partition("Raises")[2]] == []


def test_there_is_an_example() -> None:
    assert [name for name in CALLED if ">>> " not in documented(name)] == []


def public_methods(name: str) -> Iterator[tuple[str, Any]]:
    """Names and functions of the methods and properties that a class declares first."""
    for method, function in vars(CODE[name]).items():
        function = getattr(function, "fget", None) or getattr(function, "__func__", function)
        overrides = any(hasattr(base, method) for base in CODE[name].__bases__)  # described where it is first declared
        # ... which for these is only there where transformers is
        overrides |= name == "artifactlab.integrations.transformers.ArtifactMonitor" and method.startswith("on_")
        if not method.startswith("_") and inspect.isfunction(function) and not overrides:
            yield f"{name}.{method}", function


def test_public_methods_are_documented_and_name_what_they_take() -> None:
    classes = [name for name, value in CODE.items() if inspect.isclass(value)]
    methods = {method: function for name in classes for method, function in public_methods(name)}
    assert len(methods) > len(classes) / 2
    said = {method: inspect.getdoc(function) or "" for method, function in methods.items()}
    assert [method for method, text in said.items() if not text] == []
    taken = [(method, p) for method, function in methods.items() for p in parameters(function)[1:]]
    assert [(method, p) for method, p in taken if p not in said[method]] == []


@pytest.mark.parametrize(
    "name", sorted(n for n in CALLED if inspect.isclass(CODE[n]) and issubclass(CODE[n], nn.Module))
)
def test_modules_say_what_their_forward_takes(name: str) -> None:
    assert [p for p in parameters(CODE[name].forward)[1:] if not re.search(rf"\b{p}\b", documented(name))] == []
