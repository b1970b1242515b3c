"""The monitor as a callback of transformers' `Trainer`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor

from artifactlab.attribution.records import SiteDiagnosis
from artifactlab.attribution.sites.records import Site
from artifactlab.integrations.monitor import Monitor, check_every

if TYPE_CHECKING:
    from transformers import Trainer, TrainerControl, TrainerState

    TrainerCallback = object  # types are checked where transformers is not
else:
    try:
        from transformers import TrainerCallback
    except ModuleNotFoundError:
        TrainerCallback = object

__all__ = ["ArtifactMonitor"]


class ArtifactMonitor(TrainerCallback):
    """A `Monitor` of a `Trainer`'s model: logs what every upsampling layer draws wherever the trainer logs.

    What is logged, and that training goes on exactly as it would without, is described there. It goes through
    `trainer.log`, to all integrations of the trainer and its log history, under the number of the step that has just
    ended: 1, 101, 201 and so on. Of batches whose gradients are accumulated, the first is measured.

    Args:
        trainer: which logs; callbacks that were given to it at construction could not.
        every_n_steps: optimizer steps between measurements; the first is measured.
        sites: the only layers to measure, see `Monitor`; default is all.
        data_range: distance between the darkest and the brightest possible value of the output; where it is given,
            the output's severity is logged, too.

    Raises:
        ImportError: if transformers is not installed.
        InputError: if `every_n_steps` is no positive integer; as training starts, if another argument is out of range.
        ModelError: as training starts, if the model is FSDP-wrapped.

    >>> # trainer = Trainer(model, TrainingArguments(...), train_dataset=...)
    >>> # trainer.add_callback(ArtifactMonitor(trainer, every_n_steps=50))
    """

    def __init__(
        self,
        trainer: Trainer,
        every_n_steps: int = 100,
        sites: Sequence[SiteDiagnosis | Site | str] = (),
        data_range: float | None = None,
    ) -> None:
        if TrainerCallback is object:
            raise ImportError("ArtifactMonitor needs transformers: pip install artifactlab[transformers]")
        check_every("every_n_steps", every_n_steps)
        self.trainer = trainer
        self.every_n_steps = every_n_steps
        self.sites = sites
        self.data_range = data_range
        self._monitor: Monitor | None = None
        self._unwatched_step: Callable[..., Tensor] | None = None
        self._measured = False

    def on_train_begin(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Complain about a model that cannot be watched before anything is trained, and watch the trainer's steps.

        No event of a trainer tells of an exception, after which nothing may be left in the model; so watched is what
        its `training_step` does, and not what lies between two events.
        """
        self._leave()  # a training that an exception has ended
        self._monitor = Monitor(kwargs["model"], self.sites, every=self.every_n_steps, data_range=self.data_range)
        self._unwatched_step = self.trainer.training_step
        self.trainer.training_step = self._watched_step

    def on_step_end(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Log what was measured."""
        if self._monitor and self._measured:
            self._measured = False
            wanted = control.should_log
            self.trainer.log(self._monitor.scalars())
            control.should_log = wanted  # of the loss, too; a log takes it for done

    def on_train_end(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Leave the trainer as it was, and let the model go."""
        self._leave()

    def _watched_step(self, *args: Any, **kwargs: Any) -> Tensor:
        """The trainer's own, watched where the turn of its step has come: the first batch of those accumulated."""
        assert self._monitor
        assert self._unwatched_step
        self._monitor.begin(self.trainer.state.global_step)
        try:
            loss = self._unwatched_step(*args, **kwargs)
            self._measured |= self._monitor.end()
            return loss
        finally:
            self._monitor.stop()

    def _leave(self) -> None:
        if self._unwatched_step:
            self.trainer.training_step = self._unwatched_step
        self._monitor, self._unwatched_step, self._measured = None, None, False
