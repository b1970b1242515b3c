"""Run a model on its inputs, quietly: eval mode, no gradients, the same random numbers each time, and no trace left."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.amp.autocast_mode import is_autocast_available

from artifactlab.errors import ArtifactLabError, CaptureError, ModelError, first_line
from artifactlab.inputs.images import MIN_SIDE
from artifactlab.models.attributes import hooks_kept
from artifactlab.models.calls import Call, on_device
from artifactlab.models.hints import hint
from artifactlab.models.layout import Layout
from artifactlab.models.occupation import alone_with
from artifactlab.models.outputs import SHAPES, Judged, judged_in, tensors
from artifactlab.models.random_state import random_states_kept
from artifactlab.models.state import ModelState


class Runner:
    """A context in which `run` repeats the same forward pass exactly, and which leaves the model as it was."""

    def __init__(self, model: nn.Module, output: str | int | None, seed: int, layout: Layout | None = None) -> None:
        self.model = model
        self.output = output
        self.seed = seed
        self.layout = layout
        """What the axes of its output are; None until that is known."""
        self._judged: Judged | None = None
        self.before_each: Callable[[], None] | None = None
        """Called before every pass; what it raises ends the work."""
        self._stack = ExitStack()
        self._autocasts: list[tuple[str, torch.dtype]] = []

    def __enter__(self) -> Runner:
        with ExitStack() as stack:
            stack.enter_context(alone_with(self.model))
            stack.callback(_restore_flags, [(module, module.training) for module in self.model.modules()])
            leaves = [parameter for parameter in self.model.parameters() if parameter.is_leaf]
            stack.callback(_restore_gradients, [(leaf, leaf.requires_grad, leaf.grad) for leaf in leaves])
            self._state = ModelState(self.model)
            stack.callback(self._state.restore)
            stack.enter_context(torch.no_grad())
            # the model runs in the precision that the caller asked for; what it returns is measured in full precision
            kinds = {"cpu", *(parameter.device.type for parameter in self.model.parameters())}
            kinds = {kind for kind in kinds if is_autocast_available(kind) and torch.is_autocast_enabled(kind)}
            self._autocasts = [(kind, torch.get_autocast_dtype(kind)) for kind in kinds]
            for kind in kinds:
                stack.enter_context(torch.autocast(kind, enabled=False))
            for module in self.model.modules():
                module.training = False
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def run(self, call: Call) -> Tensor:
        """The images, volumes or signals (N, C, *space) that the model returns for one call, real numbers.

        Raises:
            ModelError: if the model fails, or returns nothing of the kind.
            CaptureError: if they hold NaN or Inf, or are too small to measure.
        """
        if self.before_each:
            self.before_each()
        parameter = next((parameter for parameter in self.model.parameters() if not parameter.is_meta), None)
        device = None if parameter is None else parameter.device
        placed = on_device(call, device)
        self._state.restore()  # a model that counts, or updates averages, would make passes differ
        try:
            with random_states_kept(self.seed), self._precision(), self.guarded():
                result = self.model(*placed.args, **placed.kwargs)
        except ArtifactLabError:
            raise
        except (Exception, SystemExit) as error:
            raise ModelError(
                f"the model failed on an input of {_shapes(call)}: {type(error).__name__}: {first_line(error)}"
                f"{hint(self.model, call, error)}"
            ) from error
        try:
            return _measurable(self.images(result), self.layout)
        except (RuntimeError, TypeError, NotImplementedError) as error:
            raise ModelError(
                f"the model's output cannot be read: {first_line(error)}; expected a real {SHAPES} tensor, got"
                f" {type(result).__name__}"
            ) from error

    def images(self, result: Any) -> Tensor:
        """What is judged of all that the model returned, as `(N, C, *space)`; with its gradient, if it has one.

        Raises:
            ModelError: if there is nothing of the kind.
        """
        return self._judged_of(result).images(result)

    def picked(self, result: Any) -> Tensor:
        """The tensor itself that is judged of all that the model returned, whatever its axes and type.

        Raises:
            ModelError: if there is nothing of the kind.
        """
        return self._judged_of(result).tensor(result)

    def _judged_of(self, result: Any) -> Judged:
        self._judged = self._judged or judged_in(result, self.output, self.layout)
        self.layout = self._judged.layout
        return self._judged

    @property
    def judged(self) -> Judged:
        """Which tensor of the output is judged, and as what, as the first pass told.

        All passes are judged alike: a repair must not change which classes a mask has.

        Raises:
            CaptureError: before the first pass.
        """
        if self._judged is None:
            raise CaptureError("the model has not run yet: what is judged of its output is known after the first pass")
        return self._judged

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """A context in which the model may be written to: `run` and the end of `Runner` take it back."""
        with hooks_kept(self.model), self._state.guarded():
            yield

    def _precision(self) -> ExitStack:
        """Autocast as it was when the context was entered."""
        stack = ExitStack()
        for kind, dtype in self._autocasts:
            stack.enter_context(torch.autocast(kind, dtype))
        return stack


def _measurable(images: Tensor, layout: Layout | None = None) -> Tensor:
    """A copy of an output, which was read in a layout.

    Raises:
        CaptureError: if it holds NaN or Inf, or is too small to measure.
    """
    if not bool(torch.isfinite(images).all()):
        raise CaptureError("the model's output holds NaN or Inf; check its weights and the input's range")
    size = images.shape[2:]
    if min(size[-2:]) < MIN_SIDE:  # of volumes and video each slice is measured, and there may be few
        units = ("samples", "pixels", "voxels")[len(size) - 1]
        wanted = [MIN_SIDE] * len(size) if len(size) < 3 else [size[0], MIN_SIDE, MIN_SIDE]
        read = f" (its axes read as {layout.axes})" if layout and layout.axes != "NCHW" else ""
        raise CaptureError(
            f"the model's output is {_by(size)} {units}{read}, too small to measure; give inputs that make it at least"
            f" {_by(wanted)}"
        )
    return images.detach().clone()


def _by(size: Sequence[int]) -> str:
    """A size as people write it: 48x64."""
    return "x".join(map(str, size))


def _restore_flags(flags: list[tuple[nn.Module, bool]]) -> None:
    for module, training in flags:
        module.training = training


def _restore_gradients(kept: list[tuple[nn.Parameter, bool, Tensor | None]]) -> None:
    for parameter, requires_grad, gradient in kept:
        if parameter.requires_grad != requires_grad:
            parameter.requires_grad_(requires_grad)
        parameter.grad = gradient


def _shapes(call: Call) -> str:
    return ", ".join(f"shape {tuple(t.shape)}" for _, t in tensors((call.args, dict(call.kwargs)))) or "no tensors"
