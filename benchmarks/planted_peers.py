"""How else one might name the layer: what people do by hand, and captum. Each gives a number per site."""

from __future__ import annotations

from collections.abc import Callable

import torch
from captum.attr import LayerConductance, LayerFeatureAblation
from planted_cases import PERIOD, Case, watched
from torch import Tensor, nn

from artifactlab.metrics.spectral_reading import lattice_sums
from artifactlab.severity import measure_severity

STEPS = 3
"""of the path integral of LayerConductance"""


def activation_spectrum(case: Case, images: Tensor) -> dict[int, float]:
    """Share of each activation's energy at period 2: looking at what a layer gives out."""
    return {site: _lattice_share(seen.output, 2) for site, seen in watched(case.model, images).items()}


def always_last(case: Case, images: Tensor) -> dict[int, float]:
    """The site that runs last."""
    return {site: float(place) for place, site in enumerate(case.base.order)}


def output_spectrum(case: Case, images: Tensor) -> dict[int, float]:
    """Energy of the output at the frequencies that a site's period has and no smaller one; equal periods tie."""
    with torch.no_grad():
        energy = {period: _lattice_share(case.model(images), period) for period in (1, 2, 4, 8)}
    seen = watched(case.model, images)
    full = max(s.output.shape[-1] for s in seen.values())
    periods = {site: 2 * full // s.output.shape[-1] for site, s in seen.items()}
    return {site: energy[period] - energy[period // 2] for site, period in periods.items()}


def layer_ablation(case: Case, images: Tensor) -> dict[int, float]:
    """captum: how far the output's severity falls when a layer is set to zero; every element says the same number."""
    model = _SeverityOf(case.model)

    def fall(layer: nn.Module) -> Tensor:
        return LayerFeatureAblation(model, layer).attribute(images, layer_mask=ONE).mean((1, 2, 3))

    return _captum(case, fall)


def layer_conductance(case: Case, images: Tensor) -> dict[int, float]:
    """captum: the part of the output's grid that flows through a layer (Dhamdhere et al. 2018)."""
    model = _GridOf(case.model)
    return _captum(case, lambda layer: LayerConductance(model, layer).attribute(images, n_steps=STEPS))


ONE = torch.zeros(1, 1, 1, 1, dtype=torch.long)
"""a mask that makes all of a layer one feature"""


def _captum(case: Case, attribute: Callable[[nn.Module], Tensor]) -> dict[int, float]:
    """Attributions added up, by site; none for sites that are no modules, which captum's hooks cannot see."""
    found = {}
    for site, layer in enumerate(case.model.ups):
        seen: list[bool] = []
        handle = layer.register_forward_hook(lambda *_, seen=seen: seen.append(True))
        with torch.no_grad():
            case.model(images_of(case))
        handle.remove()
        found[site] = float(attribute(layer).sum()) if seen else 0.0
    return found


def images_of(case: Case) -> Tensor:
    """One image, to see which layers run."""
    return case.images(0)[:1]


class _SeverityOf(nn.Module):
    """The severity of a model's output, one number per image, without gradients."""

    def __init__(self, decoder: nn.Module) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(self, images: Tensor) -> Tensor:
        outputs = self.decoder(images).split(1)
        return torch.tensor([sum(measure_severity(output, PERIOD, 1.0).together()) for output in outputs])


class _GridOf(nn.Module):
    """The grid energy of a model's output, one number per image: the part of the severity that has gradients."""

    def __init__(self, decoder: nn.Module) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(self, images: Tensor) -> Tensor:
        return sum(sums.grid.power() for sums in lattice_sums(self.decoder(images), PERIOD).values())


def _lattice_share(images: Tensor, period: int) -> float:
    """Share of energy (without the mean) at the lattice frequencies of a period, over the whole image."""
    power = torch.fft.fft2(images).abs().square().mean((0, 1))
    power[0, 0] = 0
    h, w = power.shape
    return float(power[:: h // period, :: w // period].sum() / power.sum().clamp_min(1e-12))


PEERS: dict[str, Callable[[Case, Tensor], dict[int, float]]] = {
    "activation FFT": activation_spectrum,
    "always the last site": always_last,
    "output spectrum": output_spectrum,
    "captum LayerFeatureAblation": layer_ablation,
    f"captum LayerConductance, {STEPS} steps": layer_conductance,
}
