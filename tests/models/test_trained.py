"""Whether weights are trained is guessed from the weights alone, and said where a finding depends on it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from artifactlab import lint
from artifactlab.demo.unet import DemoUNet, broken, healthy
from artifactlab.fix.upsample import UNetGenerator
from artifactlab.lint import looks_trained

INITIALISATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "He": nn.init.kaiming_normal_,
    "He, uniform": nn.init.kaiming_uniform_,
    "He, by outputs": lambda weight: nn.init.kaiming_normal_(weight, mode="fan_out"),
    "Glorot": nn.init.xavier_normal_,
    "Glorot, uniform": nn.init.xavier_uniform_,
    "GAN": lambda weight: nn.init.normal_(weight, 0.0, 0.02),
    "vocoder": lambda weight: nn.init.normal_(weight, 0.0, 0.01),
    "zero": nn.init.zeros_,
}


def trained(model: nn.Module, steps: int) -> nn.Module:
    optimiser = torch.optim.Adam(model.parameters(), 1e-3)
    for _ in range(steps):
        images = torch.rand(2, 3, 32, 32)
        optimiser.zero_grad()
        (model(images) - images).abs().mean().backward()
        optimiser.step()
    return model


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("make", [DemoUNet, lambda: UNetGenerator(num_downs=4, ngf=8, norm="batch")])
def test_default_weights_do_not_look_trained(make: Callable[[], nn.Module], seed: int) -> None:
    torch.manual_seed(seed)
    assert not looks_trained(make())


@pytest.mark.parametrize("name", INITIALISATIONS)
def test_neither_do_those_of_other_usual_initialisations(name: str) -> None:
    model = DemoUNet()
    for module in model.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            INITIALISATIONS[name](module.weight)
            nn.init.zeros_(module.bias)
    assert not looks_trained(model)


def test_norms_without_weights_have_no_say() -> None:
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 16, 3, padding=1), nn.InstanceNorm2d(16), nn.PReLU(), nn.InstanceNorm2d(16)]
    model = nn.Sequential(*layers, nn.Conv2d(16, 3, 3, padding=1), nn.InstanceNorm2d(3))
    assert not looks_trained(model)
    with torch.no_grad():
        for layer in (model[0], model[4]):
            layer.weight *= 3
    assert looks_trained(model)


class Decoder(nn.Sequential):
    """A decoder of signals or volumes that gives back as much as it takes."""

    def __init__(self, directions: int, norm: Callable[[nn.Module], nn.Module] = lambda layer: layer) -> None:
        conv, deconv = ((nn.Conv1d, nn.ConvTranspose1d), None, (nn.Conv3d, nn.ConvTranspose3d))[directions - 1]
        width = 32 if directions == 1 else 8  # of few weights little can be told
        layers = (
            conv(1, width, 3, 2, 1),
            deconv(width, width, 4, 2, 1),
            conv(width, width, 3, padding=1),
            conv(width, 1, 3, padding=1),
        )
        super().__init__(*(part for layer in layers for part in (norm(layer), nn.LeakyReLU())))


@pytest.mark.filterwarnings("ignore:.*weight_norm.*is deprecated")
@pytest.mark.parametrize("norm", [lambda layer: layer, nn.utils.weight_norm, nn.utils.parametrizations.weight_norm])
@pytest.mark.parametrize("directions", [1, 3])
def test_signals_and_volumes_are_guessed_alike(directions: int, norm: Callable[[nn.Module], nn.Module]) -> None:
    torch.manual_seed(0)
    model = Decoder(directions, norm)
    assert not looks_trained(model)
    optimiser = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(10):
        batch = torch.rand(2, 1, *[16] * directions)
        optimiser.zero_grad()
        (model(batch) - batch).abs().mean().backward()
        optimiser.step()
    assert looks_trained(model)


@pytest.mark.parametrize("make", [healthy, broken])
def test_trained_weights_do(make: Callable[[], nn.Module]) -> None:
    assert looks_trained(make())


def test_ten_steps_are_seen() -> None:
    assert looks_trained(trained(DemoUNet(), 10))


def test_half_precision_is_read_alike() -> None:
    assert looks_trained(healthy().half())
    assert not looks_trained(DemoUNet().half())


def test_a_norm_layer_that_has_seen_data_has_moved() -> None:
    norm = nn.BatchNorm2d(4)
    assert not looks_trained(norm)
    norm(torch.rand(2, 4, 8, 8))
    assert looks_trained(norm)


def test_frozen_layers_are_outvoted() -> None:
    model = healthy()
    nn.init.kaiming_uniform_(model.enc0[0].weight, a=5**0.5)
    assert looks_trained(model)


def test_without_layers_nothing_looks_trained() -> None:
    assert not looks_trained(nn.Sequential(nn.Upsample(scale_factor=2), nn.BatchNorm2d(3, affine=False)))


def test_lint_guesses_and_says_so_where_it_matters() -> None:
    for model, rule, guess in ((DemoUNet(), "no-icnr", "untrained"), (broken(), "unequal-shuffle", "trained")):
        details = {finding.rule: finding.detail for finding in lint(model)}
        assert details[rule].endswith(f"(the weights look {guess})")
        assert "look" not in details["border"]


def test_who_says_it_gets_the_same_findings_without_a_guess() -> None:
    for model, known in ((DemoUNet(), False), (broken(), True)):
        said, guessed = lint(model, trained=known), lint(model)
        assert [(f.site, f.rule, f.number, f.level) for f in said] == [
            (f.site, f.rule, f.number, f.level) for f in guessed
        ]
        assert not any("look" in finding.detail for finding in said)
