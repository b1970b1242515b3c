"""Volumes and video laid flat: every pixel of a slice is one of the tensor, and frames are where parts are."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from artifactlab.report.slices import FRAMES, GAP, Rectangle, sections, slices, strongest

SPACE = (9, 12, 15)
VOLUME = torch.arange(9 * 12 * 15).reshape(1, *SPACE) / (9 * 12 * 15)


def test_an_image_is_its_own_picture() -> None:
    image = torch.rand(3, 8, 11)
    flat = slices((8, 11), ("y", "x"))
    assert flat.size == (8, 11)
    np.testing.assert_array_equal(flat.close_up(image, image), image.permute(1, 2, 0).numpy())
    assert flat.frames((2, 3), (4, 5)) == [Rectangle(3, 2, 5, 4)]


def test_a_volume_is_three_orthogonal_slices_through_one_place() -> None:
    z, y, x = 4, 5, 6
    flat = slices(SPACE, ("z", "y", "x"), (z, y, x))
    laid = flat.close_up(VOLUME, VOLUME)
    values = VOLUME[0].numpy()
    np.testing.assert_array_equal(laid[:12, :15], values[z])
    np.testing.assert_array_equal(laid[:12, 15 + GAP :], values[:, :, x].T)
    np.testing.assert_array_equal(laid[12 + GAP :, :15], values[:, y])
    assert laid.shape == flat.size == (12 + GAP + 9, 15 + GAP + 9)
    assert (laid[12 + GAP :, 15:] == 0.5).all(), "nothing is there"


@pytest.mark.parametrize(("at", "first"), [(0, 0), (4, 3), (8, 6)])
def test_a_video_is_a_film_strip_above_a_row_and_a_column_over_time(at: int, first: int) -> None:
    flat = slices(SPACE, ("t", "y", "x"), (at, 5, 6))
    laid = flat.close_up(VOLUME, VOLUME)
    values = VOLUME[0].numpy()
    for number in range(FRAMES):
        left = number * (15 + GAP)
        np.testing.assert_array_equal(laid[:12, left : left + 15], values[first + number])
    np.testing.assert_array_equal(laid[12 + GAP :, :15], values[:, 5])
    np.testing.assert_array_equal(laid[12 + GAP :, 15 + GAP : 15 + GAP + 12], values[:, :, 6])


def test_a_video_of_one_frame_is_that_frame() -> None:
    flat = slices((1, 12, 15), ("t", "y", "x"))
    assert flat.size == (12 + GAP + 1, 15 + GAP + 12)


@pytest.mark.parametrize("names", [("z", "y", "x"), ("t", "y", "x")])
def test_frames_hold_what_a_box_holds_and_are_only_where_slices_cut_it(names: tuple[str, ...]) -> None:
    corner, size = (2, 3, 4), (4, 5, 6)
    box = torch.zeros(SPACE)
    box[2:6, 3:8, 4:10] = 1.0
    for place in ((4, 5, 6), (0, 5, 6), (4, 0, 6), (8, 11, 14)):
        flat = slices(SPACE, names, place)
        marked = np.zeros(flat.size)
        for frame in flat.frames(corner, size):
            top, left = int(frame.top), int(frame.left)
            marked[top : top + int(frame.height), left : left + int(frame.width)] = 1.0
        np.testing.assert_array_equal(marked, flat.change(box))


def test_slices_meet_where_most_of_a_change_is() -> None:
    change = torch.rand(SPACE, generator=torch.Generator().manual_seed(0)) * 0.1
    change[2, 7, 11] = 50.0
    assert strongest(change) == (2, 7, 11)


def test_of_slices_that_hold_as_much_the_one_nearest_to_the_middle_is_shown() -> None:
    pulses = torch.zeros(16, 16, 16)
    pulses[3::4, 1::2, :] = 1.0
    z, y, x = strongest(pulses)
    assert (z, y, x) == (7, 7, 8)


def test_all_directions_of_a_volume_are_in_its_sections() -> None:
    found = sections(VOLUME, ("z", "y", "x"))
    assert [section.title for section in found] == [", y and x", ", z and x"]
    assert [section.axes for section in found] == [(1, 2), (0, 2)]
    torch.testing.assert_close(found[0].batch[3, 0], VOLUME[0, 3])
    torch.testing.assert_close(found[1].batch[3, 0], VOLUME[0, :, 3])
    (only,) = sections(torch.rand(3, 8, 8), ("y", "x"))
    assert only.batch.shape == (1, 3, 8, 8)
