"""One rule for the range of values: as given and doubted where it cannot be, that of pixels, or the quantiles."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from artifactlab.scoring.data_range import data_range_of, extent, spread


def values(low: float, high: float, channels: int = 3) -> Tensor:
    """An even ramp from `low` to `high`."""
    return torch.linspace(low, high, channels * 4096).view(1, channels, 64, 64)


@pytest.mark.parametrize(
    ("low", "high", "size", "said"),
    [
        (0.0, 1.0, 1.0, ""),
        (-0.05, 1.04, 1.0, ""),
        (0.0, 1.17, 1.0, ""),
        (0.1, 0.3, 1.0, ""),
        (-0.9, 0.84, 2.0, "pixels from -1 to 1"),
        (-1.1, 1.1, 2.0, "pixels from -1 to 1"),
        (0.0, 255.0, 255.0, "pixels from 0 to 255"),
        (-9.0, 150.0, 255.0, "pixels from 0 to 255"),
    ],
)
def test_values_that_run_as_those_of_pictures_are_pixels(low: float, high: float, size: float, said: str) -> None:
    found = data_range_of([values(low, high)])
    assert (found.size, found.source, found.doubt) == (size, "pixels", "")
    assert said in found.text
    assert bool(said) == bool(found.text)


@pytest.mark.parametrize(
    ("low", "high", "channels"),
    [
        (-17.0, 18.0, 21),  # logits
        (-17.0, 18.0, 3),
        (-0.9, 0.84, 2),  # flow
        (0.0, 80.0, 1),  # metres
        (0.0, 0.2, 3),
        (-0.4, 0.4, 3),
        (0.0, 5.0, 1),
        (-0.1, 1.3, 3),
        (0.0, 1.05, 21),
        (200.0, 900.0, 1),
    ],
)
def test_other_values_are_measured_by_their_quantiles(low: float, high: float, channels: int) -> None:
    image = values(low, high, channels)
    found = data_range_of([image])
    assert (found.size, found.source, found.doubt) == (spread(image), "quantiles", "")
    assert f" The data range, {found.size:.3g}, was read off the output's own quantiles; give data_range=" in found.text


def test_probabilities_have_the_range_of_one_however_many_classes_there_are() -> None:
    assert data_range_of([values(0.0, 1.0, 21)]).size == 1.0


def test_outputs_together_have_one_range() -> None:
    assert data_range_of([values(0.0, 0.1), values(0.2, 0.9)]).size == 1.0
    assert data_range_of([values(0.0, 1.0), values(-3.0, 1.0)]).size == spread(values(-3.0, 1.0))


def test_an_output_of_nothing_has_a_range() -> None:
    found = data_range_of([torch.zeros(1, 3, 8, 8)])
    assert (found.size, found.text) == (1.0, "")


def test_what_the_type_of_the_values_says_needs_no_guess() -> None:
    found = data_range_of([values(0.0, 9.0, 1)], known=255.0)
    assert (found.size, found.source, found.text) == (255.0, "pixels", "")


@pytest.mark.parametrize(
    ("low", "high", "given", "asked"),
    [
        (-0.9, 0.84, 1.0, "Is it 2, as of pixels from -1 to 1 (data_range=2, --data-range 2)?"),
        (-17.0, 18.0, 1.0, "Is it 34.7 (data_range=34.7, --data-range 34.7)?"),
        (0.0, 1.0, 255.0, "Is it 1, as of pixels from 0 to 1 (data_range=1, --data-range 1)?"),
        (0.0, 255.0, 1.0, "Is it 255, as of pixels from 0 to 255 (data_range=255, --data-range 255)?"),
    ],
)
def test_a_range_that_cannot_be_is_used_and_doubted(low: float, high: float, given: float, asked: str) -> None:
    image = values(low, high)
    found = data_range_of([image], given)
    assert (found.size, found.source, found.text) == (given, "given", "")
    runs = "the output runs from {:.3g} to {:.3g}".format(*extent(image))
    assert found.doubt == (
        f"Check the data range first: {runs}, and its range is said to be {given:g}. {asked} As given: "
    )


@pytest.mark.parametrize(
    ("low", "high", "given"),
    [(0.0, 1.0, 1.0), (-0.1, 1.1, 1.0), (0.0, 0.1, 1.0), (-0.9, 0.84, 2.0), (0.0, 1.0, 2.0), (0.0, 0.0, 1.0)],
)
def test_a_range_that_can_be_is_not_doubted(low: float, high: float, given: float) -> None:
    assert data_range_of([values(low, high)], given).doubt == ""


def test_a_few_wild_values_are_no_reason_to_doubt() -> None:
    image = values(0.0, 1.0)
    image[0, 0, 0, :20] = 1e6
    assert data_range_of([image], 1.0).doubt == ""
    assert data_range_of([image]).size == 1.0
