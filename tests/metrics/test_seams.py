"""Combs of straight lines in images."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from artifactlab.errors import InputError
from artifactlab.metrics.seams import find_seams


def tiles(size: int, period: int, strength: float, phase: int = 0, seed: int = 0) -> Tensor:
    """Offsets of tiles, (1, 1, size, size)."""
    count = -(-(size + period) // period)
    signs = (torch.arange(count)[:, None] + torch.arange(count)) % 2 * 2 - 1.0  # so that every seam is a step
    sizes = 0.5 + 0.5 * torch.rand(1, 1, count, count, generator=torch.Generator().manual_seed(seed))
    levels = strength * signs * sizes
    whole = levels.repeat_interleave(period, 2).repeat_interleave(period, 3)
    start = (period - phase) % period
    return whole[..., start : start + size, start : start + size]


@pytest.fixture(scope="session")
def pair(photo, tensor):
    """Two photos of 256 x 256, in colour."""
    return [tensor(photo("coffee", 256, 60, 150)), tensor(photo("astronaut", 256, 0, 120))]


def found(combs):
    return tuple(comb.period if comb else None for comb in combs)


def test_photos_have_no_seams(pair):
    assert find_seams(pair) == (None, None)
    assert find_seams(pair, pair) == (None, None)


@settings(max_examples=5, deadline=None)
@given(period=st.integers(24, 80), phase=st.integers(3, 80), seed=st.integers(0, 99))
def test_the_period_and_phase_of_planted_tiles_are_found(pair, period, phase, seed):
    phase %= period
    seamed = [x + tiles(256, period, 0.03, phase, seed + k) for k, x in enumerate(pair)]
    for comb in find_seams(seamed, pair):
        assert comb is not None
        assert (comb.period, comb.phase) == (period, phase)


def test_the_comb_is_where_a_brute_force_search_finds_the_largest_jump(pair):
    seamed = [x + tiles(256, 40, 0.1, 7, k) for k, x in enumerate(pair)]
    excess = sum(
        np.abs(np.median(np.diff(y.mean(1)[0].numpy() - x.mean(1)[0].numpy(), axis=1).reshape(16, 16, -1), axis=1)).sum(
            0
        )
        for x, y in zip(pair, seamed, strict=True)
    )
    means = {(p, k): excess[k - 1 :: p].mean() for p in range(20, 80) for k in range(1, p)}
    best = max(means, key=lambda key: (round(means[key], 6), -key[0]))
    assert best == (40, 7)
    assert find_seams(seamed)[1][:2] == best


def test_seams_in_one_direction_are_told_from_the_other(pair):
    bands = torch.tensor([0.0, 1.0, 0.0, 1.0]).repeat_interleave(64)
    assert found(find_seams([x + 0.05 * bands for x in pair], pair)) == (None, 64)
    assert found(find_seams([x + 0.05 * bands[:, None] for x in pair], pair)) == (64, None)


def test_what_the_input_shows_already_is_no_seam(pair):
    walls = [x + tiles(256, 32, 0.2, seed=k) for k, x in enumerate(pair)]
    assert found(find_seams(walls)) == (32, 32)
    assert find_seams(walls, walls) == (None, None)


def test_one_image_alone_is_not_accused_but_with_its_input_it_is(pair):
    seamed = [pair[0] + tiles(256, 48, 0.05)]
    assert find_seams(seamed) == (None, None)
    assert found(find_seams(seamed, pair[:1])) == (48, 48)
    assert find_seams(seamed, [torch.nn.functional.avg_pool2d(pair[0], 2)]) == (None, None)


def test_explained_periods_and_their_divisors_are_left_out_but_multiples_stand_out(pair):
    seamed = [x + tiles(256, 32, 0.05, seed=k) for k, x in enumerate(pair)]
    assert find_seams(seamed, pair, explained=[(32, 32)]) == (None, None)
    assert find_seams(seamed, pair, explained=[(64, 64)])[0] is None
    assert found(find_seams(seamed, pair, explained=[(8, 8)])) == (32, 32)


def test_a_lattice_that_a_site_explains_does_not_hide_a_coarser_comb(pair):
    lattice = [0.02 * (torch.arange(256) % 8 == 0).float() for _ in pair]
    seamed = [x + g + tiles(256, 64, 0.05, seed=k) for k, (x, g) in enumerate(zip(pair, lattice, strict=True))]
    assert found(find_seams(seamed, pair, explained=[(8, 8)])) == (64, 64)
    assert find_seams([x + g for x, g in zip(pair, lattice, strict=True)], pair, explained=[(8, 8)]) == (None, None)


def test_a_batch_counts_as_several_images_and_sizes_may_differ(pair):
    both = torch.cat([x + tiles(256, 48, 0.05, seed=k) for k, x in enumerate(pair)])
    assert found(find_seams([both])) == (48, 48)
    assert found(find_seams([both[:1], both[1:, :, :208, :232]])) == (48, 48)


@pytest.mark.parametrize(("dtype", "scale"), [(torch.float16, 1), (torch.bfloat16, 1), (torch.float64, 255)])
def test_precision_and_data_range_do_not_matter(pair, dtype, scale):
    seamed = [(scale * (x + tiles(256, 48, 0.1, seed=k))).to(dtype) for k, x in enumerate(pair)]
    assert found(find_seams(seamed, data_range=scale)) == (48, 48)


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (2, 3, 1, 300), (2, 1, 15, 15), (2, 1, 40, 17), (2, 1, 63, 63)])
def test_tiny_and_flat_images_have_no_seams(shape):
    assert find_seams([torch.rand(shape), torch.rand(shape)]) == (None, None)
    assert find_seams([torch.ones(shape)], [torch.ones(shape)]) == (None, None)
    assert find_seams([]) == (None, None)


def test_wrong_arguments_are_refused_and_named(pair):
    with pytest.raises(InputError, match="one input per output, or none, got 1 for 2"):
        find_seams(pair, pair[:1])
    with pytest.raises(InputError, match="NaN"):
        find_seams([torch.full((1, 1, 64, 64), float("nan"))])
    with pytest.raises(InputError, match="data_range"):
        find_seams(pair, data_range=0)
    with pytest.raises(InputError, match="explained"):
        find_seams(pair, explained=[(0, 2)])


@pytest.mark.parametrize("seed", [0, 23, 57])  # all but 0 have a comb, which is one of chance
def test_masks_which_break_at_few_places_have_no_seams(seed: int) -> None:
    """Three edges of a hundred columns are soon as far apart as three others; other than at tiles, by chance."""
    generator = torch.Generator().manual_seed(seed)
    boxes = torch.zeros(4, 1, 128, 128)
    for image in boxes:
        for _ in range(6):
            top, left, height, width = torch.randint(4, 60, (4,), generator=generator).tolist()
            image[:, top : top + height, 2 * left : 2 * left + width] = 1 - image[:, top, 2 * left].item()
    assert find_seams(list(boxes.split(1))) == (None, None)
    assert find_seams(list(boxes.split(1)), list((boxes + 0.1 * torch.rand_like(boxes)).split(1))) == (None, None)


def test_a_comb_that_only_every_other_image_has_is_none(pair):
    both, one = (
        [x + k * tiles(256, 48, 0.1, seed=1) for x, k in zip(pair, on, strict=True)] for on in ((1, 1), (1, 0))
    )
    assert found(find_seams(both, pair)) == (48, 48)
    assert find_seams(one, pair) == (None, None)


def test_three_faint_lines_are_found_where_little_else_stands_out(pair):
    """What is no line, at the border, once stood for three strong ones, among which any comb was one of chance."""
    seamed = [x + tiles(256, 80, 0.008, seed=k) for k, x in enumerate(pair)]
    assert found(find_seams(seamed, pair)) == (80, 80)


def knots(corners: bool, seed: int, size: int = 128) -> torch.Tensor:
    """A random image, enlarged by 8, with its knots 8 or (size - 1) / (size / 8 - 1) pixels apart."""
    small = torch.rand(1, 3, size // 8, size // 8, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(small, size=(size, size), mode="bilinear", align_corners=corners)


@pytest.mark.parametrize("size", [128, 256])
def test_knots_that_are_no_whole_number_of_pixels_apart_are_explained_with_their_multiples(size: int) -> None:
    images = [knots(True, seed, size) for seed in range(2)]
    spacing = (size - 1) / (size // 8 - 1)
    by_whole_pixels = find_seams(images, explained=[(8, 8)])
    assert any(by_whole_pixels), "these lines would be taken for tiles"
    assert all(abs(comb.period / spacing - round(comb.period / spacing)) < 0.05 for comb in by_whole_pixels if comb)
    assert find_seams(images, explained=[(8, 8), (spacing, spacing)]) == (None, None)


@pytest.mark.parametrize("side", [48, 60])
def test_tiles_are_still_found_beside_knots(pair, side: int) -> None:
    spacing = 255 / 31
    seamed = [x + tiles(256, side, 0.05, seed=k) for k, x in enumerate(pair)]
    assert found(find_seams(seamed, pair, explained=[(8, 8), (spacing, spacing)])) == (side, side)


def test_planes_in_a_volume_are_found_along_each_direction() -> None:
    generator = torch.Generator().manual_seed(0)
    noise = torch.rand(2, 1, 70, 70, 70, generator=generator)
    volumes = [torch.nn.functional.avg_pool3d(x[None], 7, 1) for x in noise]
    levels = 0.05 * torch.rand(2, 1, 4, 1, 4, generator=generator)
    apart = [x.repeat_interleave(16, 1).repeat_interleave(16, 3) for x in levels]
    seamed = [x + step for x, step in zip(volumes, apart, strict=True)]
    assert found(find_seams(volumes, volumes)) == (None, None, None)
    assert found(find_seams(seamed, volumes)) == (16, None, 16)
    assert found(find_seams(seamed, volumes, explained=[(16, 1, 1)])) == (None, None, 16)


def test_a_volume_whose_frames_are_one_image_shows_what_the_image_shows(pair) -> None:
    seamed = [x + tiles(256, 48, 0.05, seed=k) for k, x in enumerate(pair)]
    films = [x[:, :, None].repeat(1, 1, 2, 1, 1) for x in seamed]
    assert found(find_seams(films))[1:] == found(find_seams(seamed)) == (48, 48)


def test_signals_have_no_lines_and_kinds_are_not_mixed(pair) -> None:
    signal = torch.arange(16.0).sin().repeat_interleave(64)[None, None]
    assert find_seams([signal, signal]) == (None,)
    with pytest.raises(InputError, match="all images or all volumes"):
        find_seams([pair[0], torch.rand(1, 1, 64, 64, 64)])
    with pytest.raises(InputError, match="2 each, one per axis"):
        find_seams(pair, explained=[(8, 8, 8)])


def test_a_single_image_must_show_more_than_two() -> None:
    """Lines of one scene are common to both of its halves: the horizontal ones here stand out by 5.4 errors only."""
    noise = torch.rand(1, 1, 262, 262, generator=torch.Generator().manual_seed(3))
    image = torch.nn.functional.avg_pool2d(noise, 7, 1)
    seamed = image + tiles(256, 48, 0.02)
    assert found(find_seams([seamed], [image])) == (None, 48)
    assert found(find_seams([seamed, seamed], [image, image])) == (48, 48)
