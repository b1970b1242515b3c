"""What may be diagnosed, and what a diagnosis says of inputs and models that may not."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import artifactlab
from artifactlab import CaptureError, InputError, ModelError


def test_inputs_may_be_a_list_a_tuple_or_a_dict_of_arguments(two_sites, scene: Tensor) -> None:
    class TwoArguments(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.decoder = two_sites

        def forward(self, x: Tensor, gain: Tensor) -> dict[str, Tensor]:
            return {"small": x, "image": gain * self.decoder(x)}

    gain = torch.tensor(0.9)
    sizes = [scene, scene[..., :40, :44]]
    for inputs in ((scene, gain), {"x": scene, "gain": gain}, [(image, gain) for image in sizes]):
        diagnosis = artifactlab.diagnose(TwoArguments(), inputs, data_range=1.0, output="image")
        assert [site.site.name for site in diagnosis.offenders] == ["decoder.1"]
        assert diagnosis.config.inputs == (2 if isinstance(inputs, list) else 1)


def test_an_unnamed_range_is_taken_from_the_output(two_sites, scene: Tensor) -> None:
    model = nn.Sequential(two_sites, nn.Conv2d(3, 3, 1, bias=False))
    with torch.no_grad():
        model[1].weight.copy_(40 * torch.eye(3)[:, :, None, None])
    diagnosis = artifactlab.diagnose(model, scene)
    assert 20 < diagnosis.config.data_range < 60
    assert [site.site.name for site in diagnosis.offenders] == ["0.1"]


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ([], "got no inputs"),
        ("photo.png", r"input 0 is a path; give artifactlab.read_image\(path\)"),
        (torch.full((1, 3, 32, 32), float("nan")), "input 0 holds NaN"),
        (torch.rand(0, 3, 32, 32), "it is empty"),
    ],
)
def test_inputs_that_cannot_be_used_are_named(three_sites, inputs: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        artifactlab.diagnose(three_sites, inputs)


def test_a_model_that_fails_says_so_with_the_input_shape(three_sites) -> None:
    with pytest.raises(ModelError, match=r"failed on an input of shape \(1, 1, 32, 32\): RuntimeError"):
        artifactlab.diagnose(three_sites, torch.rand(1, 1, 32, 32))


def test_an_input_in_another_precision_than_the_model_is_told_what_to_type(three_sites, scene: Tensor) -> None:
    with pytest.raises(ModelError, match=r"parameters are torch.bfloat16, .* give the input as x.to\(torch.bfloat16\)"):
        artifactlab.diagnose(three_sites.to(torch.bfloat16), scene)


def test_an_output_that_is_no_image_is_refused(scene: Tensor) -> None:
    model = nn.Sequential(nn.Upsample(scale_factor=2), nn.Flatten())
    with pytest.raises(ModelError, match="no image"):
        artifactlab.diagnose(model, scene)
    with pytest.raises(ModelError, match="has no 'depth'"):
        artifactlab.diagnose(nn.Upsample(scale_factor=2), scene, output="depth")


def test_an_output_of_a_few_pixels_is_refused() -> None:
    with pytest.raises(CaptureError, match="8x8 pixels, too small"):
        artifactlab.diagnose(nn.Upsample(scale_factor=2), torch.rand(1, 3, 4, 4))
    with pytest.raises(CaptureError, match=r"20x20 pixels, too small to measure a grid of period 2; .* at least 24"):
        artifactlab.diagnose(nn.Upsample(scale_factor=2), torch.rand(1, 3, 10, 10))
