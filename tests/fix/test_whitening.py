"""Coordinates of weights: they move the weights as their gradients say, and make least squares problems round."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize

from artifactlab.errors import ModelError
from artifactlab.fix.whitening import LARGEST, Whitening


class Halved(nn.Module):
    """A projection of a weight, as layers that keep their kernel are trained with."""

    def forward(self, weight: Tensor) -> Tensor:
        return (weight + weight.flip(-1)) / 2


def projected() -> nn.Module:
    return parametrize.register_parametrization(nn.Conv2d(4, 6, 3), "weight", Halved())


LAYERS = {
    "signals": (lambda: nn.Conv1d(4, 6, 5, padding=2), (20,)),
    "images": (lambda: nn.Conv2d(4, 6, 3, padding=1), (9, 8)),
    "without bias": (lambda: nn.Conv2d(4, 6, 3, bias=False), (9, 8)),
    "volumes": (lambda: nn.Conv3d(4, 6, (1, 3, 3)), (3, 6, 5)),
    "transposed": (lambda: nn.ConvTranspose2d(4, 6, 4, 2, 1), (6, 5)),
    "in groups": (lambda: nn.Conv2d(4, 6, 3, groups=2), (9, 8)),
    "weight norm": (lambda: parametrizations.weight_norm(nn.Conv2d(4, 6, 3)), (9, 8)),
    "projected": (projected, (9, 8)),
    "no convolution": (lambda: nn.Sequential(nn.Conv2d(4, 6, 1), nn.PReLU(6)), (9, 8)),
}


def correlated(channels: int, size: tuple[int, ...]) -> Tensor:
    """Features of which all say nearly the same, one much larger than the others."""
    common = torch.randn(3, 1, *size)
    scale = torch.logspace(-1, 1, channels).view(1, channels, *[1] * len(size))
    return scale * (common + 0.1 * torch.randn(3, channels, *size)) + 1.0


def whitened(layer: nn.Module, x: Tensor) -> Whitening:
    weights = dict(layer.named_parameters())
    return Whitening(layer, weights, (layer(part[None]) for part in x), torch.Generator().manual_seed(0))


@pytest.mark.parametrize("kind", LAYERS)
def test_coordinates_have_the_gradient_of_what_they_do_to_the_weights(kind: str) -> None:
    make, size = LAYERS[kind]
    layer, x = make(), correlated(4, size)
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    place = whitened(layer, x)
    place.write()
    for name, value in layer.state_dict().items():
        torch.testing.assert_close(value, before[name])
    assert sum(map(torch.numel, place.coordinates)) == sum(map(torch.numel, layer.parameters()))
    layer(x).square().mean().backward()
    place.read_gradients(0.0)
    step = [torch.randn_like(z) for z in place.coordinates]
    expected = sum(float((z.grad * d).sum()) for z, d in zip(place.coordinates, step, strict=True))
    losses = []
    for size_of_step in (1e-3, -1e-3):
        for z, d in zip(place.coordinates, step, strict=True):
            z.data = size_of_step * d
        place.write()
        losses.append(layer(x).double().square().mean().item())
    assert (losses[0] - losses[1]) / 2e-3 == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("kind", ["signals", "images", "volumes", "transposed"])
def test_a_least_squares_problem_is_round_in_them(kind: str) -> None:
    make, size = LAYERS[kind]
    layer, x = make(), correlated(4, tuple(3 * side for side in size))
    place = whitened(layer, x)
    columns = []
    with torch.no_grad():
        start = layer(x)
        for z in place.coordinates:
            for number in range(0, z.numel(), 7):
                z.view(-1)[number] = 1.0
                place.write()
                columns.append((layer(x) - start).flatten() / start.numel() ** 0.5)
                z.zero_()
        plain = []
        place.write()
        for weight in layer.parameters():
            for number in range(0, weight.numel(), 7):
                weight.view(-1)[number] += 1.0
                plain.append((layer(x) - start).flatten() / start.numel() ** 0.5)
                weight.view(-1)[number] -= 1.0
    condition, before = (float(torch.linalg.cond(torch.stack(each, 1).double())) for each in (columns, plain))
    assert condition < 15
    assert before > 4 * condition


def test_of_many_channels_taps_are_not_whitened_and_nothing_else_changes() -> None:
    channels = LARGEST // 9 + 1
    layer = nn.Conv2d(channels, 2, 3)
    place = whitened(layer, torch.randn(1, channels, 8, 8))
    assert [tuple(z.shape) for z in place.coordinates] == [(2, channels, 9), (2, 1, 1)]


def test_a_model_without_gradients_is_told_so() -> None:
    layer = nn.Conv2d(1, 1, 3).requires_grad_(False)
    with pytest.raises(ModelError, match="without gradients"):
        whitened(layer, torch.zeros(1, 1, 8, 8))


def test_a_layer_that_is_not_seen_in_the_output_stays_as_it_is() -> None:
    seen, unseen = nn.Conv2d(4, 6, 3), nn.Conv2d(4, 6, 3, bias=False)
    model, x = nn.ModuleList([seen, unseen]), correlated(4, (9, 8))

    def output() -> Tensor:
        return seen(x) + 0 * unseen(0 * x)

    place = Whitening(model, dict(model.named_parameters()), (output() for _ in range(1)), torch.Generator())
    before = [weight.clone() for weight in model.parameters()]
    output().square().mean().backward()
    place.read_gradients(0.1)
    for z in place.coordinates:
        z.data -= 0.1 * z.grad
    place.write()
    moved, _, unmoved = (weight - old for weight, old in zip(model.parameters(), before, strict=True))
    assert moved.abs().max() > 0
    assert unmoved.abs().max() == 0


def test_a_ridge_is_counted_with_its_gradient() -> None:
    layer, x = nn.Conv2d(4, 6, 3), correlated(4, (9, 8))
    place = whitened(layer, x)
    for z in place.coordinates:
        z.data.fill_(0.5)
    assert place.read_gradients(0.1) == pytest.approx(0.1 * 0.25 * sum(map(torch.numel, place.coordinates)))
    for z in place.coordinates:
        torch.testing.assert_close(z.grad, torch.full_like(z, 0.1))
