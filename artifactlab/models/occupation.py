"""One model and several threads: who changes it while it works has it alone, and who only watches need not."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from torch import nn

from artifactlab.errors import ModelError


@dataclass(frozen=True, eq=False)
class _Occupation:
    """What a thread does with a model."""

    thread: int
    modules: frozenset[int]
    """The modules by identity: two models may have some in common."""
    alone: bool

    def bars(self, other: _Occupation) -> bool:
        """Whether the two cannot be at the same time."""
        return (
            self.thread != other.thread and (self.alone or other.alone) and not self.modules.isdisjoint(other.modules)
        )


_changed = threading.Condition()
_present: list[_Occupation] = []


@contextmanager
def alone_with(model: nn.Module) -> Iterator[None]:
    """A context for one thread at a time, which changes the model; others wait.

    Raises:
        ModelError: if another thread watches the model, as that may wait for this one.
    """
    with _occupied(model, alone=True):
        yield


@contextmanager
def watched_by_thread(model: nn.Module) -> Iterator[None]:
    """A context for any number of threads, none of which changes the model; it waits for those that do."""
    with _occupied(model, alone=False):
        yield


@contextmanager
def _occupied(model: nn.Module, alone: bool) -> Iterator[None]:
    wanted = _Occupation(threading.get_ident(), frozenset(map(id, model.modules())), alone)
    with _changed:
        while barring := [other for other in _present if wanted.bars(other)]:
            changing = {other.thread for other in barring if other.alone}
            if any(other.thread not in changing for other in barring):
                raise ModelError(
                    "the model is captured in another thread; diagnose it when that `with capture(...)` is over, or a"
                    " copy of it (copy.deepcopy(model))"
                )
            _changed.wait()
        _present.append(wanted)
    try:
        yield
    finally:
        with _changed:
            _present.remove(wanted)
            _changed.notify_all()
