"""Digests of source, by which `training.py` knows what has changed: comments and docstrings do not count."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path

FOLLOWED = ("artifactlab.fix", "artifactlab.metrics", "artifactlab.scoring")
"""packages whose imports are followed: what lies below them computes nothing that a loss or a measure is"""


class _Bare(ast.NodeTransformer):
    """Source without its docstrings."""

    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        text = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if text else node


def of_files(*files: Path) -> str:
    """The digest of some files of source."""
    trees = [ast.dump(_Bare().visit(ast.parse(file.read_text(encoding="utf-8")))) for file in files]
    return hashlib.sha256("\n".join(trees).encode()).hexdigest()


def of_modules(*names: str) -> str:
    """The digest of some modules, and of all that they import from `FOLLOWED`."""
    return of_files(*files_of(*names))


def files_of(*names: str) -> list[Path]:
    """The files of some modules, and of all that they import from `FOLLOWED`."""
    found: dict[str, Path] = {}
    wanted = list(names)
    while wanted:
        name = wanted.pop()
        if name in found or not name.startswith(FOLLOWED):
            continue
        spec = importlib.util.find_spec(name)
        if spec and spec.origin:
            found[name] = Path(spec.origin)
            wanted += imports(found[name])
    return [found[name] for name in sorted(found)]


def imports(file: Path) -> Iterator[str]:
    """The modules that a file imports something from."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
