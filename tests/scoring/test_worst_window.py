"""A lattice in one place is found there, in image coordinates, whatever tile it lies in."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from elsewhere import second_device
from pictures import Save, photo

from artifactlab.metrics.local_screening import STEADINESS, WINDOW, grid_steadiness, suspicious_windows
from artifactlab.metrics.visible import visible_grid
from artifactlab.scoring import ImageScore, score_images, tiles
from artifactlab.scoring.severity import measure_severity
from artifactlab.scoring.worst_window import MOST, Window, WorstWindows

BOTH = ["severity", "worst_window", "period"]


def board(period: int, height: int, width: int) -> np.ndarray:
    """A checkerboard of that period and rms 1."""
    y, x = np.mgrid[:height, :width] // (period // 2)
    return (-1.0) ** (y + x)


def planted(save: Save, period: int = 2, top: int = 200, left: int = 260, side: int = 80) -> ImageScore:
    """The score of a photo with a grid of 5/255 in one place."""
    image = photo(0, 320, 400).astype(float)
    image[top : top + side, left : left + side] += 5 * board(period, side, side)[..., None]
    return score_images([save("a.png", np.clip(image, 0, 255).round())], metrics=BOTH).images[0]


@pytest.mark.parametrize("period", [2, 4, 8])
def test_grid_in_one_place_shows_there_and_not_in_the_mean(save: Save, period: int) -> None:
    image = planted(save, period)
    assert image.verdict == "shows"
    assert (image.scores["severity"] or 0) < 1 < (image.scores["worst_window"] or 0)
    assert image.window is not None
    assert (image.window.period, image.window.side) == (period, WINDOW)
    assert image.window.severity == image.scores["worst_window"]
    assert 184 <= image.window.top <= 232
    assert 244 <= image.window.left <= 292


def test_window_of_a_second_tile_is_in_coordinates_of_the_image(save: Save, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiles, "TILE", 192)
    image = planted(save, top=210, left=240)
    assert image.window is not None
    assert 194 <= image.window.top <= 242
    assert 224 <= image.window.left <= 272


def test_photo_has_no_worst_window_that_shows(save: Save) -> None:
    image = score_images([save("a.png", photo(0, 320, 400))], metrics=BOTH).images[0]
    assert image.verdict == "clean"
    assert image.scores["worst_window"] == pytest.approx(0, abs=0.5)


def test_worst_window_is_never_better_than_the_whole(save: Save) -> None:
    image = photo(0, 160, 200) + 5 * board(6, 160, 200)[..., None]  # windows are not searched for a period of 6
    scores = score_images([save("a.png", np.clip(image, 0, 255).round())], metrics=BOTH).images[0].scores
    assert scores["worst_window"] == scores["severity"]
    assert (scores["severity"] or 0) > 1


def test_windows_of_tiles_add_up_to_the_worst_of_all() -> None:
    first, second = (WorstWindows(Window(top, 0, 64, float(top), 2) for top in range(k, 40, 2)) for k in (0, 1))
    assert [window.top for window in first + second] == list(range(39, 39 - MOST, -1))


def test_image_smaller_than_a_window_has_none() -> None:
    assert suspicious_windows(torch.rand(1, 1, WINDOW - 1, 200), 4) == []


def test_suspects_overlap_by_less_than_a_half() -> None:
    noisy = torch.rand(1, 1, 256, 256, generator=torch.Generator().manual_seed(0)) * 0.1
    noisy += 0.05 * torch.from_numpy(board(2, 256, 256)).float()
    places = [suspect.place for suspect in suspicious_windows(noisy, 12)]
    assert len(places) > 4
    for number, (top, left) in enumerate(places):
        assert all(max(abs(top - a), abs(left - b)) > WINDOW // 2 for a, b in places[:number])


@pytest.mark.parametrize("kind", ["grid of 2", "grid of 4", "nearest"])
def test_severity_is_that_of_diagnose(save: Save, kind: str) -> None:
    period = 2 if kind == "grid of 2" else 4
    image = 50 + 0.6 * photo(1, 192, 200)
    if kind == "nearest":
        image = image[::4, ::4].repeat(4, 0).repeat(4, 1)
    else:
        image += 6 * board(period, 192, 200)[..., None]
    path = save("a.png", np.clip(image, 0, 255).round())
    read = torch.from_numpy(np.clip(image, 0, 255).round() / 255).permute(2, 0, 1)[None].float()
    scores = score_images([path], metrics=BOTH).images[0].scores
    assert scores["period"] == period
    assert scores["severity"] == pytest.approx(sum(measure_severity(read, (period,) * 2, 1.0).together()), rel=0.25)
    if kind == "grid of 2":  # the photo has something of a period of 4 itself
        assert math.sqrt(scores["severity"] or 0) * visible_grid(period) * 255 == pytest.approx(6, rel=0.25)


def test_nothing_in_a_score_assumes_the_cpu(save: Save, monkeypatch: pytest.MonkeyPatch) -> None:
    image = photo(0, 96, 112).astype(float)
    image[:64, 32:96] += 8 * board(2, 64, 64)[..., None]
    path = save("a.png", np.clip(image, 0, 255).round())
    here = score_images([path], reference=path.parent)
    with second_device(monkeypatch) as device:
        there = score_images([path], reference=path.parent, device=str(device))
    assert there.images[0].error is None
    assert there.images == here.images


def test_a_grid_in_noise_is_steady_and_strokes_that_keep_step_are_not() -> None:
    grid = 0.02 * torch.from_numpy(board(4, WINDOW, WINDOW)).float()
    noise = 0.02 * torch.randn(WINDOW, WINDOW, generator=torch.Generator().manual_seed(0))
    strokes = torch.zeros(WINDOW, WINDOW)
    strokes[[3, 4, 5, 21, 22, 23, 42, 43, 44], 3::4] = -1.0
    steadiness = grid_steadiness(torch.stack([grid, grid + noise, strokes, strokes + noise])[:, None], 4)
    assert (steadiness[:2] > STEADINESS).all()
    assert (steadiness[2:] < STEADINESS / 2).all()
