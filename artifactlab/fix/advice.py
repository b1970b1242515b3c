"""What to write instead of a growing call in a user's own `forward`, so that there is a module to replace."""

from __future__ import annotations

import ast
import inspect
import textwrap
from pathlib import Path

from torch import nn

CALLS = {
    "interpolate": ("interpolate", "upsample", "upsample_nearest", "upsample_bilinear"),
    "pixel_shuffle": ("pixel_shuffle",),
    "conv_transpose1d": ("conv_transpose1d",),
    "conv_transpose2d": ("conv_transpose2d",),
    "conv_transpose3d": ("conv_transpose3d",),
    "repeat_interleave": ("repeat_interleave",),
    "reshape": ("reshape", "view", "flatten"),
    "grid_sample": ("grid_sample",),
    "fold": ("fold",),
    "max_unpool2d": ("max_unpool2d",),
}
"""The functions that may have been called, by the op of a site."""


def how_to_make_it_a_module(owner: nn.Module, name: str, key: str) -> str:
    """In sentences: where the call stands, and by which module to replace it.

    Args:
        owner: the module whose forward makes the call.
        name: its qualified name, empty for the model itself.
        key: of the site, e.g. `dec/interpolate#0`.
    """
    op, _, number = key.rpartition("/")[2].partition("#")
    kind = type(owner).__name__
    found = _call(owner, op, int(number) if number.isdigit() else 0)
    new_site = f"{name}.resize" if name else "resize"
    if found is None:
        return (
            f"{key}: {kind} enlarges in its own forward, where nothing can be swapped. Move what enlarges into a module"
            f" of its own that takes features and returns them enlarged, both (N, C, H, W) or the like, say self.resize"
            f" in {kind}.__init__, and fix {new_site}"
        )
    call, line, place = found
    module = _as_module(call, op)
    if module is None:
        return (
            f"{key} is a call in {kind}.forward ({place}): `{line}`. Move it into a module of its own that takes"
            f" features and returns them enlarged, both (N, C, H, W) or the like, say self.resize in {kind}.__init__,"
            f" and fix {new_site}"
        )
    new_line = line.replace(ast.unparse(call), f"self.resize({ast.unparse(call.args[0])})")
    if new_line == line:  # the call is written differently from how it is unparsed
        new_line = f"self.resize({ast.unparse(call.args[0])})"
    return (
        f"{key} is a call in {kind}.forward ({place}): `{line}`. Give it a module: `self.resize = {module}` in"
        f" __init__, and `{new_line}` in forward. It has no weights, so the checkpoint still fits; then fix {new_site}"
    )


def _call(owner: nn.Module, op: str, number: int) -> tuple[ast.Call, str, str] | None:
    """The call behind a site, its line, and where that stands; None where there is no source."""
    forward = type(owner).forward
    try:
        source, start = inspect.getsourcelines(forward)
        file = inspect.getsourcefile(forward) or "?"
        tree = ast.parse(textwrap.dedent("".join(source)))
    except (OSError, TypeError, SyntaxError):
        return None
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and _name(node) in CALLS.get(op, ())]
    calls.sort(key=lambda node: (node.lineno, node.col_offset))
    if number >= len(calls):
        return None
    statements = [node for node in ast.walk(tree) if isinstance(node, ast.stmt) and _holds(node, calls[number])]
    line = ast.unparse(min(statements, key=lambda node: (node.end_lineno or node.lineno) - node.lineno))
    return calls[number], line, f"{Path(file).name}:{start + calls[number].lineno - 1}"


def _name(call: ast.Call) -> str:
    function = call.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _holds(statement: ast.stmt, call: ast.Call) -> bool:
    compound = isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.For, ast.While, ast.If, ast.With))
    return not compound and any(node is call for node in ast.walk(statement))


def _as_module(call: ast.Call, op: str) -> str | None:
    """The module that does the same as the call, where there is one without weights."""
    rest = [*call.args[1:], *(keyword.value for keyword in call.keywords)]
    if not call.args or not all(map(_is_known_beforehand, rest)):
        return None
    given = [ast.unparse(argument) for argument in call.args[1:]] + [ast.unparse(keyword) for keyword in call.keywords]
    if op == "pixel_shuffle":
        return f"nn.PixelShuffle({', '.join(given)})"
    if (
        op == "interpolate"
        and _name(call) == "interpolate"
        and not any(text.startswith(("antialias", "size")) for text in given)
    ):
        return f"nn.Upsample({', '.join(given)})"
    return None


def _is_known_beforehand(value: ast.expr) -> bool:
    """Whether an argument is a constant or an attribute of self, so that `__init__` can have it, too."""
    names = [node.id for node in ast.walk(value) if isinstance(node, ast.Name)]
    calls = any(isinstance(node, ast.Call) for node in ast.walk(value))
    return not calls and all(name == "self" for name in names)
