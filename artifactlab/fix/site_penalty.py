"""A penalty on the grids and stair-steps in the flagged sites' own activations, during training."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from artifactlab.attribution.diagnosis import Diagnosis, as_diagnosis
from artifactlab.attribution.records import SiteDiagnosis
from artifactlab.attribution.site_keys import keys_of
from artifactlab.attribution.sites.records import Site, SiteKey
from artifactlab.attribution.sites.visits import Visit
from artifactlab.attribution.sites.watch import watch
from artifactlab.errors import InputError, ModelError
from artifactlab.fix.gradient_watch import IneffectiveLossWarning
from artifactlab.fix.lattice_terms import holds, lattice_power
from artifactlab.fix.loss import check_number
from artifactlab.metrics.bands import SPATIAL
from artifactlab.models.torch_internals import without_function_modes
from artifactlab.scoring.periods import lattice_period

FLAT = 1e-12
"""What is added to an activation's variance, which may be 0: too little to count beside any other."""


class SitePenalty:
    """How much of the flagged sites' own activations keeps step with their lattices, as a loss.

    `EdgeAwareLoss` sees what reaches the output; this goes to where it comes from. Inside the `with` block every
    forward pass of the model is watched, and calling the object returns the penalty of the passes since the last call:
    per site the share of the activation's variance that keeps step with the site's own scale (grids, grids that follow
    the activation's content, stair-steps) beyond what chance explains, summed over sites and passes. Scaling an
    activation does not change it.

        with SitePenalty.from_diagnosis(model, diagnosis) as penalty:
            for images, targets in loader:
                loss = l1_loss(model(images), targets) + penalty()

    Passes without gradients (validation) do not count. All others do, and are kept in memory, until the call: `reset`
    where there is none. With gradient checkpointing a site counts once, as what is
    recomputed in the backward pass is not seen; it must be the kind with `use_reentrant=False`, as the other runs
    forward without gradients. Under DistributedDataParallel every process has the penalty of its share of the batch,
    and gradients are averaged as for any loss that is a mean over the batch. Compiled models run as plain Python in the
    block; nn.DataParallel's replicas on several devices are not seen.

    Args:
        model: whose sites they are.
        sites: `diagnosis.offenders`, `Site`s, or their keys, such as "dec.up2/conv_transpose2d#0".
        weight: times which the penalty is returned.

    Raises:
        InputError: if there is no site, or a key is none; from a call, if a site did not run; from a forward pass, if
            a site's scale is no whole number.
        ModelError: if the model cannot be watched; from a call, if a site ran without gradients.

    >>> import torch
    >>> model = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.ConvTranspose2d(8, 3, 3, 2))
    >>> with SitePenalty(model, ["1/conv_transpose2d#0"]) as penalty:
    ...     output = model(torch.rand(1, 3, 32, 32))
    ...     penalty().backward()
    >>> bool(model[1].weight.grad.abs().sum() > 0)
    True
    """

    def __init__(self, model: nn.Module, sites: Sequence[SiteDiagnosis | Site | str], weight: float = 1.0) -> None:
        if isinstance(sites, (str, Site, SiteDiagnosis)):
            sites = [sites]
        if not sites:
            raise InputError("there is no site to penalise: pass a diagnosis' offenders, sites, or their keys")
        check_number("weight", weight, 0.0)
        self.weight = weight
        self._keys = keys_of(sites)
        self._model = model
        self._open, self._entered = ExitStack(), False
        self._leaves_out_untrained = False
        self.reset()

    @classmethod
    def from_diagnosis(cls, model: nn.Module, diagnosis: Diagnosis | str | Path, weight: float = 1.0) -> SitePenalty:
        """The penalty on a diagnosis' offenders, as far as they have a fixed lattice.

        One that enlarges what no weight has touched, such as the nearest neighbours of the input that many
        super-resolution nets add to their output, has nothing to be trained: it is left out, with an
        `IneffectiveLossWarning`. A loss on the output reaches what is added to it.

        Args:
            model: that was diagnosed.
            diagnosis: what `artifactlab.diagnose` returned, or the `diagnosis.json` of a report.
            weight: times which the penalty is returned.

        Raises:
            InputError: if the diagnosis has no such offender.

        >>> import artifactlab
        >>> from artifactlab.demo.run import noisy_photo
        >>> from artifactlab.demo.unet import broken
        >>> model = broken()
        >>> found = artifactlab.diagnose(model, noisy_photo()[..., :256, :256], data_range=1.0, fast=True)
        >>> with SitePenalty.from_diagnosis(model, found) as penalty:
        ...     output = model(noisy_photo()[..., :128, :128])
        ...     bool(penalty() > 0)
        True
        """
        diagnosis = as_diagnosis(diagnosis)
        sites = [found for found in diagnosis.offenders if max(lattice_period(found.site.scale)) > 1]
        if not sites:
            raise InputError(
                "the diagnosis names no offender with a lattice to penalise; SitePenalty(model, sites) takes any."
                f" It says: {diagnosis.heading}"
            )
        penalty = cls(model, sites, weight)
        penalty._leaves_out_untrained = True
        return penalty

    def __repr__(self) -> str:
        return f"SitePenalty({', '.join(map(str, self._keys))}; weight={self.weight:g})"

    def __enter__(self) -> SitePenalty:
        if self._entered:
            raise InputError("this SitePenalty is open already; leave its `with` block first, or make a second one")
        self._open.enter_context(watch(self._model, self._visit))
        self._entered = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._entered = False
        self._open.close()
        self.reset()

    def reset(self) -> None:
        """Forget the passes since the last call, such as those of a generator that only its discriminator learns by."""
        self._terms: dict[SiteKey, list[Tensor]] = {}
        self._visited: set[SiteKey] = set()

    def __call__(self) -> Tensor:
        """The penalty of the passes since the last call, a scalar."""
        terms, visited = self._terms, self._visited
        self.reset()
        for key in self._keys:
            if key in visited and key not in terms:
                self._without_gradients(key)
            elif key not in terms:
                raise InputError(
                    f"the site {key} has not run since the last call; those that have:"
                    f" {', '.join(sorted(map(str, visited))) or 'none'}. Call the model inside the `with` block, with"
                    " gradients, before each call"
                )
        found = [term for key in self._keys for term in terms.get(key, ())]
        return self.weight * torch.stack(found).sum() if found else torch.zeros(())

    def _without_gradients(self, key: SiteKey) -> None:
        """A site that cannot be trained is left out with a warning, or is an error where it was named."""
        why = f"the site {key} ran without gradients, so a penalty cannot change it: it"
        if not self._leaves_out_untrained:
            raise ModelError(
                f"{why} enlarges what no weight has touched, is frozen, under no_grad, or under gradient checkpointing"
                " with use_reentrant=True; use use_reentrant=False"
            )
        warnings.warn(f"{why} enlarges what no weight has touched, or is frozen", IneffectiveLossWarning, stacklevel=3)
        self._keys = [other for other in self._keys if other != key]

    def _visit(self, visit: Visit) -> None:
        self._visited.add(visit.key)
        output = visit.growth.output
        if visit.key in self._keys and torch.is_grad_enabled() and output.requires_grad:
            period = lattice_period(visit.growth.scale)
            if max(period) == 1:
                raise InputError(f"the site {visit.key} grows by {visit.growth.scale}, which has no fixed lattice")
            # a checkpoint counts what is saved, and what it recomputes has no penalty: ours is saved past its hooks
            with (
                torch.autocast(output.device.type, enabled=False),
                saved_tensors_hooks(_as_it_is, _as_it_is),
                without_function_modes(),  # another watch of the same model would take our sums for its growth
            ):
                term = lattice_share(output, period)
            self._terms.setdefault(visit.key, []).append(term)


def lattice_share(activation: Tensor, period: tuple[int, ...]) -> Tensor:
    """The share of an (N, C, *space) activation's variance that keeps step with a lattice, image by image; their mean.

    It is `lattice_power` on the activation's own content, less what chance would explain. The content is taken as
    given, so that the gradient takes the artifact away and not the content that it follows. A spacing per spatial axis,
    of which there are one, two or three.
    """
    dtype = torch.float64 if activation.dtype == torch.float64 else torch.float32
    values = activation.to(dtype, copy=True)  # the model may go on in place
    if not holds(values.shape[SPATIAL:], period):
        return values.sum() * 0
    deviation = (values.flatten(2).var(2, correction=0).mean(1) + FLAT).sqrt()
    values = values / deviation.view(-1, *[1] * (values.ndim - 1))
    power = lattice_power(values, values, period)
    return (power.explained - power.chance).clamp_min(0).mean()


def _as_it_is(saved: Tensor) -> Tensor:
    return saved
