"""Find the sites of a model, and hand each one's output to a visitor, while the model runs.

Module hooks keep a stack of qualified names; a `TorchFunctionMode` sees every call of the upsampling functions, whether
a module or a user's `forward` makes it. The visitor is called inside the run and nothing is kept, so memory stays flat
and a later in-place operation cannot spoil a measurement. The model comes back exactly as it was.
"""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.hooks import RemovableHandle

from artifactlab.attribution.sites.evidence import check_finite, measure_evidence
from artifactlab.attribution.sites.merges import Makers, Merge, merge_of
from artifactlab.attribution.sites.records import CapturedSite, Evidence, Follows, Site
from artifactlab.attribution.sites.upsampling import Growth, growth_of, module_growth, tidy
from artifactlab.attribution.sites.wiring import Wiring, period_of
from artifactlab.errors import CaptureError, ModelError
from artifactlab.models.compiled import eagerly
from artifactlab.models.outputs import first_image


@dataclass(frozen=True)
class Visit:
    """One run of one site, as the visitor sees it."""

    key: tuple[str, str, int]
    """(qualified module name, op, call index)"""
    growth: Growth
    """what grew, by how much; holds the (N, C, H, W) input and output"""
    line: str | None = None
    """file and line of the user's code that made the call; None where a module of torch made it"""

    @property
    def layer(self) -> tuple[Any, ...]:
        """What the calls of a layer have in common; stages that share a line or a module are of different size."""
        return (*self.key[:2], self.line, self.growth.out_shape)


Key = tuple[str, str, int]
Visitor = Callable[[Visit], "Tensor | None"]
"""Looks at a site's output; may return a replacement of the same shape, which the model then runs on with."""
Finished = Callable[[Any, Wiring], None]
"""Takes what a pass returned, and which sites it came through."""


@dataclass
class _Frame:
    """A module that is running."""

    name: str
    of_torch: bool = False
    grew_inside: bool = False
    calls: Counter[str] = field(default_factory=Counter)


@dataclass
class _Run:
    """State of the forward pass in progress."""

    visitor: Visitor
    finished: Finished | None
    thread: int
    frames: list[_Frame] = field(default_factory=list)
    calls: Counter[tuple[str, str]] = field(default_factory=Counter)
    partitions: set[tuple[int, ...]] = field(default_factory=set)
    busy: bool = False
    merged: Callable[[Merge], None] | None = None
    wiring: Wiring | None = None
    makers: Makers | None = None

    def start(self) -> None:
        self.frames.clear()
        self.calls.clear()
        self.partitions.clear()
        if self.wiring:
            self.wiring.start()
        if self.makers:
            self.makers.start()

    def out_of_sight(self) -> bool:
        """Whether what runs now is no part of a pass: another thread's, the visitor's own, or backward's.

        Where activations are checkpointed, backward runs parts of the model once more.
        """
        backward = torch._C._current_graph_task_id() != -1
        return self.busy or backward or threading.get_ident() != self.thread

    def visit(self, growth: Growth) -> tuple[Key | None, Tensor | None]:
        """Give the site to the visitor, with everything the visitor itself computes out of sight.

        Returns its key, if it is a site, and what the visitor put in its place.
        """
        for frame in self.frames:
            frame.grew_inside = True
        if not growth.lattice:
            return None, None
        key = self.next_key(growth.op)
        line = None if growth.op == "module" or (self.frames and self.frames[-1].of_torch) else _line_outside()
        with self._out_of_sight():
            return key, self.visitor(Visit(key, growth, line))

    @contextmanager
    def _out_of_sight(self) -> Iterator[None]:
        """What runs in it is no part of a pass, and costs what it would cost elsewhere."""
        self.busy = True
        try:
            with torch._C._DisableTorchDispatch():  # of `artifactlab.models.state`, or of the user's own modes
                yield
        finally:
            self.busy = False

    def next_key(self, op: str) -> Key:
        """The key of the running module's next call of `op`."""
        name = self.frames[-1].name if self.frames else ""
        self.calls[name, op] += 1
        if self.frames:
            self.frames[-1].calls[op] += 1
        return name, op, self.calls[name, op] - 1

    def meet(self, func: Any, args: Any, kwargs: Any) -> None:
        """Give a merge to its visitor, before it runs: in place, it would overwrite one of its operands."""
        if not (self.merged and self.wiring and self.makers):
            return
        merge = merge_of(self.wiring, self.makers, func, args, kwargs, self.next_key)
        if merge:
            number = self.frames[-1].calls[merge.key[1]] - 1
            line = _line_outside()
            with self._out_of_sight():
                self.merged(replace(merge, number=number, line=line))


class _FunctionWatch(TorchFunctionMode):
    """Sees every torch function the running model calls."""

    def __init__(self, run: _Run) -> None:
        super().__init__()
        self.run = run

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if not self.run.frames or self.run.out_of_sight():
            return func(*args, **kwargs)
        self.run.meet(func, args, kwargs)
        output = func(*args, **kwargs)
        growth = growth_of(func, args, kwargs, output, self.run.partitions)
        key, replacement = self.run.visit(growth) if growth else (None, None)
        if growth and replacement is not None:
            output = growth.restore(replacement)
        if self.run.makers:
            self.run.makers.called((args, kwargs), output)
        if self.run.wiring:
            self.run.wiring.called(func, args, kwargs, output, growth, key)
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

    Where `merged` is given, it sees the features at every merge, see `merges`, just before they meet.

    Raises:
        ModelError: if the model is a ScriptModule or FSDP-wrapped, which cannot be watched.
    """
    whole, model = model, unwrap(model)
    wiring = Wiring() if finished or merged else None
    run = _Run(visitor, finished, threading.get_ident(), merged=merged, wiring=wiring)
    run.makers = Makers() if merged else None
    handles: list[RemovableHandle] = []
    try:
        for name, module in model.named_modules():
            if not isinstance(module, torch.jit.ScriptModule):  # takes no hooks; its parent shows its growth
                handles.extend(_hook(module, name, run))
        with _FunctionWatch(run), eagerly(whole):
            yield
    finally:
        for handle in handles:
            handle.remove()


def _hook(module: nn.Module, name: str, run: _Run) -> list[RemovableHandle]:
    """Hooks that push and pop the module's frame, and visit it if it grew its input by unseen means."""

    def before(_module: nn.Module, _args: Any, _kwargs: Any) -> None:
        if run.out_of_sight():
            return
        if not run.frames:
            run.start()
        run.frames.append(_Frame(name, type(module).__module__.startswith("torch.")))

    def after(_module: nn.Module, args: Any, kwargs: Any, output: Any) -> Any:
        if not run.frames or run.out_of_sight():
            return None
        try:
            growth = None if run.frames[-1].grew_inside else module_growth(module, (args, kwargs), output)
            key, replacement = run.visit(growth) if growth else (None, None)
        finally:
            run.frames.pop()
        result = None if replacement is None or growth is None else growth.restore(replacement)
        if run.makers:
            run.makers.left(name, output if result is None else result)
        if run.wiring:
            run.wiring.left(args, kwargs, output if result is None else result, growth, key)
            if not run.frames and run.finished:
                run.finished(output if result is None else result, run.wiring)
        return result

    return [
        module.register_forward_pre_hook(before, with_kwargs=True, prepend=True),
        # always, so that the stack of frames also survives an exception in the middle
        module.register_forward_hook(after, with_kwargs=True, always_call=True),
    ]


def unwrap(model: nn.Module) -> nn.Module:
    """The user's own module inside DataParallel, DistributedDataParallel or `torch.compile`.

    Raises:
        ModelError: if it is no `nn.Module`, or one whose forward cannot be watched.
    """
    if not isinstance(model, nn.Module):
        raise ModelError(f"expected a torch.nn.Module, got {type(model).__name__}; pass the model object itself")
    if isinstance(model, torch.jit.ScriptModule):
        raise ModelError(
            "the model is a ScriptModule, whose forward cannot be watched; pass the Python module it was scripted from"
        )
    if any("FullyShardedDataParallel" in kind.__name__ for kind in type(model).__mro__):
        raise ModelError("the model is FSDP-wrapped; gather its weights into the plain module and pass that")
    wrapped = model._modules.get("_orig_mod")
    if isinstance(model, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
        wrapped = model.module
    return model if wrapped is None else unwrap(wrapped)


@dataclass
class _Seen:
    """A site, and what was seen of it in all passes."""

    growth: Growth
    line: str | None
    like: tuple[Any, ...]
    """what its calls have in common with those of the same layer"""
    measured: bool
    """whether its evidence is, or taken from an earlier call of the layer"""
    evidence: list[Evidence] = field(default_factory=list)
    period: tuple[float, float] | None = None
    followed_by: Follows = "layers"


class Capture:
    """The sites seen so far, with their evidence; what `capture` yields.

    Of a layer that runs many times in a pass, calls 1, 4, 16, ... are measured, and speak for those up to the next one.

    Args:
        every_call: measure them all.
    """

    def __init__(self, every_call: bool = False) -> None:
        self._every_call = every_call
        self._seen: dict[Key, _Seen] = {}
        self._runs: Counter[tuple[Any, ...]] = Counter()

    @property
    def sites(self) -> list[CapturedSite]:
        """Sites in the order they ran, evidence averaged over the forward passes.

        Raises:
            CaptureError: if the model ran without growing anything, or did not run.
        """
        if not self._seen:
            raise CaptureError(
                "no upsampling was seen: check that the model enlarges something, and that it ran while it was watched"
                " (inside the `with` block of a capture)"
            )
        sites: list[CapturedSite] = []
        latest: dict[tuple[Any, ...], Evidence] = {}
        for key, seen in self._seen.items():
            if seen.measured:
                latest[seen.like] = mean_evidence(seen.evidence)
            sites.append(CapturedSite(_site(key, seen), latest[seen.like]))
        return sites

    @property
    def layers(self) -> list[CapturedSite]:
        """The same, all calls of a layer as one: those of a module, or of a line of code, whose period is the same.

        A sampler runs a net many times, an ensemble turns its input, a large image is cut into tiles: the layer that is
        to be repaired is one.
        """
        together: dict[tuple[Any, ...], list[CapturedSite]] = {}
        for found in self.sites:
            site = found.site
            line = self._seen[site.name, site.op, site.call].line
            # of a module of torch a second call is the same layer, whatever its size
            period = None if line is None and site.op != "module" else site.period
            together.setdefault((site.name, site.op, line, period), []).append(found)
        return [_layer(calls) for calls in together.values()]

    def visit(self, visit: Visit) -> None:
        """Measure the activation of one `visit` to a site, and let it go.

        Raises:
            CaptureError: if it holds NaN or Inf; every call is looked at for those.
        """
        growth = visit.growth
        label = "/".join(filter(None, visit.key[:2]))
        check_finite(growth.output, label)
        seen = self._seen.get(visit.key) or self._first_seen(visit)
        if seen.measured:
            seen.evidence.append(measure_evidence(growth.output, growth.scale))
        seen.growth = growth.without_tensors()
        self._seen[visit.key] = seen

    def _first_seen(self, visit: Visit) -> _Seen:
        like = visit.layer
        self._runs[like] += 1
        return _Seen(visit.growth, visit.line, like, self._every_call or _power_of_four(self._runs[like]))

    def finish(self, output: Any, wiring: Wiring) -> None:
        """Note how a pass's `output` came from each site, by the `wiring` of that pass: periods follow from it."""
        image = first_image(output)
        if image is None:
            return
        ways = wiring.ways(image)
        for key, seen in self._seen.items():
            way = ways.get(key)
            seen.period = period_of(way) if way else seen.period or _period_by_size(seen.growth, image)
            if way and way.pointwise:
                seen.followed_by = "bounding" if way.bounded else "pointwise"


@contextmanager
def capture(model: nn.Module) -> Iterator[Capture]:
    """Measure every upsampling site of `model` while it runs inside the `with` block.

    The model runs exactly as it would without: same outputs, gradients, random numbers, hooks and train flags. Nothing
    but a few numbers per site is kept. What counts as a pass is a call of a module of the model; where a method calls
    several (`vae.decode(z)`), each outermost one is a pass of its own. Fused kernels that torch uses only without hooks
    (`nn.TransformerEncoder`) give way to the plain ones, which round differently.

    Args:
        model: any `nn.Module`; DataParallel and `torch.compile` wrappers are looked through.

    Yields:
        A `Capture`, whose `sites` list each site with its scores.

    Raises:
        ModelError: if the model is a ScriptModule or FSDP-wrapped.
        CaptureError: from `.sites`, if nothing grew; from the run, if an activation holds NaN or Inf.

    >>> import torch
    >>> model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1), torch.nn.Upsample(scale_factor=2))
    >>> with capture(model) as cap:
    ...     _ = model(torch.rand(1, 3, 64, 64))
    >>> [found.site.key for found in cap.sites]
    ['1/interpolate#0']
    """
    found = Capture()
    with watch(model, found.visit, found.finish):
        yield found


def _site(key: Key, seen: _Seen) -> Site:
    (name, op, call), growth = key, seen.growth
    return Site(
        name=name,
        op=op,
        call=call,
        scale=growth.scale,
        period=seen.period or growth.scale,
        in_shape=growth.in_shape,
        out_shape=growth.out_shape,
        calls=(call,),
        followed_by=seen.followed_by,
    )


def _layer(calls: Sequence[CapturedSite]) -> CapturedSite:
    """All calls of a layer, named after its first; its period is the smallest that holds theirs."""
    first = calls[0].site
    whole = replace(first, calls=tuple(found.site.call for found in calls))
    return CapturedSite(whole, mean_evidence([found.evidence for found in calls]))


def _period_by_size(growth: Growth, image: Tensor) -> tuple[float, float]:
    """The period of a site that the output was not seen to come from: its scale, times all growth after it."""
    after = (size / before for size, before in zip(image.shape[2:], growth.out_shape[2:], strict=True))
    # a direction that the site does not grow has no lattice of the site's
    period = tuple(tidy(s * a) if s != 1 else 1 for s, a in zip(growth.scale, after, strict=True))
    return period[0], period[1]


def _line_outside() -> str | None:
    """File and line of the innermost caller that is neither torch's nor this package's."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if not module.startswith(("torch.", "artifactlab.")):
            return f"{frame.f_code.co_filename}:{frame.f_lineno}"
        frame = frame.f_back
    return None


def _power_of_four(count: int) -> bool:
    """1, 4, 16, 64, ..."""
    return count.bit_count() == 1 and count.bit_length() % 2 == 1


def mean_evidence(evidence: list[Evidence]) -> Evidence:
    """The average of several passes' evidence."""
    count = len(evidence)
    return Evidence(
        edge_jaggedness=sum(e.edge_jaggedness for e in evidence) / count,
        axis_excess=sum(e.axis_excess for e in evidence) / count,
        checkerboard_energy=sum(e.checkerboard_energy for e in evidence) / count,
    )
