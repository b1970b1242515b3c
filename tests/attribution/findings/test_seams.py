"""Periods in the output that belong to no site."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from artifactlab.attribution.findings.seams import foreign_periods
from artifactlab.errors import InputError


@pytest.fixture(scope="module")
def images() -> list[Tensor]:
    noise = torch.rand(3, 1, 276, 276, generator=torch.Generator().manual_seed(1))
    return list((8 * F.avg_pool2d(F.avg_pool2d(noise, 11, 1), 11, 1)).split(1))


@pytest.fixture(scope="module")
def seamed(images: list[Tensor]) -> list[Tensor]:
    levels = torch.rand(3, 1, 4, 4, generator=torch.Generator().manual_seed(2)) + torch.eye(4)
    steps = levels.repeat_interleave(64, 2).repeat_interleave(64, 3)
    return [x + 0.03 * step for x, step in zip(images, steps, strict=True)]


def test_tiles_are_reported_with_their_period_and_what_to_do(images: list[Tensor], seamed: list[Tensor]) -> None:
    (finding,) = foreign_periods(seamed, images, [(8, 8)])
    assert (finding.kind, finding.where, finding.value, finding.error) == ("seam", "output", (64, 64), (0, 0))
    assert "every 64 rows and 64 columns" in finding.text
    assert "overlap" in finding.text


def test_clean_outputs_are_not_accused(images: list[Tensor]) -> None:
    assert foreign_periods(images, images, [(2, 2)]) == ()
    assert foreign_periods(images) == ()
    assert foreign_periods([]) == ()


def test_a_sites_own_period_and_its_divisors_are_explained(images: list[Tensor], seamed: list[Tensor]) -> None:
    assert foreign_periods(seamed, images, [(64, 64)]) == ()
    assert foreign_periods(seamed, images, [(64, 1)])[0].value == (0, 64)
    assert "every 64 columns," in foreign_periods(seamed, images, [(64, 1)])[0].text


def test_periods_that_are_no_whole_pixels_and_inputs_that_are_no_images_are_passed_over(
    images: list[Tensor], seamed: list[Tensor]
) -> None:
    assert foreign_periods(seamed, [torch.rand(1, 7) for _ in images], [(1.7, 1.7)])[0].value == (64, 64)
    assert foreign_periods(seamed, [None, None, None])[0].value == (64, 64)


def test_nan_outputs_are_refused() -> None:
    with pytest.raises(InputError, match="NaN"):
        foreign_periods([torch.full((1, 1, 64, 64), float("nan"))], data_range=1.0)
