"""Images become what a model takes: channels, and the largest size within."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from artifactlab.errors import InputError
from artifactlab.inputs.images import luma
from artifactlab.models.calls import Call, as_calls
from artifactlab.models.image_needs import ImageNeeds, guessed_needs, suited


def made(needs: ImageNeeds, *inputs: torch.Tensor) -> tuple[list[Call], list[str]]:
    said: list[str] = []
    return suited(needs, as_calls(list(inputs)), said.append), said


@pytest.mark.parametrize("minimum", [1, 16, 48])
@pytest.mark.parametrize("multiple", [1, 8, 12])
@pytest.mark.parametrize("square", [False, True])
def test_the_size_is_the_largest_that_is_taken(minimum: int, multiple: int, square: bool) -> None:
    needs = ImageNeeds("net", 3, minimum, multiple, square)
    for rows, columns in ((50, 70), (96, 96), (49, 47)):
        taken = [
            (h, w)
            for h in range(minimum, rows + 1)
            for w in range(minimum, columns + 1)
            if h % multiple == w % multiple == 0 and (h == w or not square)
        ]
        assert needs.sides(rows, columns) == max(taken, key=lambda size: size[0] * size[1], default=(0, 0))


def test_images_are_cropped_to_their_centre_and_it_is_said_once() -> None:
    image = torch.rand(1, 3, 36, 64)
    calls, said = made(ImageNeeds("net", 3, multiple_of=8), image, image)
    assert all(call.args[0].equal(image[..., 2:34, :]) for call in calls)
    assert said == ["images are cropped to sides of multiples of 8, as net takes them"]


def test_what_fits_is_left_alone() -> None:
    image, tokens = torch.rand(1, 3, 32, 32), torch.rand(1, 7, 16)
    calls, said = made(ImageNeeds("net", 3, multiple_of=8), image, tokens)
    assert calls[0].args[0] is image
    assert calls[1].args[0] is tokens
    assert not said


def test_colour_becomes_gray_and_gray_colour_where_the_model_takes_that() -> None:
    colour = torch.rand(1, 3, 32, 32)
    (call,), said = made(ImageNeeds("net", 1), colour)
    assert call.args[0].equal(luma(colour))
    assert said == ["images are made gray: net takes one channel"]
    (call,), said = made(ImageNeeds("net", 3), luma(colour))
    assert call.args[0].equal(luma(colour).repeat(1, 3, 1, 1))
    assert "three equal channels" in said[0]


def test_images_are_opaque_to_a_model_that_takes_a_fourth_channel() -> None:
    colour = torch.rand(1, 3, 32, 32)
    for image in (colour, luma(colour)):
        (call,), said = made(ImageNeeds("net", 4, alpha=True), image)
        assert call.args[0].equal(torch.cat([image.expand(-1, 3, -1, -1), torch.ones(1, 1, 32, 32)], 1))
        assert said == ["images are given a fourth channel, opaque everywhere, which net takes"]
    (call,), said = made(ImageNeeds("four modalities", 4), colour)
    assert call.args[0] is colour
    assert not said


def test_other_channels_and_other_arguments_are_kept() -> None:
    latent, mask = torch.rand(1, 4, 32, 32), torch.rand(1, 1, 32, 32)
    said: list[str] = []
    (call,) = suited(ImageNeeds("net", 3), [Call((latent, mask), {"time": 5})], said.append)
    assert call.args[0] is latent
    assert call.args[1] is mask
    assert call.kwargs == {"time": 5}
    assert not said


def test_an_image_that_is_too_small_says_what_is_needed_and_what_to_type() -> None:
    with pytest.raises(InputError, match=r"an image is 40x90, too small for net: .* at least 60, .* or --crop 64"):
        made(ImageNeeds("net", 3, minimum=60, multiple_of=16), torch.rand(1, 3, 40, 90))


def test_two_models_get_images_that_suit_both() -> None:
    both = ImageNeeds("a", 1, 16, 8).with_those_of(ImageNeeds("b", 3, 40, 12, square=True))
    assert (both.channels, both.minimum, both.multiple_of, both.square) == (1, 40, 24, True)
    alone = ImageNeeds("a", 1, 16, 8)
    assert alone.with_those_of(None) is alone


@pytest.mark.parametrize(
    ("model", "channels"),
    [
        (nn.Sequential(nn.Conv2d(1, 4, 3)), 1),
        (nn.Sequential(nn.Sequential(nn.ReLU(), nn.Conv2d(3, 4, 3)), nn.Conv2d(4, 1, 3)), 3),
        (nn.Sequential(nn.Conv2d(4, 4, 3)), None),  # latents
        (nn.Sequential(nn.Linear(8, 16), nn.Conv2d(1, 4, 3)), None),  # what came before made its picture
        (nn.Sequential(nn.Conv3d(1, 4, 3)), None),
        (nn.ReLU(), None),
    ],
)
def test_a_model_s_first_convolution_says_whether_pictures_are_gray(model: nn.Module, channels: int | None) -> None:
    needs = guessed_needs(model)
    assert (needs and needs.channels) == channels
