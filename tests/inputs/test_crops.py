"""Crops along the last axes, against slices; and sizes that do not fit."""

from __future__ import annotations

import pytest
import torch

from artifactlab.errors import InputError
from artifactlab.inputs import load_inputs
from artifactlab.inputs.crops import Size, cropped, crops_around, size_along


@pytest.mark.parametrize(
    ("shape", "crop", "wanted"),
    [
        ((1, 3, 40, 50), 16, (slice(12, 28), slice(17, 33))),
        ((1, 3, 40, 50), (20, 30), (slice(10, 30), slice(10, 40))),
        ((1, 3, 9, 40, 50), 16, (slice(0, 9), slice(12, 28), slice(17, 33))),
        ((1, 1, 9, 40, 50), (5, 16, 20), (slice(2, 7), slice(12, 28), slice(15, 35))),
        ((1, 2, 101), 51, (slice(25, 76),)),
        ((1, 2, 101), (51,), (slice(25, 76),)),
    ],
)
def test_a_crop_is_the_centre_of_the_last_axes(shape: tuple[int, ...], crop: int, wanted: tuple[slice, ...]) -> None:
    tensor = torch.arange(torch.Size(shape).numel()).reshape(shape)
    assert torch.equal(cropped(tensor, size_along(tensor, crop, "it")), tensor[(..., *wanted)])


@pytest.mark.parametrize(
    ("shape", "crop", "message"),
    [
        ((1, 3, 40, 50), (60, 20), "it is 40x50 pixels, smaller than the crop of 60x20; use a smaller --size"),
        ((1, 3, 40, 50), 45, "smaller than the crop of 45; use a smaller --crop"),
        ((1, 3, 40, 50), (30,), "give --size HxW"),
        ((1, 3, 40, 50), (3, 30, 30), "give --size HxW"),
        ((1, 3, 400), (30, 30), "give --size L"),
        ((1, 512), 16, "does not crop; give none"),
        ((1, 1, 9, 40, 50), (10, 20, 20), "it is 9x40x50, smaller than the crop of 10x20x20"),
    ],
)
def test_a_size_of_other_axes_or_too_large_is_refused(shape: tuple[int, ...], crop: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        size_along(torch.zeros(shape), crop, "it")


def test_crops_around_cover_what_whole_crops_can_and_never_overlap() -> None:
    tensor = torch.arange(3 * 50 * 70).reshape(1, 1, 3, 50, 70)
    size = Size((16, 20))
    seen = torch.cat([part.reshape(-1) for part in (cropped(tensor, size), *crops_around(tensor, size))])
    assert len(seen) == len(seen.unique()) == 3 * 9 * 16 * 20


@pytest.mark.parametrize("text", ["", "0x20", "20x", "20x20x20x20", "x", "15x20", "-20x20", "20X20", "1e3", "8"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        Size.parse(text)


def test_a_size_is_written_as_it_is_read() -> None:
    for text in ("256x192", "2x64x48", "16384"):
        assert str(Size.parse(text)) == text


def test_probes_have_the_size_and_are_the_same_in_every_frame() -> None:
    (still,) = load_inputs(probes=["slanted-edge"], crop=(32, 48))
    assert still.shape == (1, 3, 32, 48)
    (film,) = load_inputs(probes=["slanted-edge"], crop=(5, 32, 48), gray=True)
    assert film.shape == (1, 1, 5, 32, 48)
    assert torch.equal(film[:, :, 3], still[:, :1])
    with pytest.raises(InputError, match="a probe is an image"):
        load_inputs(probes=["ramp"], crop=(512,))
