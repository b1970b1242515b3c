"""What a diagnosis keeps to be looked at, against the same forward passes done by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import artifactlab
from artifactlab.attribution.diagnosis import Diagnosis
from artifactlab.attribution.repair.lattice_removal import repair
from artifactlab.attribution.sites.activations import CHANNELS, MAX_PICTURE_SIDE
from artifactlab.attribution.sites.upsampling import Growth
from artifactlab.attribution.windows import busiest
from artifactlab.errors import InputError


class Net(nn.Module):
    """A grid in one corner of an output that is wider than a window, drawn by the first site of two."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.up = nn.ConvTranspose2d(3, 20, 3, 3, bias=False)
        self.out = nn.Conv2d(20, 2, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.interpolate(self.out(self.up(x)), scale_factor=2.0, mode="bilinear")


@pytest.fixture(scope="module")
def image() -> Tensor:
    image = 0.01 * torch.rand(1, 3, 100, 44, generator=torch.Generator().manual_seed(0))
    image[:, :, 80:, 20:] += 0.5
    return image


@pytest.fixture(scope="module")
def diagnosis(image: Tensor) -> Diagnosis:
    return artifactlab.diagnose(Net(), image, data_range=1.0)


def test_the_activation_is_the_middle_of_what_the_site_put_out_in_step_with_its_lattice(
    diagnosis: Diagnosis, image: Tensor
) -> None:
    kept = diagnosis.activation("up/conv_transpose2d#0")
    whole = Net().up(image)[0].detach()
    top = (300 - MAX_PICTURE_SIDE) // 2 // 3 * 3
    assert kept.shape == (7, MAX_PICTURE_SIDE, 132)
    assert len(kept) <= CHANNELS
    torch.testing.assert_close(kept, whole[::3, top : top + MAX_PICTURE_SIDE])


def test_the_pair_is_the_output_before_and_after_where_the_repair_acts(diagnosis: Diagnosis, image: Tensor) -> None:
    model = Net()
    with torch.no_grad():
        before = model(image)[0]
        grown = model.up(image)
        smooth = repair(Growth("conv_transpose2d", (3, 3), image.shape, grown.shape, image, grown))
        after = nn.functional.interpolate(model.out(smooth), scale_factor=2.0, mode="bilinear")[0]
    kept = diagnosis.examples[0].repaired["up/conv_transpose2d#0"]
    assert kept.corner[0] >= 2 * 300 - MAX_PICTURE_SIDE - MAX_PICTURE_SIDE // 4, "the grid is at the bottom"
    assert kept.corner[1] == 0 or kept.corner[1] + MAX_PICTURE_SIDE <= 264
    shown = diagnosis.before_and_after("up/conv_transpose2d#0")
    rows, columns = (
        slice(kept.corner[0], kept.corner[0] + MAX_PICTURE_SIDE),
        slice(kept.corner[1], kept.corner[1] + MAX_PICTURE_SIDE),
    )
    torch.testing.assert_close(shown[0], before[:, rows, columns])
    torch.testing.assert_close(shown[1], after[:, rows, columns])
    change = (after - before).abs().mean(0)
    torch.testing.assert_close(diagnosis.artifact_map("up/conv_transpose2d#0"), change)


def test_the_busiest_window_is_the_one_with_most_change_as_trying_all_of_them_finds() -> None:
    change = torch.zeros(37, 90)
    change[30:, 70:80] = 1.0
    top, left = busiest(change, 8)
    sums = change.unfold(0, 8, 1).unfold(1, 8, 1).sum((2, 3))
    assert sums[top, left] >= 0.8 * sums.max()
    assert (top, left) != (0, 0)


def test_an_output_smaller_than_a_window_is_its_own_window() -> None:
    assert busiest(torch.rand(5, 7), 8) == (0, 0)


def test_a_fast_diagnosis_has_activations_and_says_why_it_has_no_more(image: Tensor) -> None:
    fast = artifactlab.diagnose(Net(), image, data_range=1.0, fast=True)
    assert fast.activation("up/conv_transpose2d#0").shape[1] == MAX_PICTURE_SIDE
    for ask in (fast.artifact_map, fast.before_and_after):
        with pytest.raises(InputError, match="leave fast out"):
            ask("up/conv_transpose2d#0")


def test_sites_and_examples_that_are_not_there_are_named(diagnosis: Diagnosis) -> None:
    for ask in (diagnosis.activation, diagnosis.artifact_map, diagnosis.before_and_after):
        with pytest.raises(InputError, match="no site 'up'; the diagnosis has up/conv_transpose2d#0"):
            ask("up")
        with pytest.raises(InputError, match="no example 1: this diagnosis carries 1"):
            ask("up/conv_transpose2d#0", 1)
