"""Jaggedness is the same turned, flipped, in other channels, batches and precisions."""

from __future__ import annotations

import pytest
import torch

from artifactlab.metrics import edge_jaggedness


@pytest.mark.parametrize(("name", "top", "left"), [("coins", 0, 0), ("coffee", 60, 150)])
@pytest.mark.parametrize("s", [2, 4])
def test_flips_and_turns_leave_jaggedness_unchanged(name, top, left, s, photo, nearest, tensor, symmetries):
    """Where cells fill the image the only difference is rounding and ties between equal neighbours."""
    x = tensor(nearest(photo(name, 256, top, left), s))
    upright = float(edge_jaggedness(x))
    assert upright > 0.3
    for turned, turn in symmetries.items():
        assert float(edge_jaggedness(turn(x))) == pytest.approx(upright, rel=0.01), turned


@pytest.mark.parametrize("channels", [2, 3, 8])
@pytest.mark.parametrize("s", [1, 4])
def test_equal_channels_read_like_one(channels, s, photo, nearest, tensor):
    """Also where one channel reads a little: more of the same must not make it surer."""
    green = photo("chelsea", 256)[..., 1]
    grey = tensor(nearest(green, s) if s > 1 else green, torch.float64)
    alone = float(edge_jaggedness(grey))
    assert alone > 0
    assert float(edge_jaggedness(grey.expand(1, channels, 256, 256))) == pytest.approx(alone, rel=1e-6)


@pytest.mark.parametrize("s", [1, 4])
def test_a_grey_copy_of_a_photo_reads_like_its_colours(s, photo, nearest, tensor):
    image = photo("coffee", 256, 60, 150)
    image = nearest(image, s) if s > 1 else image
    grey, colours = float(edge_jaggedness(tensor(image.mean(2)))), float(edge_jaggedness(tensor(image)))
    assert grey == pytest.approx(colours, rel=0.1, abs=0.02)
    assert (colours > 0.5) == (s > 1)


def test_a_batch_reads_like_its_images_and_reduces_by_mean_or_sum(photo, nearest, tensor):
    image = photo("coins", 192)
    batch = torch.cat([tensor(version) for version in (nearest(image, 4), image, nearest(image, 2))])
    each = edge_jaggedness(batch, reduction="none")
    torch.testing.assert_close(each, torch.stack([edge_jaggedness(x[None]) for x in batch]))
    assert float(each[0]) > float(each[2]) > 0.2 > float(each[1])
    torch.testing.assert_close(edge_jaggedness(batch), each.mean())
    torch.testing.assert_close(edge_jaggedness(batch, reduction="sum"), each.sum())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("s", [2, 4])
def test_half_precision_reads_within_two_percent(dtype, s, photo, nearest, tensor):
    for name in ("coffee", "coins"):
        x = tensor(nearest(photo(name, 192, 60, 150), s))
        exact = float(edge_jaggedness(x))
        assert exact > 0.3
        assert float(edge_jaggedness(x.to(dtype))) == pytest.approx(exact, rel=0.02), name
