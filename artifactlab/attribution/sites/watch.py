"""Hand each site's output to a visitor while the model runs.

Module hooks keep a stack of qualified names; a `TorchFunctionMode` sees every call of the upsampling functions, whether
a module or a user's `forward` makes it. The visitor is called inside the run and nothing is kept, so memory stays flat
and a later in-place operation cannot spoil a measurement. The model comes back exactly as it was.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.hooks import RemovableHandle

from artifactlab.attribution.sites.axes import axes_of_images, is_direction, is_row, is_unknown, role_of
from artifactlab.attribution.sites.axis_flow import AxisFlow
from artifactlab.attribution.sites.calling_lines import calling_line, is_layer_of_torch
from artifactlab.attribution.sites.detectors import GrowthDetection
from artifactlab.attribution.sites.merges import Makers, Merge, merge_of
from artifactlab.attribution.sites.records import SiteKey
from artifactlab.attribution.sites.sizes import FRAMING, framing
from artifactlab.attribution.sites.upsampling import ALIKE, ByDirection, Growth, has_values, module_growth
from artifactlab.attribution.sites.visits import Visit
from artifactlab.attribution.sites.wiring import Wiring
from artifactlab.models.compiled import eagerly
from artifactlab.models.occupation import watched_by_thread
from artifactlab.models.operators import as_function
from artifactlab.models.outputs import is_image
from artifactlab.models.tensor_table import given_tensors
from artifactlab.models.torch_internals import (
    is_in_backward,
    is_in_vmap,
    without_dispatch_modes,
    without_function_modes,
)
from artifactlab.models.wrappers import unwrap

Visitor = Callable[[Visit], "Tensor | None"]
"""Is given a site's output; may return a replacement of the same shape, which the model then runs on with."""
Finished = Callable[[Any, Wiring], None]
"""Takes what a pass returned, and which sites it came through."""


@dataclass
class _Frame:
    """A module that is running."""

    name: str
    of_torch: bool = False
    grew_inside: bool = False
    grown: ByDirection = ALIKE
    """Product of all growth in it, that of frames around the image included."""
    calls: Counter[str] = field(default_factory=Counter)


@dataclass
class _Run:
    """State of the forward pass in progress."""

    visitor: Visitor
    finished: Finished | None
    merged: Callable[[Merge], None] | None
    makers: Makers | None
    wiring: Wiring | None = None
    flow: AxisFlow = field(default_factory=AxisFlow)
    thread: int = field(default_factory=threading.get_ident)
    frames: list[_Frame] = field(default_factory=list)
    calls: Counter[tuple[str, str]] = field(default_factory=Counter)
    paused: bool = False

    def __post_init__(self) -> None:
        self.growths = GrowthDetection(self.flow)
        if self.finished or self.merged:
            self.wiring = Wiring(self.flow.of)

    def start(self, inputs: Any) -> None:
        self.frames.clear()
        self.calls.clear()
        self.flow.start(inputs)
        if self.wiring:
            self.wiring.start(inputs)
        if self.makers:
            self.makers.start()

    def is_outside_pass(self) -> bool:
        """Whether what runs now is no part of a pass: another thread's, the visitor's own, backward's or vmap's.

        Where activations are checkpointed, backward runs parts of the model once more.
        """
        return self.paused or is_in_backward() or threading.get_ident() != self.thread or is_in_vmap()

    def visit(self, growth: Growth) -> tuple[SiteKey | None, Tensor | None]:
        """Give the site to the visitor; what the visitor itself computes is no part of the pass.

        Returns its key, if it is a site, and what the visitor put in its place.
        """
        for frame in self.frames:
            frame.grew_inside = True
        if not has_values(growth.output):  # of no detection, a mask head grows nothing
            return None, None
        self.note_growth(growth.enlargement)
        if not growth.lattice:
            return None, None
        key = self.next_key(growth.op)
        line = None if growth.op == "module" or (self.frames and self.frames[-1].of_torch) else calling_line()
        with self._pause():
            return key, self.visitor(Visit(key, growth, line))

    def note_growth(self, scale: ByDirection) -> None:
        """Growth that the modules which are running need not have made by unseen means."""
        for frame in self.frames:
            along, across, through = (a * b for a, b in zip(frame.grown, scale, strict=True))
            frame.grown = (along, across, through)

    def rest(self, module: nn.Module, images: _Images, inputs: Any) -> Growth | None:
        """The growth that a module made by unseen means; of the whole model only where nothing in it was seen to grow.

        Its output would be repaired, and that of a whole model is what is judged.
        """
        frame = self.frames[-1]
        if images[0] is None or images[1] is None or (frame.grew_inside and len(self.frames) == 1):
            return None
        with without_function_modes():
            tokens = any(tensor.ndim == 3 for tensor in given_tensors(*inputs))
            return module_growth(module, *images, frame.grown, tokens)

    def images(self, inputs: Any, output: Any) -> _Images:
        """What a module takes and returns, as (N, C, *space): the largest image, and the output if it is one."""
        with without_function_modes():
            if not isinstance(output, Tensor) or not self._is_image(output):
                return None, None
            return max(filter(self._is_image, given_tensors(*inputs)), key=Tensor.numel, default=None), output

    def _is_image(self, tensor: Tensor) -> bool:
        axes = self.flow.of(tensor)
        if axes is None or is_unknown(axes):
            return is_image(tensor)
        rank = tensor.ndim
        is_run = is_row if rank == 4 else is_direction
        is_plain = 3 <= rank <= 5 and all(map(is_run, axes[2:]))
        return is_plain and role_of(axes[1]) == "features" and has_values(tensor)

    @contextmanager
    def _pause(self) -> Iterator[None]:
        """What runs in it is no part of a pass, and costs what it would cost elsewhere."""
        self.paused = True
        try:
            with without_dispatch_modes():  # of `artifactlab.models.state`, or of the user's own modes
                yield
        finally:
            self.paused = False

    def next_key(self, op: str) -> SiteKey:
        """The key of the running module's next call of `op`."""
        name = self.frames[-1].name if self.frames else ""
        self.calls[name, op] += 1
        if self.frames:
            self.frames[-1].calls[op] += 1
        return SiteKey(name, op, self.calls[name, op] - 1)

    def visit_merge(self, func: Any, args: Any, kwargs: Any) -> None:
        """Give a merge to its visitor, before it runs: in place, it would overwrite one of its operands."""
        if not (self.merged and self.wiring and self.makers):
            return
        merge = merge_of(self.wiring, self.makers, func, args, kwargs, self.next_key)
        if merge:
            number = self.frames[-1].calls[merge.key.op] - 1
            line = calling_line()
            with self._pause():
                self.merged(replace(merge, number=number, line=line))


_Images = tuple["Tensor | None", "Tensor | None"]
"""What a module takes, and what it returns."""


class _FunctionWatch(TorchFunctionMode):
    """Sees every torch function the running model calls."""

    def __init__(self, run: _Run) -> None:
        super().__init__()
        self.run = run

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        run = self.run
        if not run.frames or run.is_outside_pass():
            return func(*args, **kwargs)
        call = partial(func, *args, **kwargs)
        given = given_tensors(args, kwargs)
        func, args, kwargs = as_function(func, args, kwargs)
        run.visit_merge(func, args, kwargs)
        output = call()
        run.flow.called(func, args, kwargs, given, output)
        growth = run.growths.of_call(func, args, kwargs, output)
        if func in FRAMING:
            vertical, horizontal = framing(func, args, output)
            run.note_growth((horizontal, vertical, 1))
        key, replacement = run.visit(growth) if growth else (None, None)
        if growth and replacement is not None:
            seen = output
            output = growth.restore(replacement)
            run.flow.replaced(seen, output)
        if run.makers:
            run.makers.called(given, output)
        if run.wiring:
            run.wiring.called(func, args, kwargs, given, output, growth, key)
        return output


@contextmanager
def watch(
    model: nn.Module,
    visitor: Visitor,
    finished: Finished | None = None,
    merged: Callable[[Merge], None] | None = None,
) -> Iterator[None]:
    """Call `visitor` at every site of `model`, and `finished` at the end of each pass, inside the `with` block.

    What backward runs again, where parts of the model are checkpointed, is no pass, and no part of one.

    Where `merged` is given, it is given the features at every merge, see `merges`, just before they are joined.

    Raises:
        ModelError: if the model is a ScriptModule or FSDP-wrapped, which cannot be watched.
        RegistryError: if an installed package's kind of site cannot be used.
    """
    unwrapped = unwrap(model)
    run = _Run(visitor, finished, merged, Makers() if merged else None)
    with ExitStack() as stack:
        stack.enter_context(watched_by_thread(unwrapped))
        for name, module in unwrapped.named_modules():
            if not isinstance(module, torch.jit.ScriptModule):  # takes no hooks; its parent shows its growth
                for handle in _hook(module, name, run):
                    stack.callback(handle.remove)
        with _FunctionWatch(run), eagerly(model):
            yield


def _hook(module: nn.Module, name: str, run: _Run) -> list[RemovableHandle]:
    """Hooks that push and pop the module's frame, and visit it if it grew its input by unseen means."""

    def before(_module: nn.Module, args: Any, kwargs: Any) -> None:
        if run.is_outside_pass():
            return
        if not run.frames:
            run.start((args, kwargs))
        run.frames.append(_Frame(name, is_layer_of_torch(module)))

    def after(_module: nn.Module, args: Any, kwargs: Any, output: Any) -> Any:
        if not run.frames or run.is_outside_pass():
            return None
        try:
            images = run.images((args, kwargs), output)
            growth = run.rest(module, images, (args, kwargs))
            key, replacement = run.visit(growth) if growth else (None, None)
        finally:
            run.frames.pop()
        replaced = None if replacement is None or growth is None else growth.restore(replacement)
        returned = output if replaced is None else replaced
        if run.makers:
            run.makers.returned(name, returned)
        if growth is not None:
            run.flow.set(returned, axes_of_images(growth.out_shape))
        if run.wiring:
            run.wiring.returned(args, kwargs, returned, growth, key, images)
            if not run.frames and run.finished:
                run.finished(returned, run.wiring)
        return replaced

    return [
        module.register_forward_pre_hook(before, with_kwargs=True, prepend=True),
        # always, so that the stack of frames also survives an exception in the middle
        module.register_forward_hook(after, with_kwargs=True, always_call=True),
    ]
