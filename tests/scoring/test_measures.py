"""What the metrics of image files read, in tiles or as a whole."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data
import torch
from pictures import Save, only, photo, stairs

from artifactlab.metrics import (
    axis_excess,
    checkerboard_energy,
    replication_factor,
    spectral_images,
)
from artifactlab.scoring import METRICS, measures, score_images, tiles
from artifactlab.scoring.verdict import MADE_OF

LATTICES = ("severity", "worst_window", "edge_jaggedness", "checkerboard_energy", "lattice_amplitude", "period")


def grid(period: int, height: int = 64, width: int = 80) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    return np.where((y % period == 0) & (x % period == 0), 140, 128).astype(np.uint8)


def test_scores_are_those_of_the_metrics_on_luma_and_on_colour(save: Save) -> None:
    path = save("a.png", photo(0, 90, 120).repeat(2, 0).repeat(2, 1) // 8 * 8)
    scores = only(score_images([path]))
    colour = torch.from_numpy(cv2.imread(str(path))[..., ::-1].copy()).permute(2, 0, 1)[None] / 255
    luma = (colour * torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True)
    found = spectral_images(colour)
    assert int(found.period) == 2
    assert {name: score for name, score in scores.items() if name not in MADE_OF} == pytest.approx(
        {
            "edge_jaggedness": float(found.warp),
            "axis_excess": float(axis_excess(luma)),
            "checkerboard_energy": float(checkerboard_energy(colour, 2)),
            "lattice_amplitude": float(found.grid),
            "period": 2,
            "replication_factor": float(replication_factor(luma).amax()),
        },
        abs=1e-5,
    )


def test_replicated_images_are_told_their_factor_and_photos_are_not(save: Save) -> None:
    assert only(score_images([save("a.png", photo(0, 48, 60).repeat(4, 0).repeat(4, 1))]))["replication_factor"] == 4
    assert only(score_images([save("b.png", photo())]))["replication_factor"] == 1


@pytest.mark.parametrize(("height", "width"), [(384, 400), (401, 530)])
def test_an_image_scores_the_same_in_tiles_and_as_a_whole(
    save: Save, monkeypatch: pytest.MonkeyPatch, height: int, width: int
) -> None:
    rough = skimage.data.coffee()[60:, 150:][: -(-height // 2), : -(-width // 2)].repeat(2, 0).repeat(2, 1)
    path = save("a.png", np.clip(rough[:height, :width] + 0.3 * (grid(4, height, width)[..., None] - 128.0), 0, 255))
    reference = save("reference/a.png", photo(1, height, width)).parent
    whole = only(score_images([path], reference=reference))
    monkeypatch.setattr(tiles, "TILE", 192)
    tiled = only(score_images([path], reference=reference))
    # blocks and borders of tiles are others, but their phases are the image's
    nearly = ("edge_jaggedness", "lattice_amplitude")
    assert {n: tiled[n] for n in MADE_OF} == pytest.approx({n: whole[n] for n in MADE_OF}, rel=0.3)
    assert {n: tiled[n] for n in nearly} == pytest.approx({n: whole[n] for n in nearly}, rel=0.15, abs=1e-4)
    assert tiled["checkerboard_energy"] == pytest.approx(whole["checkerboard_energy"], rel=0.6)
    others = whole.keys() - {*nearly, *MADE_OF, "checkerboard_energy"}
    assert {n: tiled[n] for n in others} == pytest.approx({n: whole[n] for n in others}, rel=1e-6, abs=1e-9)
    assert min(score or 0 for score in whole.values()) > 0.001


def test_stairs_score_high_on_jaggedness_and_a_photo_does_not(save: Save) -> None:
    assert (only(score_images([save("stairs.png", stairs())]))["edge_jaggedness"] or 0) > 0.5
    assert only(score_images([save("photo.png", photo(0, 192, 200))]))["edge_jaggedness"] == 0


@pytest.mark.parametrize("period", [2, 4, 8])
def test_grids_of_stacked_doubling_are_all_seen(save: Save, period: int) -> None:
    assert (only(score_images([save("a.png", grid(period))]))["checkerboard_energy"] or 0) > 0.8


def test_grid_in_colour_that_luma_does_not_show_is_seen(save: Save) -> None:
    image = np.full((64, 80, 3), 128, np.uint8)
    image[::2, ::2] = (128, 128 - 30, 128 + 59)  # blue, green, red
    assert (only(score_images([save("a.png", image)]))["lattice_amplitude"] or 0) > 0.05


def test_metric_that_is_not_finite_is_none(save: Save, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = replace(METRICS["axis_excess"], read=lambda sums: torch.tensor(math.nan))
    monkeypatch.setattr(measures, "METRICS", {**METRICS, "axis_excess": broken})
    report = score_images([save("a.png", photo())], metrics=["axis_excess"])
    assert report.to_dict()["images"][0]["scores"] == {"axis_excess": None}
    assert report.summary["axis_excess"]["count"] == 0


@pytest.mark.parametrize(
    ("height", "width", "missing"),
    [
        (16, 16, set(LATTICES)),
        (31, 200, set(LATTICES)),
        (50, 40, set(LATTICES)),
        (192, 200, set()),
    ],
)
def test_metric_an_image_is_too_small_for_is_none_instead_of_a_perfect_zero(
    save: Save, height: int, width: int, missing: set[str]
) -> None:
    scores = only(score_images([save("a.png", photo(0, height, width))]))
    assert {name for name, score in scores.items() if score is None} == missing


@pytest.mark.parametrize(("height", "width"), [(32, 46), (46, 32)])
def test_smallest_sizes_are_those_from_which_the_metrics_see_something(save: Save, height: int, width: int) -> None:
    image = np.zeros((height, width), np.uint8)
    image[...] = grid(2)[:height, :width]
    assert (only(score_images([save("grid.png", image)]))["lattice_amplitude"] or 0) > 0
    square = stairs(2, 64)
    assert (only(score_images([save("stairs.png", square)]))["edge_jaggedness"] or 0) > 0


def test_a_jpeg_at_its_own_period_says_so(save: Save, tmp_path: Path) -> None:
    blocky = np.random.default_rng(0).integers(0, 256, (24, 28)).astype(np.uint8).repeat(8, 0).repeat(8, 1)
    jpeg, png = tmp_path / "a.jpg", save("b.png", blocky)
    jpeg.write_bytes(cv2.imencode(".jpg", blocky)[1])
    report = score_images([jpeg, png], metrics=["period"])
    assert [row.scores["period"] for row in report.images] == [8, 8]
    assert "JPEG's own blocks" in (report.images[0].note or "")
    assert report.images[1].note is None


def test_a_mask_replicated_fifteen_times_is_read(save: Save) -> None:
    y, x = np.mgrid[:40, :40]
    mask = ((np.hypot(y - 19.3, x - 20.1) < 13.4) * 255).astype(np.uint8).repeat(15, 0).repeat(15, 1)
    scores = only(score_images([save("mask.png", mask)]))
    assert scores["period"] == 15
    assert scores["edge_jaggedness"] == pytest.approx(((15**2 - 1) / 12) ** 0.5, rel=0.25)
