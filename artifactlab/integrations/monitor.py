"""What the upsampling layers draw while a model is trained, as numbers for any logger; no framework is needed."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from contextlib import ExitStack
from types import TracebackType

import torch.distributed as dist
from torch import Tensor, nn

from artifactlab.attribution.records import SiteDiagnosis
from artifactlab.attribution.site_keys import keys_of
from artifactlab.attribution.sites.records import Site
from artifactlab.attribution.sites.watch import watch
from artifactlab.errors import InputError
from artifactlab.integrations.watched_passes import WatchedPasses
from artifactlab.models.compiled import eagerly
from artifactlab.models.wrappers import unwrap

__all__ = ["Monitor"]


class Monitor:
    """Measures what every upsampling layer draws, every so many training steps, on the passes that the steps make.

        with Monitor(model) as monitor:
            for images, targets in loader:
                loss = l1_loss(model(images), targets)
                loss.backward()
                optimizer.step()
                optimizer.zero_grad()
                if monitor.step():
                    accelerator.log(monitor.scalars())  # or wandb, trackio, mlflow.log_metrics, print

    The scalars are, for a layer `up2` of the model, `artifactlab/up2/grid` (share of the activation's fine structure
    that is locked to the layer's lattice, 0 to 1), `artifactlab/up2/stair_steps` (pixels of the activation) and
    `artifactlab/up2/axis_excess` (0 to 1), which are the `Evidence` of `artifactlab.capture`; and, where the data range
    is known, `artifactlab/output/severity`, of which 1 just shows. A call in a forward of your own has its function's
    name, too: `artifactlab/dec/interpolate/grid`; a second one `dec/interpolate-1`. All calls of a layer are one.

    Training goes on as it would without, with the same weights and random numbers to the last bit. Between measured
    steps nothing of the monitor is in the model. In a measured one, whatever is compiled runs as plain Python, and
    fused kernels that torch uses only without hooks give way to plain ones, which both round differently. Of several
    processes the first measures, its own share of the batch; it waits for no other, and `step` is False in the others.
    Passes in eval mode and without gradients (validation) do not count. What a step cannot show (nothing grew, NaN in
    an activation) is warned of once and left out.

    Args:
        model: what is trained, as it is or in DistributedDataParallel, `fully_shard` or `torch.compile`; of a GAN, the
            generator, all of whose passes in a step are averaged.
        sites: the only layers to measure: `diagnosis.offenders`, `Site`s, or keys such as "up2/interpolate#0".
        every: steps between measurements; the first one is measured. A measurement takes a tenth of a second and more,
            so that trainings whose steps are far shorter want a larger number.
        data_range: distance between the darkest and the brightest possible value of the output, for its severity,
            which is measured on the first four images of the last pass.
        prefix: what all names start with.
        name: what the model is called in the names, put before those of its layers.
        keeps_images: whether to keep these images, for pictures; see `images`.

    Raises:
        InputError: if `every` is no positive integer, `data_range` no positive number, or a site none.
        ModelError: if the model cannot be watched: a ScriptModule, or in FullyShardedDataParallel.

    >>> import torch
    >>> model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3, padding=1), torch.nn.ConvTranspose2d(4, 3, 3, 2))
    >>> with Monitor(model, every=2) as monitor:
    ...     for step in range(3):
    ...         loss = model(torch.rand(1, 3, 32, 32)).square().mean()
    ...         if monitor.step():
    ...             print(step, sorted(monitor.scalars()))
    0 ['artifactlab/1/axis_excess', 'artifactlab/1/grid', 'artifactlab/1/stair_steps']
    2 ['artifactlab/1/axis_excess', 'artifactlab/1/grid', 'artifactlab/1/stair_steps']
    """

    def __init__(
        self,
        model: nn.Module,
        sites: Sequence[SiteDiagnosis | Site | str] = (),
        *,
        every: int = 100,
        data_range: float | None = None,
        prefix: str = "artifactlab",
        name: str = "",
        keeps_images: bool = False,
    ) -> None:
        check_every("every", every)
        if data_range is not None and not 0 < data_range < float("inf"):
            raise InputError(f"data_range must be a positive number, or None if it is not known, got {data_range!r}")
        self.every, self.data_range = every, data_range
        self._model, self._trained = model, unwrap(model)
        self._sites = keys_of(sites)
        self._before = f"{prefix}/{name}." if name else f"{prefix}/"
        self._keeps_images = keeps_images or data_range is not None
        self.images: Tensor | None = None
        """The first images (N, C, *space) of the last pass that was measured, in which something grew."""
        self.period: tuple[int, ...] = ()
        """The smallest lattice that holds those of all layers, along each axis of the images."""
        self._open = ExitStack()
        self._passes: WatchedPasses | None = None
        self._turn: int | None = None
        self._steps = 0
        self._scalars: dict[str, float] | None = None
        self._warned: set[str] = set()

    def __enter__(self) -> Monitor:
        self._steps, self._turn, self._scalars = 0, None, None
        self.begin(0)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def step(self) -> bool:
        """End a training step, after the optimizer's; whether it was measured, so that `scalars` are new.

        Where gradients are accumulated, that is once for all of the step's batches, which are averaged.
        """
        measured = self.end()
        self._steps += 1
        self.begin(self._steps)
        return measured

    def scalars(self) -> dict[str, float]:
        """What the last step that was measured shows, by name; nothing in processes that do not measure.

        Raises:
            InputError: if no step has ended, as `step` was not called: all passes would be measured as one step.
        """
        if self._scalars is None:
            raise InputError("no step has ended yet; call the monitor's step() after the optimizer's, then scalars()")
        return dict(self._scalars)

    def begin(self, step: int) -> bool:
        """Watch from here on until `end`, if the turn of a step has come; for frameworks that count the steps.

        Args:
            step: number of the step that begins. Measured is the first one, and then the first at or after each
                multiple of `every`.
        """
        self.stop()
        turn = step // self.every
        if turn == self._turn or not _is_rank_zero():
            return False
        self._turn, self._steps = turn, step
        self._passes = WatchedPasses(self._trained, self._sites, self._keeps_images)
        with ExitStack() as opening:
            opening.enter_context(eagerly(None))  # what is compiled may be more than what is watched
            opening.enter_context(watch(self._model, self._passes.visit, self._passes.finish))
            self._open = opening.pop_all()
        return True

    def end(self) -> bool:
        """Stop watching; whether anything was measured since `begin`."""
        passes = self._passes
        self.stop()
        self._scalars = self._scalars or {}
        if passes is None:
            return False
        layers = passes.measured()
        for problem in passes.problems:
            self._warn_once(problem)
        self.images, self.period = passes.images, passes.period(layers)
        self._scalars = {self._before + name: value for name, value in passes.scalars(layers, self.data_range).items()}
        return bool(layers)

    def stop(self) -> None:
        """Stop watching, and forget what was seen since `begin`: the step was not ended."""
        self._open.close()
        self._passes = None

    def _warn_once(self, problem: str) -> None:
        if problem not in self._warned:
            self._warned.add(problem)
            warnings.warn(f"Monitor, step {self._steps}: {problem}", stacklevel=3)


def check_every(name: str, every: int) -> None:
    """Raise an InputError unless it is a positive integer."""
    if not isinstance(every, int) or isinstance(every, bool) or every < 1:
        raise InputError(f"{name} must be a positive integer, got {every!r}")


def _is_rank_zero() -> bool:
    return not (dist.is_available() and dist.is_initialized()) or dist.get_rank() == 0
