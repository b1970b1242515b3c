"""What a fix is trained on where nobody said: images that the model takes, and nothing where there are none."""

from __future__ import annotations

from types import ModuleType

import pytest
import torch
from torch import Tensor, nn

from artifactlab.errors import ModelError
from artifactlab.fix import fix_site, suggest
from artifactlab.fix.synthetic_inputs import synthetic_inputs
from artifactlab.models.calls import Call, as_calls


class Placed(nn.Module):
    """It adds something to each pixel, so that images have one size."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.added = nn.Parameter(torch.zeros(side, side))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.added


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sides of 32 pixels, which take no time."""
    monkeypatch.setattr("artifactlab.fix.synthetic_inputs.SIDE", 32)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(("model", "side"), [(nn.Identity(), 32), (Placed(48), 48)])
def test_they_are_small_where_the_model_takes_that_and_in_the_range_of_the_images(model: nn.Module, side: int) -> None:
    made = synthetic_inputs(model, as_calls([torch.linspace(-1, 1, 48 * 48).view(1, 1, 48, 48)]), 0)
    images = [call.args[0] for call in made]
    assert {tuple(image.shape) for image in images} == {(1, 1, side, side)}
    assert -1 <= min(map(torch.min, images)) < -0.5 < 0.5 < max(map(torch.max, images)) <= 1
    assert not torch.equal(images[0], images[1])


@pytest.mark.usefixtures("small")
def test_beside_other_tensors_they_have_the_shape_of_the_image_that_these_came_with() -> None:
    mask = torch.ones(2, 1, 48, 40, dtype=torch.bool)
    first, *_ = synthetic_inputs(nn.Identity(), [Call((torch.rand(2, 3, 48, 40),), {"mask": mask})], 0)
    assert first.args[0].shape == (2, 3, 48, 40)
    assert first.kwargs["mask"] is mask


@pytest.mark.parametrize("x", [torch.rand(1, 4, 8, 8), torch.rand(1, 1, 64), torch.rand(1, 1, 4, 8, 8)])
def test_of_latents_signals_and_volumes_there_are_none(x: Tensor) -> None:
    assert not synthetic_inputs(nn.Identity(), as_calls(x), 0)


def test_without_any_the_fix_says_that_nothing_was_trained(decoders: ModuleType) -> None:
    model = nn.Sequential(nn.Conv2d(5, 1, 1), decoders.gridded()).eval()
    latents = torch.cat([image + 0.1 * k for k, image in enumerate(decoders.images(5))], 1)
    made = fix_site(model, latents, "1.up")
    assert made.distilled is None
    assert "--distil says what to train on" in made.warnings[-1]
    assert not any("--distil" in warning for warning in fix_site(model, latents, "1.up", steps=0).warnings)


def test_a_model_without_gradients_is_fixed_as_far_as_it_goes_unless_it_was_to_be_trained(decoders: ModuleType) -> None:
    class Quiet(decoders.Decoder):
        @torch.no_grad()
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x)

    model, images = Quiet(nn.ConvTranspose2d(6, 4, 3, 2, 1, output_padding=1)).eval(), decoders.images(1)
    made = fix_site(model, images, "up")
    assert made.distilled is None
    assert "runs without gradients" in made.warnings[-1]
    assert made.next_step is None
    assert [one.mode for one in suggest(model, images, "up", modes=["bilinear"]).cures] == ["bilinear"]
    with pytest.raises(ModelError, match="runs without gradients"):
        fix_site(model, images, "up", distil_on=decoders.images(3)[1:])
