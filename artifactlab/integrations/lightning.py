"""A Lightning callback that watches the upsampling sites during training, at no forward pass of its own."""

from __future__ import annotations

import importlib
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from torch import nn

from artifactlab.errors import InputError
from artifactlab.integrations.monitor import Monitor, check_every
from artifactlab.integrations.tensorboard import plot_comparison
from artifactlab.scoring.data_range import spread

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
    """A `Monitor` in Lightning: logs what every upsampling layer draws to all loggers of the trainer.

    What is logged, and that training goes on exactly as it would without, is described there: a layer of
    `pl_module.generator` is `artifactlab/generator.up/grid` and so on, under the name that the LightningModule has for
    it. With a distributed strategy rank zero measures its own share of the batch.

    Args:
        every_n_steps: optimizer steps between measurements. The first batch is measured, and then the first one at or
            after each multiple of it; of batches whose gradients are accumulated, only one. The step that is logged is
            `trainer.global_step` as the batch starts.
        module: the submodule of the LightningModule to watch, such as "generator"; default is all of it. Several runs
            of it within a step are averaged. With a distributed strategy, all of it means that the training step is
            one pass, in which a second run of a module is a call of its own: name the module there.
        figures: whether to draw the first image that the layers drew and where its grid and stair-steps are, as
            `artifactlab/output`, for loggers that take figures (TensorBoard); costs about a second each time.
        data_range: distance between the darkest and the brightest possible value of the output; where it is given,
            the output's severity is logged, too.

    Raises:
        InputError: if `every_n_steps` is no positive integer; as the fit starts, if there is no such `module`, or
            `data_range` is no positive number.
        ModelError: as the fit starts, if the module is a ScriptModule or FSDP-wrapped.

    >>> monitor = ArtifactMonitor(every_n_steps=50, module="generator")
    >>> # Trainer(callbacks=[monitor]).fit(...)
    """

    def __init__(
        self,
        every_n_steps: int = 100,
        module: str | None = None,
        figures: bool = False,
        data_range: float | None = None,
    ) -> None:
        check_every("every_n_steps", every_n_steps)
        self.every_n_steps = every_n_steps
        self.module = module
        self.figures = figures
        self.data_range = data_range
        self._monitor: Monitor | None = None
        self._step = 0

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Complain about a module that is not there or cannot be watched before anything is trained."""
        self._monitor = Monitor(
            self._watched(pl_module),
            every=self.every_n_steps,
            data_range=self.data_range,
            name=self.module or "",
            keeps_images=self.figures,
        )

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Start to watch, if this batch's turn has come."""
        self._step = trainer.global_step
        if self._monitor:
            self._monitor.begin(self._step)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Stop watching, and log what was measured."""
        if not (self._monitor and self._monitor.end()):
            return
        for logger in trainer.loggers:
            logger.log_metrics(self._monitor.scalars(), step=self._step)
        if self.figures:
            self._draw(trainer, self._monitor)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop watching."""
        self._stop()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop watching."""
        self._stop()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Stop watching."""
        self._stop()

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Stop watching, and let the model go."""
        self._stop()
        self._monitor = None

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

    def _stop(self) -> None:
        if self._monitor:
            self._monitor.stop()

    def _draw(self, trainer: Trainer, monitor: Monitor) -> None:
        images = monitor.images
        if images is None or images.ndim != 4:  # the maps of a comparison are those of images
            return
        image, (vertical, horizontal) = images[:1], monitor.period
        for logger in trainer.loggers:
            writer: Any = getattr(logger, "experiment", None)
            if hasattr(writer, "add_figure") and bool(image.isfinite().all()):
                figure = plot_comparison(image, period=(vertical, horizontal), data_range=spread(image) or 1.0)
                writer.add_figure("artifactlab/output", figure, self._step)
