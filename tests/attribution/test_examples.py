"""What a diagnosis keeps to be looked at, against the same forward passes done by hand."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import artifactlab
from artifactlab.attribution.diagnosis import Diagnosis, Example
from artifactlab.attribution.examples import kept_examples
from artifactlab.attribution.repair.lattice_removal import repair
from artifactlab.attribution.sites.activations import CHANNELS, MAX_PICTURE_SIDE, PICTURE_SIDES, Activations
from artifactlab.attribution.sites.records import SiteKey
from artifactlab.attribution.sites.upsampling import Growth
from artifactlab.attribution.windows import EXAMPLES, busiest, examples_of, kept_map, part, window
from artifactlab.errors import InputError
from artifactlab.models.calls import Call
from artifactlab.models.layout import Layout


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


@pytest.mark.parametrize(("shape", "side"), [((300,), 40), ((37, 90), 8), ((20, 30, 25), 8)])
def test_the_busiest_box_is_found_in_any_number_of_directions(shape: tuple[int, ...], side: int) -> None:
    change = torch.zeros(shape)
    far = tuple(slice(length - 5, length) for length in shape)
    change[far] = 1.0
    corner = busiest(change, side)
    box = part(change, corner, tuple(min(side, length) for length in shape))
    assert box.sum() >= 0.6 * change.sum()


@pytest.mark.parametrize("shape", [(70000,), (300, 270), (70, 66, 90)])
def test_a_window_is_a_bounded_part_that_any_other_output_is_cut_to(shape: tuple[int, ...]) -> None:
    image = torch.rand(2, *shape)
    change = torch.zeros(shape)
    change[tuple(length - 1 for length in shape)] = 1.0
    kept = window(image, change)
    side = PICTURE_SIDES[len(shape)]
    assert kept.size == tuple(min(side, length) for length in shape)
    torch.testing.assert_close(kept.cut(image), kept.pixels)
    assert part(change, kept.corner, kept.size).sum() == 1


@pytest.mark.parametrize("directions", [1, 2, 3])
def test_an_activation_is_cut_in_step_with_its_lattice_along_every_direction(directions: int) -> None:
    scale = (3, 2, 5)[:directions]
    shape = tuple(factor * (PICTURE_SIDES[directions] // factor + 7) for factor in scale)
    output = torch.arange(float(math.prod(shape))).reshape(1, 1, *shape)
    source = torch.zeros(1, 1, *(length // factor for length, factor in zip(shape, scale, strict=True)))
    key = SiteKey("up", "interpolate", 0)
    recorded = Activations()
    growth = SimpleNamespace(output=output, scale=scale, input=source)
    recorded.visit(SimpleNamespace(layer=("up",), key=key, growth=growth))  # type: ignore[arg-type]
    kept = recorded.kept[key]
    first = int(kept.flatten()[0])
    corner = [int(index) for index in np.unravel_index(first, shape)]
    assert [at % factor for at, factor in zip(corner, scale, strict=True)] == [0] * directions
    assert kept.shape == (1, *[PICTURE_SIDES[directions]] * directions)
    torch.testing.assert_close(kept, part(output[0], tuple(corner), tuple(kept.shape[1:])))


def kept_of(call: Call, output: Tensor, layout: str) -> Example:
    (example,) = kept_examples([call], [output], [], {}, [Activations()], Layout(layout))
    return example


def test_the_input_of_a_volume_is_kept_where_it_looks_like_one_and_latents_are_left_out() -> None:
    output = torch.zeros(1, 1, 8, 16, 16)
    scan, latents = torch.rand(1, 1, 4, 8, 8), torch.rand(1, 16, 2, 4, 4)
    kept = kept_of(Call((latents, scan, torch.rand(1, 512)), {}), output, "NCDHW").input
    assert kept is not None
    torch.testing.assert_close(kept, scan[0])
    assert kept_of(Call((latents,), {}), output, "NCDHW").input is None
    frames = torch.rand(1, 4, 3, 8, 8)
    kept = kept_of(Call((frames,), {}), torch.zeros(1, 3, 8, 16, 16), "NTCHW").input
    assert kept is not None
    torch.testing.assert_close(kept, frames[0].transpose(0, 1))


def test_of_a_signal_the_input_is_kept_where_it_is_one_and_spectra_are_left_out() -> None:
    output = torch.zeros(1, 1, 256)
    assert kept_of(Call((torch.rand(1, 80, 32),), {}), output, "NCL").input is None
    kept = kept_of(Call((torch.rand(1, 1, 128),), {}), output, "NCL").input
    assert kept is not None
    assert kept.shape == (1, 128)


def test_of_volumes_one_call_is_kept_as_every_site_has_a_map_as_large() -> None:
    assert [examples_of(torch.zeros(1, 1, *[8] * directions)) for directions in (1, 2, 3)] == [EXAMPLES, EXAMPLES, 1]
    calls, outputs = [Call((), {})] * 3, [torch.zeros(1, 1, 8, 8, 8)] * 3
    assert len(kept_examples(calls, outputs, [], {}, [Activations()] * 3)) == 1
    assert kept_map(torch.zeros(8, 8, 8)).dtype == torch.float16
    assert kept_map(torch.zeros(8, 8)).dtype == torch.float32
