"""A Lightning callback that watches the upsampling sites during training, at no forward pass of its own."""

from __future__ import annotations

import importlib
import warnings
from contextlib import ExitStack
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from artifactlab.attribution.sites.capture import Capture
from artifactlab.attribution.sites.records import CapturedSite
from artifactlab.attribution.sites.visits import Visit
from artifactlab.attribution.sites.watch import watch
from artifactlab.attribution.sites.wiring import Wiring
from artifactlab.errors import CaptureError, InputError
from artifactlab.integrations.tensorboard import plot_comparison
from artifactlab.models.compiled import eagerly
from artifactlab.models.layout import Layout
from artifactlab.models.outputs import first_image
from artifactlab.models.wrappers import unwrap
from artifactlab.scoring.data_range import spread
from artifactlab.scoring.periods import joint_period

__all__ = ["ArtifactMonitor"]

PACKAGES = ("lightning.pytorch", "pytorch_lightning")
"""The two packages that Lightning comes in."""


def callback_classes() -> tuple[type, ...]:
    """Lightning's `Callback`, of each of its two packages that is installed.

    Older trainers (2.5) take only callbacks of their own package; what is slow to import, the two share.

    Raises:
        ImportError: if neither is installed.

    >>> {kind.__name__ for kind in callback_classes()}
    {'Callback'}
    """
    installed = [name for name in PACKAGES if find_spec(name.partition(".")[0])]
    if not installed:
        raise ImportError("ArtifactMonitor needs Lightning: pip install artifactlab[lightning]")
    return tuple(importlib.import_module(name).Callback for name in installed)


if TYPE_CHECKING:
    from lightning.pytorch import Callback, LightningModule, Trainer
else:
    Callback = type("Callback", callback_classes(), {})


class ArtifactMonitor(Callback):
    """Logs what every upsampling site's activation shows, every so many training steps, to all loggers of the trainer.

    What is logged are `artifacts/SITE/checkerboard_energy`, `.../edge_jaggedness` and `.../axis_excess`, the
    `Evidence` of `artifactlab.capture`, measured while the training step itself runs. Training goes on exactly as it
    would without, with the same weights to the last bit, but for two things capture changes in a measured step:
    compiled models run as plain Python, and fused kernels give way to plain ones. Rank zero measures its own share of
    the batch. What a step cannot show (nothing grew, NaN in an activation) is warned of once and left out.

    Args:
        every_n_steps: optimizer steps between measurements. The first batch is measured, and then the first one at or
            after each multiple of it; of batches whose gradients are accumulated, only one. The step that is logged is
            `trainer.global_step` as the batch starts.
        module: the submodule of the LightningModule to watch, such as "generator"; default is all of it. Several runs
            of it within a step are averaged. With a distributed strategy, all of it means that the training step is
            one pass, in which a second run of a module is a site of its own: name the module there.
        figures: whether to draw the first image that the sites drew and where its grid and stair-steps are, as
            `artifacts/output`, for loggers that take figures (TensorBoard); costs about a second each time.

    Raises:
        InputError: if `every_n_steps` is no positive integer; as the fit starts, if there is no such `module`.
        ModelError: as the fit starts, if the module is a ScriptModule or FSDP-wrapped.

    >>> monitor = ArtifactMonitor(every_n_steps=50, module="generator")
    >>> # Trainer(callbacks=[monitor]).fit(...)
    """

    def __init__(self, every_n_steps: int = 100, module: str | None = None, figures: bool = False) -> None:
        if not isinstance(every_n_steps, int) or isinstance(every_n_steps, bool) or every_n_steps < 1:
            raise InputError(f"every_n_steps must be a positive integer, got {every_n_steps!r}")
        self.every_n_steps = every_n_steps
        self.module = module
        self.figures = figures
        self._open = ExitStack()
        self._watching: _Watching | None = None
        self._last_turn: int | None = None
        self._step = 0
        self._warned: set[str] = set()

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Complain about a module that is not there or cannot be watched before anything is trained."""
        unwrap(self._watched(pl_module))
        self._last_turn = None

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Start to watch, if this batch's turn has come."""
        self._close()  # a batch that a hook has skipped has no end
        turn = trainer.global_step // self.every_n_steps
        if not trainer.is_global_zero or turn == self._last_turn:
            return
        self._last_turn = turn
        self._step = trainer.global_step
        self._watching = _Watching(self.figures)
        self._open.enter_context(eagerly(pl_module))  # what is compiled may be more than what is watched
        self._open.enter_context(watch(self._watched(pl_module), self._watching.visit, self._watching.finish))

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Stop watching, and log what was measured."""
        watching = self._watching
        self._close()
        if watching is None:
            return
        sites = watching.measured()
        for problem in watching.problems:
            self._warn_once(problem)
        if sites:
            for logger in trainer.loggers:
                logger.log_metrics(_metrics(sites, self.module or ""), step=self._step)
        if sites and watching.image is not None:
            self._draw(trainer, sites, watching.image)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop watching."""
        self._close()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop watching."""
        self._close()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Stop watching."""
        self._close()

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Stop watching."""
        self._close()

    def _watched(self, pl_module: LightningModule) -> nn.Module:
        if self.module is None:
            return pl_module
        try:
            return pl_module.get_submodule(self.module)
        except AttributeError as error:
            names = ", ".join(name for name, _ in pl_module.named_children())
            raise InputError(
                f"ArtifactMonitor(module={self.module!r}): {type(pl_module).__name__} has no such submodule;"
                f" it has {names or 'none'}"
            ) from error

    def _close(self) -> None:
        self._open.close()
        self._watching = None

    def _warn_once(self, problem: str) -> None:
        if problem not in self._warned:
            self._warned.add(problem)
            warnings.warn(f"ArtifactMonitor, step {self._step}: {problem}", stacklevel=3)

    def _draw(self, trainer: Trainer, sites: list[CapturedSite], image: Tensor) -> None:
        if image.ndim != 4:  # the maps of a comparison are those of images
            return
        periods = [found.site.period for found in sites if len(found.site.period) == 2]  # the picture has no others
        vertical, horizontal = joint_period(periods, image.shape[2:])
        for logger in trainer.loggers:
            writer: Any = getattr(logger, "experiment", None)
            if hasattr(writer, "add_figure") and bool(image.isfinite().all()):
                figure = plot_comparison(image, period=(vertical, horizontal), data_range=spread(image) or 1.0)
                writer.add_figure("artifacts/output", figure, self._step)


class _Watching(Capture):
    """A capture that goes on where a site cannot be measured: its monitor is no reason for training to end."""

    def __init__(self, figures: bool) -> None:
        super().__init__()
        self.problems: list[str] = []
        self.image: Tensor | None = None
        """First image (1, C, H, W) of the last pass in which something grew; None where no figures are wanted."""
        self._figures = figures
        self._grew = False

    def visit(self, visit: Visit) -> None:
        """Measure one site's activation, if it can be."""
        self._grew = True
        try:
            super().visit(visit)
        except CaptureError as error:
            self.problems.append(str(error))

    def finish(
        self, result: Any, wiring: Wiring, output: str | int | None = None, layout: Layout | None = None
    ) -> None:
        """Note the output of a pass in which something grew; a discriminator's is of no interest."""
        image = first_image(result) if self._figures and self._grew else None
        self._grew = False
        if image is not None:
            super().finish(image, wiring, output, layout)
            self.image = image[:1].detach().float().clone()

    def measured(self) -> list[CapturedSite]:
        """The sites that could be measured; none is a problem if there is no other."""
        try:
            return self.sites
        except CaptureError:
            if not self.problems:
                self.problems.append(
                    "no upsampling was seen in this step, so nothing is logged; check that the watched module runs in"
                    " it and enlarges something, or leave the monitor out"
                )
            return []


def _metrics(sites: list[CapturedSite], module: str) -> dict[str, float]:
    """Scores by the names they are logged under, in which sites are called as the LightningModule calls them."""
    metrics = {}
    for found in sites:
        name = ".".join(filter(None, (module, found.site.name)))
        key = replace(found.site, name=name).key
        metrics[f"artifacts/{key}/checkerboard_energy"] = found.evidence.checkerboard_energy
        metrics[f"artifacts/{key}/edge_jaggedness"] = found.evidence.edge_jaggedness
        metrics[f"artifacts/{key}/axis_excess"] = found.evidence.axis_excess
    return metrics
