"""How else one might name the layer: what people do by hand, and captum. Each gives a number per site.

Those that change an activation are scored by how far the output's severity falls, the same measure as `diagnose` has.
The truth knows nothing of it.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from captum.attr import LayerFeatureAblation
from planted_cases import Case, changed, severity_of, watched
from torch import Tensor, nn


def activation_spectrum(case: Case, images: Tensor) -> dict[int, float]:
    """Share of each activation's energy at period 2: looking at what a layer gives out."""
    return {site: _lattice_share(seen.output, 2) for site, seen in watched(case.model, images).items()}


def always_last(case: Case, images: Tensor) -> dict[int, float]:
    """The site that runs last."""
    return {site: float(place) for place, site in enumerate(case.base.order)}


def output_spectrum(case: Case, images: Tensor) -> dict[int, float]:
    """Energy of the output at the frequencies that a site's period has and no smaller one; equal periods tie."""
    with torch.no_grad():
        output = case.model(images)
    energy = {period: _lattice_share(output, period) for period in (1, *sorted(set(case.periods.values())))}
    return {site: energy[period] - energy[period // 2] for site, period in case.periods.items()}


def mean_ablation(case: Case, images: Tensor) -> dict[int, float]:
    """How far severity falls when a site's activation becomes its mean over images and space."""
    return _falls(case, images, lambda y: y.mean((0, 2, 3), keepdim=True).expand_as(y))


def resample_ablation(case: Case, images: Tensor) -> dict[int, float]:
    """How far severity falls when a site's activation is taken from another image."""
    return _falls(case, images, lambda y: y.roll(1, 0))


def _falls(case: Case, images: Tensor, instead: Callable[[Tensor], Tensor]) -> dict[int, float]:
    before = severity_of(case.model, images, case.period)
    falls = {}
    for site in case.base.order:
        with changed(case.model, lambda k, _, y, site=site: instead(y) if k == site else y):
            falls[site] = before - severity_of(case.model, images, case.period)
    return falls


ONE = torch.zeros(1, 1, 1, 1, dtype=torch.long)
"""a mask that makes all of a layer one feature"""


def zero_ablation(case: Case, images: Tensor) -> dict[int, float]:
    """captum: how far severity falls when a layer is set to zero; every element says the same number.

    Sites that are no modules get none: captum's hooks cannot see them.
    """
    model = _SeverityOf(case.model, case.period)
    found = {}
    for site, layer in enumerate(case.model.ups):
        fall = 0.0
        if _is_hooked(case, layer):
            fall = float(LayerFeatureAblation(model, layer).attribute(images, layer_mask=ONE).mean())
        found[site] = fall
    return found


def _is_hooked(case: Case, layer: nn.Module) -> bool:
    """Whether the layer runs as a module."""
    seen: list[bool] = []
    handle = layer.register_forward_hook(lambda *_: seen.append(True))
    with torch.no_grad():
        case.model(case.images(0)[:1])
    handle.remove()
    return bool(seen)


class _SeverityOf(nn.Module):
    """The severity of all outputs together, one number, without gradients."""

    def __init__(self, decoder: nn.Module, period: tuple[int, int]) -> None:
        super().__init__()
        self.decoder, self.period = decoder, period

    def forward(self, images: Tensor) -> Tensor:
        return torch.tensor([severity_of(self.decoder, images, self.period)])


def _lattice_share(images: Tensor, period: int) -> float:
    """Share of energy (without the mean) at the lattice frequencies of a period, over all whole periods."""
    whole = max(8, period)  # the same for all periods of most nets
    height, width = (size // whole * whole or size for size in images.shape[-2:])
    power = torch.fft.fft2(images[..., :height, :width]).abs().square().mean((0, 1))
    power[0, 0] = 0
    return float(power[:: height // period, :: width // period].sum() / power.sum().clamp_min(1e-12))


PEERS: dict[str, Callable[[Case, Tensor], dict[int, float]]] = {
    "activation FFT": activation_spectrum,
    "always the last site": always_last,
    "output spectrum": output_spectrum,
    "captum LayerFeatureAblation (zero)": zero_ablation,
    "mean ablation": mean_ablation,
    "resample ablation": resample_ablation,
}
