"""Exact replication: named with its factor wherever its blocks start, and nothing else is."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from artifactlab.metrics import replication_factor
from artifactlab.metrics.replication import difference_sums, pooled_factor


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    vertical=st.integers(1, 8),
    horizontal=st.integers(1, 8),
    top=st.integers(0, 7),
    left=st.integers(0, 7),
    data=st.data(),
)
def test_blocks_are_named_wherever_they_start(vertical, horizontal, top, left, data, photo, tensor):
    small = photo("coffee", 40, data.draw(st.integers(0, 300)), data.draw(st.integers(0, 300)))
    image = small.repeat(vertical, 0).repeat(horizontal, 1)[top:, left:]
    assert replication_factor(tensor(image)).tolist() == [[vertical, horizontal]]


@pytest.mark.parametrize(("factor", "named"), [(9, 3), (10, 5), (12, 6), (16, 8), (11, 1)])
def test_of_larger_factors_the_largest_divisor_is_named(factor, named, photo, tensor):
    image = photo("coffee", 24, 60, 150).repeat(factor, 0).repeat(factor, 1)
    assert replication_factor(tensor(image)).tolist() == [[named, named]]


@pytest.mark.parametrize(
    "name", ["astronaut", "brick", "camera", "chelsea", "coffee", "coins", "grass", "page", "text"]
)
def test_photos_are_no_replicas(name, photo, tensor):
    assert replication_factor(tensor(photo(name, None))).tolist() == [[1, 1]]


def test_the_moon_of_scikit_image_is_a_x2_replica(photo, tensor):
    assert replication_factor(tensor(photo("moon", None))).tolist() == [[2, 2]]


@pytest.mark.parametrize("kernel", [cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_LANCZOS4])
@pytest.mark.parametrize("factor", [2, 4, 8])
def test_smooth_resizing_is_no_replication(kernel, factor, photo, shrink, tensor):
    image = cv2.resize(shrink(photo("coffee", 192, 60, 150), factor), (192, 192), interpolation=kernel)
    assert replication_factor(tensor(image)).tolist() == [[1, 1]]


@pytest.mark.parametrize("edges", [(31,), (20, 60), (8, 16), (16, 24, 64)])
def test_a_few_edges_in_step_prove_nothing(edges):
    """The sides of a box share a factor now and then."""
    image = torch.zeros(1, 1, 96, 96)
    for k, edge in enumerate(edges, 1):
        image[..., edge:] = k / 4
    assert replication_factor(image).tolist() == [[1, 1]]


def test_slight_noise_and_compression_leave_it_standing(photo, nearest, jpeg, tensor):
    image = nearest(photo("coffee", 192, 60, 150), 4)
    noisy = image + np.random.default_rng(0).normal(0, 0.001, image.shape)
    for damaged in (noisy, jpeg(image, 98)):
        assert replication_factor(tensor(damaged)).tolist() == [[4, 4]]


def test_sums_of_tiles_are_those_of_the_whole(photo, nearest, tensor):
    image = tensor(nearest(photo("coffee", 96, 60, 150), 4))
    tiles = [
        difference_sums(
            image[..., max(0, top - 8) : top + 56, max(0, left - 8) : left + 56],
            (max(0, top - 8), max(0, left - 8)),
            (min(8, top), min(8, top) + 48, min(8, left), min(8, left) + 48),
        )
        for top in (0, 48)
        for left in (0, 48)
    ]
    whole = difference_sums(image)
    torch.testing.assert_close(sum(tiles), whole, rtol=1e-6, atol=1e-9)
    assert pooled_factor(whole).tolist() == [[4, 4]]
