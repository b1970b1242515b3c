"""What modules hold besides the values of their weights, as it was: names, submodules, plain attributes and hooks.

A forward pass may register what it needs when it first sees an input, and note in an attribute that it has done so:
both go, or both stay.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from artifactlab.models.torch_internals import HOOK_TABLES, hook_tables, own_buffers, own_children, own_parameters

CONTAINERS = (dict, OrderedDict, defaultdict, set)
"""Types whose contents are kept, too: caches and flags. Lists are how a caller has passes recorded, in a wrapper of a
model, say; and containers of others' own types may be anything."""
ELSEWHERE = frozenset({"training", *HOOK_TABLES})
"""Attributes that are put back by somebody else: by who sets them, or when `hooks_kept` ends."""


class Attributes:
    """Everything that is assigned in the modules of a model, and what is in built-in dicts and sets there.

    >>> model = nn.Sequential(nn.ReLU())
    >>> before = Attributes(model)
    >>> model.register_buffer("late", torch.zeros(1)); model.add_module("more", nn.ReLU()); model.ready = True
    >>> before.restore()
    >>> len(model), list(model.buffers()), hasattr(model, "ready")
    (1, [], False)
    """

    def __init__(self, model: nn.Module) -> None:
        modules = [module for module in model.modules() if not isinstance(module, torch.jit.ScriptModule)]
        own = [table(module) for module in modules for table in (own_parameters, own_buffers, own_children)]
        self._contents = [_Contents(table) for table in own]
        self._contents += [_Contents(vars(module), ELSEWHERE) for module in modules]
        values = (value for module in modules for name, value in vars(module).items() if name not in ELSEWHERE)
        known = {id(contents.container) for contents in self._contents}
        self._contents += [_Contents(container) for container in _containers(values, known)]

    def restore(self) -> None:
        """Put everything back."""
        for contents in self._contents:
            contents.restore()


class _Contents:
    """What is in a container: the very objects, of which nothing is copied."""

    def __init__(self, container: Any, spared: frozenset[str] = frozenset()) -> None:
        self.container, self._spared = container, spared
        self._items = self._now()

    def _now(self) -> list[Any]:
        if not isinstance(self.container, dict):
            return list(self.container)
        return [(key, None if key in self._spared else value) for key, value in self.container.items()]

    def restore(self) -> None:
        """Put back what is in it, if that is no longer the same, in its order; what is spared stays."""
        container, items = self.container, self._items
        if _identities(self._now()) == _identities(items):
            return
        if isinstance(container, dict):
            items = [(key, container[key] if key in self._spared else value) for key, value in items]
        container.clear()
        container.update(items)


@contextmanager
def hooks_kept(model: nn.Module) -> Iterator[None]:
    """Whatever runs in it, the hooks of a model are the same afterwards; hooks for the time of it come before it."""
    kept = [_Contents(table) for module in model.modules() for table in hook_tables(module)]
    try:
        yield
    finally:
        for contents in kept:
            contents.restore()


def _identities(items: list[Any]) -> list[Any]:
    """Which objects they are: tensors have no other equality."""
    return [(id(item[0]), id(item[1])) if type(item) is tuple and len(item) == 2 else id(item) for item in items]


def _containers(values: Iterable[Any], known: set[int]) -> Iterator[Any]:
    """The dicts and sets among values, and those inside the dicts, each once."""
    ahead = [value for value in values if type(value) in CONTAINERS]
    while ahead:
        container = ahead.pop()
        if id(container) not in known:
            known.add(id(container))
            yield container
            inside = container.values() if isinstance(container, dict) else ()
            ahead += [value for value in inside if type(value) in CONTAINERS]
