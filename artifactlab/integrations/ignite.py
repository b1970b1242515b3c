"""The monitor as a handler of an Ignite engine."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from artifactlab.attribution.records import SiteDiagnosis
from artifactlab.attribution.sites.records import Site
from artifactlab.integrations.monitor import Monitor

try:
    from ignite.engine import Engine, Events
except ModuleNotFoundError as error:
    raise ImportError("ArtifactMonitor needs Ignite: pip install artifactlab[ignite]") from error

__all__ = ["ArtifactMonitor"]


class ArtifactMonitor:
    """A `Monitor` of an engine's model: what every upsampling layer draws, among `engine.state.metrics`.

    What is measured, and that training goes on exactly as it would without, is described there. Measured are the first
    iteration and each multiple of `every`, so that a logger with `OutputHandler(tag, metric_names="all")` at
    `Events.ITERATION_COMPLETED(every=100)`, attached after the monitor, logs what is new.

    Args:
        model: what is trained; of a GAN, the generator.
        sites: the only layers to measure, see `Monitor`; default is all.
        every: iterations between measurements.
        data_range: distance between the darkest and the brightest possible value of the output; where it is given,
            the output's severity is measured, too.

    Raises:
        InputError: if an argument is out of range.
        ModelError: if the model is a ScriptModule or FSDP-wrapped.

    >>> import torch
    >>> model = torch.nn.Sequential(torch.nn.ConvTranspose2d(3, 3, 3, 2))
    >>> trainer = Engine(lambda engine, batch: model(batch).square().mean().backward())
    >>> ArtifactMonitor(model).attach(trainer)
    >>> sorted(trainer.run([torch.rand(1, 3, 16, 16)]).metrics)
    ['artifactlab/0/axis_excess', 'artifactlab/0/grid', 'artifactlab/0/stair_steps']
    """

    def __init__(
        self,
        model: nn.Module,
        sites: Sequence[SiteDiagnosis | Site | str] = (),
        *,
        every: int = 100,
        data_range: float | None = None,
    ) -> None:
        self._monitor = Monitor(model, sites, every=every, data_range=data_range)

    def attach(self, engine: Engine) -> None:
        """Measure the iterations of an engine from here on.

        Args:
            engine: which trains the model.
        """
        engine.add_event_handler(Events.ITERATION_STARTED, self._begin)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._end)
        engine.add_event_handler(Events.EXCEPTION_RAISED, self._fail)

    def _begin(self, engine: Engine) -> None:
        self._monitor.begin(engine.state.iteration)

    def _end(self, engine: Engine) -> None:
        if self._monitor.end():
            engine.state.metrics.update(self._monitor.scalars())

    def _fail(self, engine: Engine, error: BaseException) -> None:
        """Stop watching. Where nobody else handles exceptions, an engine raises them, and ours is to be nobody."""
        self._monitor.stop()
        if len(engine._event_handlers[Events.EXCEPTION_RAISED]) == 1:
            raise error
