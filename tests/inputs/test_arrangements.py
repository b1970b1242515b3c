"""The order of axes that models take videos and volumes in."""

from __future__ import annotations

import torch

from artifactlab.inputs.arrangements import arranged

VIDEO = torch.arange(7.0).view(1, 1, 7, 1, 1).expand(1, 3, 7, 16, 16)


def test_frames_come_first_and_are_the_same() -> None:
    (frames,) = arranged(VIDEO, "NTCHW", 8)
    assert torch.equal(frames[:, 4], VIDEO[:, :, 4])


def test_single_frames_are_evenly_spread_and_none_is_taken_twice() -> None:
    assert [int(frame[0, 0, 0, 0]) for frame in arranged(VIDEO, "NCHW", 3)] == [1, 3, 5]
    assert [int(frame[0, 0, 0, 0]) for frame in arranged(VIDEO, "NCHW", 99)] == list(range(7))


def test_images_and_signals_stay_as_they_are() -> None:
    for other in (torch.rand(1, 3, 16, 16), torch.rand(1, 2, 100)):
        assert arranged(other, "NTCHW", 8) == [other]
        assert arranged(other, "NCHW", 8) == [other]
