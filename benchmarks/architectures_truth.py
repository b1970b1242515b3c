"""Where a running model enlarges something: an instrument that shares nothing with artifactlab but torch.

Operations that say themselves that they enlarge (resizes, transposed convolutions, shuffles, unpooling) are taken by
their word. What is done by hand is seen from labels: beside each tensor travel two of its shape, which say of each
element the place that it belongs to and which feature of that place it is. Whatever only moves elements (view,
permute, slice, cat, pad, index, copy into a slice, ...) moves the labels in the same way; layers hand out new ones.
Where neighbours along a direction belong to one place, features, copies or zeros have been put between places:
that is growth, whatever the chain of operations was. A window that is put back has a new place at each step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from architectures_operations import (
    ENLARGING,
    INDEXED,
    JOINING,
    LAYERS,
    MOVES,
    NORMS,
    REDUCTIONS,
    broadcasts,
    sizes,
    tensors_of,
)
from architectures_places import NOWHERE, Labels, cells, labels_by_role
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

aten = torch.ops.aten


@dataclass(frozen=True)
class Grown:
    """One enlargement."""

    module: str
    """qualified name of the module whose forward was running"""
    op: str
    """the operation of torch, `moved` for what was done by moving elements"""
    before: tuple[int, ...]
    """sizes of the space axes"""
    after: tuple[int, ...]
    of_input: bool = True
    """whether it depends on the model's input; a position embedding that is resized does not"""
    reaches: bool = False
    """whether anything of it arrives in the output"""

    @property
    def counts(self) -> bool:
        """Whether it has to be found; what does not count may be.

        A mean that is spread over an image has no lattice; what shrinks in another direction is fitted into its box.
        """
        sizes = list(zip(self.before, self.after, strict=False))
        grows = any(1 < size < after for size, after in sizes) and all(size <= after for size, after in sizes)
        return self.of_input and self.reaches and (grows or self.op == "col2im")


class Growths(TorchDispatchMode):
    """Watches one forward pass of a model."""

    def __init__(self, model: nn.Module, inputs: Any) -> None:
        super().__init__()
        self._names = {id(module): name for name, module in model.named_modules()}
        self._running: list[str] = [""]
        self._labels: dict[int, Labels] = {}
        self._sources: dict[int, frozenset[int]] = {}  # of storages: the numbers of what reached them
        self._alive: list[Any] = []  # nothing is freed, so that no id is given twice
        self.grown: list[Grown] = []
        for tensor in tensors_of(inputs):
            self._sources[_storage(tensor)] = frozenset([-1])  # -1 is the input itself
        self._alive.append(inputs)

    def watch(self, run: Callable[[], Any]) -> list[Grown]:
        """What grows while `run` runs the model."""
        hooks = [
            register_module_forward_pre_hook(self._enter),
            register_module_forward_hook(self._leave, always_call=True),
        ]
        try:
            with torch.no_grad(), self:
                result = run()
        finally:
            for hook in hooks:
                hook.remove()
        outputs = tensors_of(result)
        for tensor in outputs:
            self._confirm(tensor, range(max(1, min(2, tensor.ndim - 1)), tensor.ndim))
        reached = frozenset[int]().union(*(self._sources.get(_storage(tensor), frozenset()) for tensor in outputs))
        return [replace(one, reaches=number in reached) for number, one in enumerate(self.grown)]

    def _enter(self, module: nn.Module, _: Any) -> None:
        self._running.append(self._names.get(id(module), self._running[-1]))

    def _leave(self, *_: Any) -> None:
        self._running.pop()

    def __torch_dispatch__(self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = func._schema.name.split("::")[1]
        given = tensors_of((args, kwargs))
        self._consume(name, args)
        result = func(*args, **kwargs)
        made = tensors_of(result)
        self._alive.append((given, made))
        sources = frozenset[int]().union(*(self._sources.get(_storage(tensor), frozenset()) for tensor in given))
        number = self._note(name, args, kwargs, made, -1 in sources)
        sources |= {number} if number is not None else frozenset()
        for tensor in made:
            self._sources[_storage(tensor)] = self._sources.get(_storage(tensor), frozenset()) | sources
        self._label(func, name, args, kwargs, result)
        return result

    def _note(self, name: str, args: Sequence[Any], kwargs: Any, made: list[Tensor], of_input: bool) -> int | None:
        """Record growth that an operation says itself; its number."""
        grows = sizes(name, args, kwargs, made)
        if grows is None:
            return None
        self.grown.append(Grown(self._running[-1], name, *grows, of_input=of_input))
        return len(self.grown) - 1

    def _consume(self, name: str, args: Sequence[Any]) -> None:
        """What a layer takes has axes of known meaning: those of space are looked at."""
        source = args[0] if args and isinstance(args[0], Tensor) else None
        if source is None or source.numel() == 0:
            return
        if name.startswith((*LAYERS, *NORMS, *ENLARGING)) or name == "pixel_shuffle":
            self._confirm(source, range(2, source.ndim))
        elif name == "native_layer_norm":
            self._confirm(source, range(1, source.ndim - 1))
        elif name in ("mm", "addmm"):
            self._confirm(args[1] if name == "addmm" else source, [0])
        elif name in JOINING and source.ndim > 3 and len(tensors_of(args)) > 1:  # a skip connection
            for one in tensors_of(args):
                if -1 in self._sources.get(_storage(one), ()) and self._of(one).moved_in is not None:
                    self._confirm(one, range(2, one.ndim))

    def _confirm(self, tensor: Tensor, axes: Sequence[int]) -> None:
        """Record growth by moved elements if it is along one of the axes."""
        labels = self._labels.get(id(tensor))
        if labels is None:
            return
        found = {axis: cells(labels.place, axis) for axis in axes}
        if any(found[axis] for axis in axes):
            after = tuple(tensor.shape[axis] for axis in axes)
            before = tuple(found[axis] or tensor.shape[axis] for axis in axes)
            sources = self._sources.get(_storage(tensor), frozenset())
            module = labels.moved_in or self._running[-1]
            self.grown.append(Grown(module, "moved", before, after, of_input=-1 in sources))
            self._sources[_storage(tensor)] = sources | {len(self.grown) - 1}
            self._labels[id(tensor)] = labels_by_role(tensor, 1 if len(axes) > 1 and axes[0] == 2 else -1)

    def _label(self, func: Any, name: str, args: Sequence[Any], kwargs: Any, result: Any) -> None:
        """Labels of what an operation made."""
        made = tensors_of(result)
        if name in MOVES:
            self._move(func, name, args, kwargs, result)
        elif name.startswith(("zeros", "empty", "full", "ones", "new_")):
            for tensor in made:
                self._labels[id(tensor)] = Labels(torch.full(tensor.shape, NOWHERE, dtype=torch.float64))
        elif name.startswith((*LAYERS, *ENLARGING)) or name in ("pixel_shuffle", "col2im"):
            for tensor in made:
                self._labels[id(tensor)] = labels_by_role(tensor, 1)
        elif name in ("mm", "addmm"):
            self._labels[id(made[0])] = labels_by_role(made[0], -1)
        elif name in ("bmm", "baddbmm"):
            left, right = args[-2:] if name == "baddbmm" else args[:2]
            self._labels[id(made[0])] = Labels.of_product(self._of(left), self._of(right))
        elif name in REDUCTIONS and len(args) > 1 and len(made) == 1 and args[1]:
            place = self._of(args[0]).place.amin(args[1], *args[2:3])
            self._labels[id(made[0])] = Labels(place, self._of(args[0]).moved_in)
        else:
            self._inherit(tensors_of((args, kwargs)), made)

    def _of(self, tensor: Tensor) -> Labels:
        if id(tensor) not in self._labels:
            self._labels[id(tensor)] = labels_by_role(tensor, 1 if tensor.ndim > 3 else -1)
            self._alive.append(tensor)
        return self._labels[id(tensor)]

    def _inherit(self, given: list[Tensor], made: list[Tensor]) -> None:
        """Arithmetic leaves each value where it was; of two tensors, that which has been moved says more.

        What does not come from the input says nothing beside what does: a table of relative positions is looked up.
        """
        given = [one for one in given if -1 in self._sources.get(_storage(one), ())] or given
        for tensor in made:
            same = [self._of(one) for one in given if one.shape == tensor.shape and one is not tensor]
            known = next((one for one in same if one.moved_in is not None), same[0] if same else None)
            if known is None:
                fitting = [one for one in given if one.numel() and broadcasts(one.shape, tensor.shape)]
                largest = max(fitting, key=lambda one: one.numel(), default=None)
                if largest is not None and largest.numel() > 1:
                    known = replace(self._of(largest), place=self._of(largest).place.expand(tensor.shape))
            if known is not None:
                self._labels[id(tensor)] = replace(known, place=known.place.clone())
            elif id(tensor) not in self._labels:
                self._of(tensor)

    def _move(self, func: Any, name: str, args: Sequence[Any], kwargs: Any, result: Any) -> None:
        """Do to the labels what was done to the tensors."""
        known: list[Labels] = []

        def place_of(value: Any) -> Any:
            if not isinstance(value, Tensor):
                return value
            if name in INDEXED and known and not value.is_floating_point():
                return value if name != "index_put_" or value is not args[2] else self._of(value).place
            known.append(self._of(value))
            return known[-1].place

        moved_args = list(tree_map(place_of, list(args)))
        if name == "constant_pad_nd":
            moved_args[2:] = [NOWHERE]
        func = aten.reshape.default if name in ("view", "_unsafe_view") else func  # labels have strides of their own
        moved = func(*moved_args, **({} if name in ("_to_copy", "clone") else kwargs))
        earlier = next((one.moved_in for one in known if one.moved_in is not None), None)
        for tensor, place in zip(tensors_of(result), tensors_of(moved), strict=True):
            interleaved = any(cells(place, axis) for axis in range(place.ndim))
            module = (earlier if earlier is not None else self._running[-1]) if interleaved else None
            self._labels[id(tensor)] = Labels(place, module)


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata
