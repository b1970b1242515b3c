"""The explained part taken out, and shown where it is."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from artifactlab.errors import InputError
from artifactlab.metrics import (
    edge_jaggedness_map,
    lattice_amplitude,
    remove_spectral_images,
    spectral_images,
    spectral_images_map,
)
from artifactlab.metrics.inputs import LARGEST_PERIOD
from artifactlab.metrics.spectral_repair import explained_by

PHOTOS = [("astronaut", 60, 100), ("coffee", 60, 150)]


@pytest.fixture(scope="module")
def halved(photo, nearest, pattern, tiled):
    """`halved(kind, period, axis)`: a photo of 192 x 192 whose first half is defective; and how much, as truth."""

    def make(kind, period, axis=1, name="coffee"):
        image = photo(name, 192, 60, 150)
        bad = nearest(image, period)
        if kind == "grid":
            bad = image + tiled(pattern((period, period), 0.02, period), 192, 192)[..., None]
        half = [slice(None)] * 2
        half[axis] = slice(0, 96)
        image[tuple(half)] = bad[tuple(half)]
        return image

    return make


# Taken out


@pytest.mark.parametrize(
    ("factor", "where"), [(2, PHOTOS[0]), (3, PHOTOS[1]), (4, PHOTOS[0]), (8, PHOTOS[0]), (8, PHOTOS[1])]
)
def test_removal_takes_four_fifths_of_stair_steps_away(factor, where, photo, nearest, tensor):
    x = tensor(nearest(photo(where[0], 192, *where[1:]), factor))
    before, after = spectral_images(x, factor), spectral_images(remove_spectral_images(x, factor), factor)
    assert float(before.warp) > 0.4
    left = 0.2 if factor == 4 else 0.1
    assert float(after.explained) < left * float(before.explained)
    assert float(after.warp) < left * float(before.warp)


@pytest.mark.parametrize(
    ("period", "where"), [(2, PHOTOS[0]), (3, PHOTOS[1]), (5, PHOTOS[0]), (8, PHOTOS[0]), (8, PHOTOS[1])]
)
def test_removal_gives_the_photo_under_a_grid_back(period, where, photo, pattern, tiled, tensor):
    image = photo(where[0], 192, *where[1:])
    marked = image + tiled(pattern((period, period), 0.02, period), 192, 192)[..., None]
    cleaned = remove_spectral_images(tensor(marked), period)
    assert float((cleaned - tensor(image)).square().mean().sqrt()) < 0.2 * 0.02
    assert float(lattice_amplitude(cleaned, period)) < 0.1 * 0.02


@pytest.mark.parametrize("factor", [2, 4])
def test_a_repaired_replica_is_nearer_to_the_photo(factor, photo, nearest, tensor):
    image = photo("coffee", 192, 60, 150)
    steps = tensor(nearest(image, factor))
    truth = tensor(image)
    assert float((remove_spectral_images(steps, factor) - truth).norm()) < 0.95 * float((steps - truth).norm())


def test_without_a_period_each_image_of_a_batch_is_cleaned_of_its_own(photo, nearest, tensor):
    image = photo("coffee", 128, 60, 150)
    batch = torch.cat([tensor(nearest(image, 2)), tensor(image), tensor(nearest(image, 4))])
    cleaned = remove_spectral_images(batch)
    assert torch.equal(cleaned[1], batch[1])
    for index, period in ((0, 2), (2, 4)):
        torch.testing.assert_close(cleaned[index : index + 1], remove_spectral_images(batch[index : index + 1], period))
        assert not torch.equal(cleaned[index], batch[index])


@pytest.mark.parametrize("name", ["coffee", "camera", "grass"])
@pytest.mark.parametrize("period", [None, 2])
def test_a_clean_image_comes_back_as_it_is(name, period, photo, tensor):
    x = tensor(photo(name, 128))
    assert torch.equal(remove_spectral_images(x, period), x)


@pytest.mark.parametrize("size", [(1, 1), (3, 50), (7, 7), (20, 20)], ids=str)
def test_an_image_too_small_to_tell_comes_back_as_it_is(size):
    x = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(0))
    assert torch.equal(remove_spectral_images(x), x)
    assert torch.equal(remove_spectral_images(x, 64), x)


def test_the_result_has_the_inputs_range_and_precision(photo, nearest, tensor):
    image = tensor(nearest(photo("coffee", 96, 60, 150), 4))
    cleaned = remove_spectral_images(image, 4)
    in_bytes = remove_spectral_images((255 * image).round().byte(), 4, data_range=255)
    assert in_bytes.dtype == torch.float32
    torch.testing.assert_close(in_bytes / 255, cleaned, rtol=0, atol=6 / 255)
    assert remove_spectral_images(image.double(), 4).dtype == torch.float64


def test_each_form_explains_its_own_defect(photo, nearest, pattern, tiled, tensor):
    image = photo("coffee", 192, 60, 150)
    grid = tiled(pattern((4, 4), 0.02, 1), 192, 192)[..., None]
    of_grid = explained_by(tensor(image + grid), (4, 4), 4)
    assert float(of_grid.warp.abs().max()) == 0
    both = explained_by(tensor(image + grid), (4, 4), 2).grid + of_grid.grid
    torch.testing.assert_close(both, tensor(np.broadcast_to(grid, image.shape)), rtol=0, atol=0.004)
    of_steps = explained_by(tensor(nearest(image, 4)), (4, 4), 4)
    assert float(of_steps.grid.abs().max()) == 0
    assert float(of_steps.warp.square().mean().sqrt()) > 0.005
    torch.testing.assert_close(of_steps.total, of_steps.grid + of_steps.modulation + of_steps.warp)


def test_of_a_grid_what_chance_makes_as_strong_stays_in_the_image(tensor):
    """A wave of one frequency under noise: of all others of its period about half are less than chance, and left."""
    noise = np.random.default_rng(0).normal(0, 0.05, (128, 128))
    wave = 0.05 * np.cos(2 * np.pi * np.arange(128) / 8)
    grid = explained_by(tensor(0.5 + wave + noise, torch.float64), (8, 8), 8).grid[0, 0, :8, :8].numpy()
    powers = np.abs(np.fft.fft2(grid) / 64) ** 2
    own = [powers[i, j] for i in range(8) for j in range(8) if i % 2 or j % 2]
    assert 0.3 < np.mean(np.array(own) < 1e-12) < 0.9
    assert powers[0, 1] == pytest.approx(0.025**2, rel=0.1)


# Shown


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("period", [2, 4])
@pytest.mark.parametrize("kind", ["grid", "warp"])
def test_the_map_points_at_the_defective_half_and_not_at_the_other(kind, period, axis, halved, tensor):
    shown = spectral_images_map(tensor(halved(kind, period, axis)), period)
    for form, image in shown._asdict().items():
        assert image.shape == (1, 1, 192, 192)
        assert image.min() >= 0
        if form == kind:
            inside, outside = image.narrow(axis + 2, 0, 96), image.narrow(axis + 2, 112, 80)
            assert float(inside.mean()) > 0.005
            assert float(outside.mean()) < 0.25 * float(inside.mean())


@pytest.mark.parametrize(("axis", "name"), [(0, "coffee"), (1, "coffee"), (1, "astronaut")])
@pytest.mark.parametrize("period", [2, 4])
def test_the_map_of_jaggedness_points_at_the_stepped_half_in_pixels(period, axis, name, halved, tensor):
    heat = edge_jaggedness_map(tensor(halved("warp", period, axis, name)), period)
    inside, outside = heat.narrow(axis + 2, 0, 96), heat.narrow(axis + 2, 112, 80)
    assert float(inside.mean()) > 4 * float(outside.mean())
    truth = ((period**2 - 1) / 12) ** 0.5
    assert 0.5 * truth < float(inside[inside > 0].median()) < 1.3 * truth


@pytest.mark.parametrize("kind", ["grid", "warp"])
def test_the_map_of_a_uniform_defect_is_its_strength(kind, photo, nearest, pattern, tiled, tensor):
    image = photo("coffee", 192, 60, 150)
    bad = nearest(image, 4) if kind == "warp" else image + tiled(pattern((4, 4), 0.02, 1), 192, 192)[..., None]
    shown = getattr(spectral_images_map(tensor(bad), 4), kind)
    whole = spectral_images(tensor(bad), 4).explained
    assert float(shown.square().mean().sqrt()) == pytest.approx(float(whole), rel=0.25)


def test_texture_beside_stair_steps_stays_dark(photo, nearest, tensor):
    """As bright in itself as the steps: it is no multiple of its own content."""
    steps, grass = nearest(photo("coffee", 192, 60, 150)[..., 1], 4), photo("grass", 192)
    both = np.concatenate([steps, grass], 1)
    heat = edge_jaggedness_map(tensor(both), 4)
    assert float(heat[..., 208:].mean()) < 0.35 * float(heat[..., :192].mean())


def test_no_place_has_more_than_three_times_what_the_whole_image_has(photo, nearest, tensor):
    """Of a small patch of steps the rest would be noise."""
    image = photo("astronaut", 192, 60, 100)
    image[32:96, 32:96] = nearest(image, 4)[32:96, 32:96]
    heat, whole = edge_jaggedness_map(tensor(image), 4), float(spectral_images(tensor(image), 4).warp)
    assert whole > 0.05
    assert 2 * whole < float(heat.max()) < 3.001 * whole


def test_steps_too_faint_to_make_a_difference_are_not_shown(photo, nearest, tensor):
    """However far they displace: beside a replica, the same one with a two-hundredth of its contrast."""
    steps = nearest(photo("coffee", 144, 60, 150), 4)
    heat = edge_jaggedness_map(tensor(np.concatenate([steps, 0.5 + 0.005 * (steps - 0.5)], 1)), 4)
    assert float(heat[..., :144].mean()) > 0.3
    assert float(heat[..., 160:].max()) == 0


def test_a_clean_image_has_a_dark_map(photo, tensor):
    x = tensor(photo("coffee", 128, 60, 150))
    for shown in (*spectral_images_map(x), edge_jaggedness_map(x)):
        assert float(shown.abs().max()) == 0
    for shown in (*spectral_images_map(torch.full((1, 3, 40, 40), 0.5), 4), *spectral_images_map(x[..., :3, :3], 4)):
        assert float(shown.abs().max()) == 0


@pytest.mark.parametrize("period", [2, 3, 4, 8])
def test_maps_are_constant_over_blocks_of_16_samples_or_two_periods(period, photo, nearest, tensor):
    side = {2: 16, 3: 18, 4: 16, 8: 16}[period]
    heat = spectral_images_map(tensor(nearest(photo("coffee", 144, 60, 150), period)), period).warp[0, 0]
    each = heat[: 144 // side * side : side, : 144 // side * side : side]
    assert len(each.unique()) > 4
    torch.testing.assert_close(each.repeat_interleave(side, 0).repeat_interleave(side, 1), heat)


@pytest.mark.parametrize("function", [remove_spectral_images, spectral_images_map, edge_jaggedness_map])
@pytest.mark.parametrize("period", [0, -1, LARGEST_PERIOD + 1, 2.0, "2", True, (2, 2, 2), (2,)])
def test_what_is_no_period_is_refused_and_named(function, period):
    with pytest.raises(InputError, match="period must be a positive integer") as caught:
        function(torch.zeros(1, 1, 40, 40), period)
    assert repr(period) in str(caught.value)
