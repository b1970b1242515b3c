"""Which line of the user's code makes a call, by which repeated calls of a layer are told from those of another."""

from __future__ import annotations

import re
import sys
from types import FrameType
from typing import Any

from torch import fx, nn

OF_GRAPHS = ("torch.export.unflatten", "torch.fx.graph_module")
"""Where the modules are from whose forward is a graph: each has as many lines as whatever it was made of."""
TRACED = re.compile(r'File "(.+)", line (\d+)')
"""A line in the trace that a node of a graph keeps of the code that it was made of."""


def is_layer_of_torch(module: nn.Module) -> bool:
    """Whether all calls in a module's forward are one layer: torch's own, which users know as one."""
    place = type(module).__module__
    return place.startswith("torch.") and place not in OF_GRAPHS


def calling_line() -> str | None:
    """File and line of the innermost caller that is neither torch's nor this package's.

    Of a call that a graph makes it is the line that it was made of, or else the name of the node.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code is fx.Interpreter.run_node.__code__:
            return _line_of(frame.f_locals["n"])
        module = frame.f_globals.get("__name__", "")
        if not module.startswith(("torch.", "artifactlab.")):
            return f"{frame.f_code.co_filename}:{frame.f_lineno}"
        frame = frame.f_back
    return None


def _line_of(node: Any) -> str:
    lines = TRACED.findall(node.stack_trace or "")
    return ":".join(lines[-1]) if lines else f"node {node.name}"
