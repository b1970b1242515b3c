"""Run compiled models as the Python they were compiled from, which hooks and function modes can watch."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import nn

from artifactlab.models.torch_internals import COMPILED_CHILD, is_compiled_in_place, own_children

_lock = threading.Lock()
_running = 0
_stance = ExitStack()
"""The compiler's stance is global: the first of the blocks that run at once sets it, and the last puts it back."""


@contextmanager
def eagerly(model: nn.Module | None) -> Iterator[None]:
    """Nothing of `model` runs compiled inside the block, or nothing at all, for a model whose wrapper is not known.

    Where nothing is compiled, the stance is left alone.
    """
    compiled = "torch._dynamo" in sys.modules if model is None else any(map(_is_compiled, model.modules()))
    if not compiled:
        yield
        return
    _enter()
    try:
        yield
    finally:
        _leave()


def _enter() -> None:
    global _running
    with _lock:
        if _running == 0:
            _stance.enter_context(torch.compiler.set_stance("force_eager"))
        _running += 1


def _leave() -> None:
    global _running
    with _lock:
        _running -= 1
        if _running == 0:
            _stance.close()


def _is_compiled(module: nn.Module) -> bool:
    """By `torch.compile(module)`, in place by `module.compile()`, or method by method, as Lightning does it."""
    by_lightning = getattr(module, "_compiler_ctx", None) is not None
    return COMPILED_CHILD in own_children(module) or is_compiled_in_place(module) or by_lightning
