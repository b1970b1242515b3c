"""A model turned by 180 degrees with its input gives its output turned."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from artifactlab.attribution.findings.half_turn import TurnedKernels, half_turn, turned_call
from artifactlab.models.calls import as_calls


@pytest.mark.parametrize(
    "model",
    [
        nn.Conv2d(3, 4, 3, padding=1),
        nn.Conv2d(3, 4, 2, stride=2),
        nn.ConvTranspose2d(3, 4, 4, 2, 1),
        nn.ConvTranspose2d(3, 4, 2, 2),
        nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.PixelShuffle(2)),
        nn.Sequential(nn.PixelUnshuffle(2), nn.Conv2d(12, 4, 3, padding=1)),
        nn.Sequential(nn.MaxPool2d(2), nn.Upsample(scale_factor=2, mode="bilinear")),
    ],
    ids=lambda model: str(type(model).__name__),
)
def test_symmetric_wiring_turned_with_its_input_gives_the_output_turned(model: nn.Module, image: Tensor) -> None:
    with torch.no_grad():
        straight = model(image)
        with TurnedKernels():
            turned = model(half_turn(image))
    assert torch.allclose(straight, half_turn(turned), atol=1e-5)


def test_turned_calls_turn_images_only() -> None:
    call = as_calls((torch.rand(1, 3, 8, 8), torch.arange(3.0), {"mask": [torch.rand(1, 1, 4, 4)]}))[0]
    turned = turned_call(call)
    assert torch.equal(turned.args[0], half_turn(call.args[0]))
    assert turned.args[1] is call.args[1]
    assert torch.equal(turned.args[2]["mask"][0], half_turn(call.args[2]["mask"][0]))
