"""What an axis runs over is kept through views, and agrees with where each entry really comes from."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from artifactlab.attribution.sites.axes import (
    Axes,
    Factor,
    aligned,
    axes_of_images,
    axes_of_input,
    axis_of,
    by_direction,
    is_unknown,
    merged,
    phases_between,
    regrouped,
    role_of,
    size_of,
    unknown_axes,
    with_directions,
)
from artifactlab.attribution.sites.image_views import ImageView, view_of

SHAPE = (2, 12, 8, 6)
IMAGES = axes_of_images(SHAPE)
CHAINS: dict[str, list[tuple[int, ...]]] = {
    "flattened": [(2, 12, 48)],
    "windows": [(2, 12, 2, 4, 3, 2)],
    "features in groups": [(2, 3, 2, 2, 8, 6)],
    "tokens of windows": [(2, 12, 2, 4, 6), (2, 12, 8, 6)],
    "a batch of features": [(24, 1, 8, 6), (2, 12, 8, 6)],
    "rows in the batch": [(2, 96, 6)],
    "all in one": [(1152,), (2, 2, 6, 4, 2, 6)],
}
"""Name -> shapes that an image is viewed as, one after the other."""


def varying(index: Tensor, axis: int, original: Sequence[int]) -> set[int]:
    """Which axes of the original change along an axis of a tensor of flat indices: the slow reference."""
    lines = index.movedim(axis, -1).reshape(-1, index.shape[axis])
    coordinates = torch.stack(torch.unravel_index(lines, tuple(original)))
    return {k for k in range(len(original)) if (coordinates[k] != coordinates[k][:, :1]).any()}


def named(axes: Axes, axis: int) -> set[int]:
    """The axes of (N, C, H, W) that an axis runs over, by its factors."""
    numbers = {("batch", None): 0, ("features", None): 1, ("places", 1): 2, ("places", 0): 3}
    return {numbers[factor.role, factor.direction] for factor in axes[axis]}


@pytest.mark.parametrize("chain", CHAINS.values(), ids=CHAINS)
def test_factors_are_the_axes_that_entries_really_come_from(chain: list[tuple[int, ...]]) -> None:
    axes, index = IMAGES, torch.arange(math.prod(SHAPE)).reshape(SHAPE)
    for shape in chain:
        found = regrouped(axes, shape)
        assert found is not None
        axes, index = found, index.reshape(shape)
        assert [named(axes, k) for k in range(len(shape))] == [varying(index, k, SHAPE) for k in range(len(shape))]


def test_random_views_and_orders_agree_with_where_entries_come_from() -> None:
    rng = random.Random(4)
    checked = 0
    for _ in range(200):
        axes, index = IMAGES, torch.arange(math.prod(SHAPE)).reshape(SHAPE)
        for _ in range(3):
            shape = _cut_or_joined(list(index.shape), rng)
            found = regrouped(axes, shape)
            if found is None:  # a factor was cut in a way that keeps no meaning
                break
            order = rng.sample(range(len(shape)), len(shape))
            axes, index = tuple(found[k] for k in order), index.reshape(shape).permute(order)
            assert [named(axes, k) for k in range(len(shape))] == [varying(index, k, SHAPE) for k in range(len(shape))]
            checked += 1
    assert checked > 200


def _cut_or_joined(shape: list[int], rng: random.Random) -> tuple[int, ...]:
    """The shape with two neighbours joined, or an axis cut in two."""
    k = rng.randrange(len(shape) - 1) if len(shape) > 1 else 0
    if rng.random() < 0.5 and len(shape) > 1:
        return (*shape[:k], shape[k] * shape[k + 1], *shape[k + 2 :])
    factors = [f for f in range(1, shape[k] + 1) if shape[k] % f == 0]
    slow = rng.choice(factors)
    return (*shape[:k], slow, shape[k] // slow, *shape[k + 1 :])


@pytest.mark.parametrize("chain", CHAINS.values(), ids=CHAINS)
def test_a_view_and_back_is_what_it_was(chain: list[tuple[int, ...]]) -> None:
    axes: Axes | None = IMAGES
    for shape in (*chain, SHAPE):
        assert axes is not None
        axes = regrouped(axes, shape)
    assert axes == IMAGES


def test_a_view_that_cuts_across_factors_has_no_meaning() -> None:
    assert regrouped(IMAGES, (2, 16, 36)) is None
    assert regrouped(IMAGES, (2, 12, 8)) is None
    assert regrouped(IMAGES, (2, 12, 8, 6, 2)) is None


def test_phases_are_the_features_after_the_first_place_of_an_axis() -> None:
    h, r, w = Factor(8, "places", 1), Factor(2, "features"), Factor(6, "places", 0)
    assert phases_between((h, r)) == 2
    assert phases_between((r, h)) == 1  # features in the batch's place: groups, one after the other
    assert phases_between((h, w)) == phases_between((r,)) == phases_between(()) == 1
    assert phases_between((h, Factor(3, "stacked"))) == 3


def test_tokens_that_grow_along_each_direction_are_two_axes_and_with_heads_are_one() -> None:
    h, r, w = Factor(8, "places", 1), Factor(2, "features"), Factor(6, "places", 0)
    assert by_direction((h, r, w, r)) == ((h, r), (w, r))
    for axis in [(h, w, r), (h, r, w), (h, w), (h, r), (r, h, r, w, r), (h, r, h, r)]:
        assert by_direction(axis) == (axis,)
    tokens = merged((axis_of(2, "batch"), (h, r, w, r), axis_of(5, "features")))
    assert tokens[1] == (Factor(16, "places", 1), Factor(12, "places", 0))


def test_merging_leaves_axes_without_phases_alone() -> None:
    assert merged(IMAGES) == IMAGES


# a first axis of features is taken for one of the batch
@pytest.mark.parametrize("order", [order for order in itertools.permutations(range(4)) if order[0] != 1])
def test_images_in_any_order_are_read_and_put_back(order: tuple[int, ...]) -> None:
    images = torch.arange(math.prod(SHAPE)).reshape(SHAPE)
    tensor, axes = images.permute(order), tuple(IMAGES[k] for k in order)
    view = view_of(axes)
    assert torch.equal(view.images(tensor), images)
    assert torch.equal(view.restore(view.images(tensor), tensor.shape), tensor)


def test_tokens_are_read_as_images_and_put_back() -> None:
    images = torch.arange(math.prod(SHAPE)).reshape(SHAPE)
    tokens = images.flatten(2).transpose(1, 2)
    view = ImageView((0, 3, 1, 2), 1, 1, split=(2, 8, 6, 12))
    assert not view.is_trivial
    assert torch.equal(view.images(tokens), images)
    assert torch.equal(view.restore(images, tokens.shape), tokens)


def test_frames_in_the_batch_are_more_images() -> None:
    axes = (axis_of(2, "batch"), axis_of(5, "batch"), *IMAGES[1:])
    film = torch.rand(2, 5, 12, 8, 6)
    view = view_of(axes)
    assert view.images(film).shape == (10, 12, 8, 6)
    assert torch.equal(view.restore(view.images(film), film.shape), film)


def test_an_axis_of_pixels_in_a_row_is_many_rows() -> None:
    pixels = ((Factor(2, "batch"), Factor(8, "places", 1), Factor(6, "places", 0)), axis_of(3, "features"))
    assert view_of((*pixels, axis_of(5, "places", 2))).images(torch.rand(96, 3, 5)).shape == (96, 3, 5)


def test_directions_are_dealt_in_the_order_of_the_input() -> None:
    n, c, t, h, w = unknown_axes((2, 3, 4, 8, 6))
    assert [a[0].direction for a in with_directions((n, c, t, h, w), 3)[2:]] == [2, 1, 0]
    assert [a[0].direction for a in with_directions((n, c, h, w, t), 3)[2:]] == [1, 0, 2]


def test_directions_that_are_known_are_kept_and_the_others_are_free_ones() -> None:
    axes = with_directions((*IMAGES[:2], axis_of(4, "stacked"), *IMAGES[2:]), 3)
    assert [axis[0].direction for axis in axes[2:]] == [2, 1, 0]
    windows = (Factor(2, "batch"), Factor(4, "places", 1), Factor(3, "places", 0))
    assert with_directions((windows, axis_of(5, "features"), axis_of(7, "unknown", 2)), 1)[2][0].direction == 2


def test_what_is_aligned_is_what_an_operand_has_in_full() -> None:
    bias = (axis_of(12, "features"), (), ())
    assert aligned([IMAGES, bias], SHAPE) == IMAGES
    assert aligned([bias], SHAPE) == (axis_of(2, "batch"), IMAGES[1], axis_of(8, "features"), axis_of(6, "features"))
    assert aligned([], SHAPE) is None
    assert aligned([IMAGES], (2, 12, 8, 6, 3)) is None  # no operand spreads to that


@pytest.mark.parametrize(
    ("shape", "roles"),
    [
        ((1, 3, 32, 32), ["features", "places", "places"]),
        ((1, 32, 32, 3), ["places", "places", "features"]),
        ((2, 64, 48), ["unknown", "features"]),
    ],
    ids=["images", "channels last", "tokens"],
)
def test_what_a_shape_suggests(shape: tuple[int, ...], roles: list[str]) -> None:
    axes = axes_of_input(shape)
    assert [role_of(axis) for axis in axes[1:]] == roles
    assert tuple(map(size_of, axes)) == shape


def test_of_video_a_shape_tells_nothing() -> None:
    assert is_unknown(axes_of_input((1, 5, 3, 32, 32)))
