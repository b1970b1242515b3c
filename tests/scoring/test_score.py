"""What `score_images` promises about rows, references, gates and workers."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data
import torch

from artifactlab.errors import ArtifactLabError, InputError
from artifactlab.metrics import (
    axis_excess,
    checkerboard_energy,
    replication_factor,
    spectral_images,
)
from artifactlab.scoring import METRICS, Gate, ScoreReport, measures, parse_gate, score_images, tiles

LATTICES = ("edge_jaggedness", "checkerboard_energy", "lattice_amplitude", "period")
WITHOUT_REFERENCE = (
    "edge_jaggedness",
    "axis_excess",
    "checkerboard_energy",
    "lattice_amplitude",
    "period",
    "replication_factor",
)


def photo(seed: int = 0, height: int = 64, width: int = 80) -> np.ndarray:
    """Smooth coloured blobs, 8 bits."""
    noise = np.random.default_rng(seed).random((height, width, 3))
    blurred = cv2.GaussianBlur(noise, (0, 0), 4)
    return (255 * (blurred - blurred.min()) / np.ptp(blurred)).astype(np.uint8)


def stairs(step: int = 4, side: int = 96) -> np.ndarray:
    """A diagonal edge in steps of that many pixels."""
    return (np.tri(side // step, dtype=np.uint8) * 255).repeat(step, 0).repeat(step, 1)


def grid(period: int, height: int = 64, width: int = 80) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    return np.where((y % period == 0) & (x % period == 0), 140, 128).astype(np.uint8)


Save = Callable[[str, np.ndarray], Path]


def only(report: ScoreReport) -> dict[str, float | None]:
    (row,) = report.images
    assert row.error is None
    return row.scores


# --- what is measured ---


def test_scores_are_those_of_the_metrics_on_luma_and_on_colour(save: Save) -> None:
    path = save("a.png", photo(0, 90, 120).repeat(2, 0).repeat(2, 1) // 8 * 8)
    scores = only(score_images([path]))
    colour = torch.from_numpy(cv2.imread(str(path))[..., ::-1].copy()).permute(2, 0, 1)[None] / 255
    luma = (colour * torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True)
    found = spectral_images(colour)
    assert int(found.period) == 2
    assert scores == pytest.approx(
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
    assert {n: tiled[n] for n in nearly} == pytest.approx({n: whole[n] for n in nearly}, rel=0.15, abs=1e-4)
    assert tiled["checkerboard_energy"] == pytest.approx(whole["checkerboard_energy"], rel=0.6)
    others = whole.keys() - {*nearly, "checkerboard_energy"}
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


def test_image_identical_to_its_reference_does_not_diverge(save: Save) -> None:
    path = save("a.png", photo())
    assert only(score_images([path], reference=path.parent))["direction_divergence"] == 0


def test_stairs_diverge_from_a_smooth_reference(save: Save) -> None:
    jagged = save("out/a.png", stairs())
    smooth = save("ref/a.png", cv2.GaussianBlur(stairs(1), (0, 0), 1))
    assert (only(score_images([jagged], reference=smooth.parent))["direction_divergence"] or 0) > 0.3


def test_metrics_default_to_all_that_can_be_measured(save: Save) -> None:
    path = save("a.png", photo())
    assert tuple(only(score_images([path]))) == WITHOUT_REFERENCE
    assert tuple(only(score_images([path], reference=path.parent))) == tuple(METRICS)


def test_only_the_named_metrics_are_measured_each_once_in_the_order_given(save: Save) -> None:
    report = score_images([save("a.png", photo())], metrics=["axis_excess", "edge_jaggedness", "axis_excess"])
    assert list(only(report)) == list(report.summary) == ["axis_excess", "edge_jaggedness"]


def test_unknown_metric_is_an_error_that_knows_better(save: Save) -> None:
    with pytest.raises(InputError, match=r"unknown metric 'edge_jagedness'; did you mean edge_jaggedness\?"):
        score_images([save("a.png", photo())], metrics=["edge_jagedness"])


def test_metric_that_needs_a_reference_is_an_error_without_one(save: Save) -> None:
    with pytest.raises(InputError, match="direction_divergence needs a reference"):
        score_images([save("a.png", photo())], metrics=["direction_divergence"])


def test_no_metrics_is_an_error(save: Save) -> None:
    with pytest.raises(InputError, match="no metrics"):
        score_images([save("a.png", photo())], metrics=[])


def test_metric_that_is_not_finite_is_none(save: Save, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = replace(METRICS["axis_excess"], read=lambda sums: torch.tensor(math.nan))
    monkeypatch.setattr(measures, "METRICS", {**METRICS, "axis_excess": broken})
    report = score_images([save("a.png", photo())], metrics=["axis_excess"])
    assert report.to_dict()["images"][0]["scores"] == {"axis_excess": None}
    assert report.summary["axis_excess"]["count"] == 0


# --- rows ---


def test_unreadable_image_is_a_row_and_the_others_are_scored(save: Save, tmp_path: Path) -> None:
    save("a.png", photo(0, 192, 200))
    (tmp_path / "b.png").write_text("no image")
    save("c.png", photo(1, 192, 200))
    good, bad, last = score_images([tmp_path]).images
    assert "b.png" in (bad.error or "")
    assert bad.scores == dict.fromkeys(WITHOUT_REFERENCE)
    assert (good.error, last.error) == (None, None)
    assert None not in (*good.scores.values(), *last.scores.values())


@pytest.mark.parametrize(("height", "width"), [(1, 1), (15, 15), (15, 64), (64, 1)])
def test_image_below_16_pixels_a_side_is_a_row_with_its_size(save: Save, height: int, width: int) -> None:
    (row,) = score_images([save("a.png", photo(0, height, width))]).images
    assert f"too small: {width}x{height} pixels, the minimum is 16x16" in (row.error or "")
    assert set(row.scores.values()) == {None}


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


def test_summary_counts_only_what_was_measured(save: Save, tmp_path: Path) -> None:
    save("a.png", stairs())
    save("b.png", photo(0, 192, 200))
    save("c.png", photo(1, 192, 200))
    save("tiny.png", photo(0, 8, 8))
    report = score_images([tmp_path])
    values = sorted(row.scores["edge_jaggedness"] or 0 for row in report.images[:3])
    assert report.summary["edge_jaggedness"] == pytest.approx(
        {"mean": sum(values) / 3, "median": values[1], "min": values[0], "max": values[2], "count": 3}
    )


# --- references ---


def test_references_are_paired_by_stem_whatever_their_format(save: Save) -> None:
    ours = [save(f"out/{name}.png", photo(seed)) for seed, name in enumerate("ab")]
    for seed, name in ((1, "b"), (0, "a")):
        save(f"ref/{name}.tiff", photo(seed))
    report = score_images([ours[0].parent], reference=ours[0].parent.parent / "ref", metrics=["direction_divergence"])
    assert [row.scores["direction_divergence"] for row in report.images] == [0, 0]


def test_images_without_a_reference_are_named_five_at_most_before_anything_is_scored(save: Save) -> None:
    for index in range(8):
        out = save(f"out/{index}.png", photo()).parent
    ref = save("ref/0.png", photo()).parent
    with pytest.raises(InputError, match=r"no reference in .*ref.* 1, 2, 3, 4, 5 and 2 more$"):
        score_images([out], reference=ref, progress=lambda done, total: pytest.fail("scored"))


def test_references_without_an_image_are_named(save: Save) -> None:
    path = save("out/a.png", photo())
    save("ref/a.png", photo())
    ref = save("ref/extra.png", photo()).parent
    with pytest.raises(InputError, match=r"no image for the references in .*: extra$"):
        score_images([path], reference=ref)


@pytest.mark.parametrize("side", ["out", "ref"])
def test_two_files_with_one_stem_are_refused_on_either_side(save: Save, side: str) -> None:
    out, ref = save("out/a.png", photo()).parent, save("ref/a.png", photo()).parent
    save(f"{side}/a.tiff", photo())
    with pytest.raises(InputError, match=rf"share one: .*{side}.a\.png and .*{side}.a\.tiff"):
        score_images([out], reference=ref)


def test_size_mismatch_is_that_rows_error(save: Save) -> None:
    out, ref = save("out/a.png", photo()).parent, save("ref/a.png", photo(0, 32, 40)).parent
    save("out/b.png", photo())
    save("ref/b.png", photo())
    first, second = score_images([out], reference=ref).images
    assert "80x64 pixels, its reference" in (first.error or "")
    assert "40x32" in (first.error or "")
    assert second.error is None


def test_unreadable_reference_is_that_rows_error(save: Save, tmp_path: Path) -> None:
    path = save("out/a.png", photo())
    (tmp_path / "ref").mkdir()
    (tmp_path / "ref" / "a.png").write_text("no image")
    (row,) = score_images([path], reference=tmp_path / "ref").images
    assert "ref" in (row.error or "")


# --- gates ---


def test_gate_on_a_metric_that_is_not_measured_is_an_error(save: Save) -> None:
    path = save("a.png", photo())
    with pytest.raises(InputError, match=r"not measured.*add --metric edge_jaggedness"):
        score_images([path], metrics=["axis_excess"], gates=["edge_jaggedness>1"])
    with pytest.raises(InputError, match=r"not measured.*give a reference"):
        score_images([path], gates=["direction_divergence>1"])


def test_failed_gate_names_image_and_score(save: Save, tmp_path: Path) -> None:
    save("good.png", photo())
    bad = save("stairs.png", stairs())
    report = score_images([tmp_path], gates=["edge_jaggedness>0.3", Gate("axis_excess", ">", 1)])
    (failure,) = report.failures
    assert (failure.gate, failure.path) == (parse_gate("edge_jaggedness>0.3"), str(bad))
    assert failure.score == report.images[1].scores["edge_jaggedness"]
    assert report.passed is False


def test_report_passes_only_with_a_gate_and_with_every_image_scored(save: Save, tmp_path: Path) -> None:
    save("a.png", photo(0, 192, 200))
    assert score_images([tmp_path]).passed is None
    assert score_images([tmp_path], gates=["edge_jaggedness>0.3"]).passed is True
    (tmp_path / "b.png").touch()
    assert score_images([tmp_path], gates=["edge_jaggedness>0.3"]).passed is False


# --- running ---


def test_report_is_the_same_for_any_number_of_workers_and_in_input_order(save: Save, tmp_path: Path) -> None:
    for index, name in enumerate("dbca"):
        save(f"{name}.png", photo(index))
    (tmp_path / "bad.png").touch()
    paths = [tmp_path / "d.png", tmp_path]
    alone, together = score_images(paths), score_images(paths, workers=2)
    assert [Path(row.path).stem for row in alone.images] == ["d", "a", "b", "bad", "c"]
    assert together.to_json() == alone.to_json()


def test_worker_that_dies_is_an_error_that_says_what_to_do(
    save: Save, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from concurrent.futures.process import BrokenProcessPool

    class DyingPool:
        def __init__(self, *_: object, **__: object) -> None: ...

        def map(self, *_: object) -> None:
            raise BrokenProcessPool

        def shutdown(self, **_: object) -> None: ...

    monkeypatch.setattr("artifactlab.scoring.score.ProcessPoolExecutor", DyingPool)
    save("a.png", photo())
    save("b.png", photo())
    with pytest.raises(ArtifactLabError, match="--workers 1"):
        score_images([tmp_path], workers=2)


def test_fewer_workers_than_one_is_an_error(save: Save) -> None:
    with pytest.raises(InputError, match="workers must be at least 1, got 0"):
        score_images([save("a.png", photo())], workers=0)


def test_scoring_uses_one_torch_thread_and_gives_the_others_back(save: Save) -> None:
    before, during = torch.get_num_threads(), []
    torch.set_num_threads(2)
    try:
        score_images([save("a.png", photo())], progress=lambda done, total: during.append(torch.get_num_threads()))
        assert (during, torch.get_num_threads()) == ([1], 2)
    finally:
        torch.set_num_threads(before)


def test_progress_is_told_after_each_image(save: Save, tmp_path: Path) -> None:
    save("a.png", photo())
    (tmp_path / "b.png").touch()
    told: list[tuple[int, int]] = []
    score_images([tmp_path], metrics=["axis_excess"], progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 2), (2, 2)]


def test_no_image_outlives_its_row(save: Save, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import gc
    import weakref

    alive: list[weakref.ref[torch.Tensor]] = []

    def remember(tile: tiles.Tile) -> torch.Tensor:
        gc.collect()
        assert not [ref for ref in alive if ref() is not None]
        alive.append(weakref.ref(tile.image))
        return torch.ones(1, 2)

    remembering = replace(METRICS["axis_excess"], sums=remember)
    monkeypatch.setattr(measures, "METRICS", {**METRICS, "axis_excess": remembering})
    for index in range(3):
        save(f"{index}.png", photo(index))
    gc.freeze()  # what was there before need not be searched three times
    try:
        score_images([tmp_path], metrics=["axis_excess"])
    finally:
        gc.unfreeze()
    assert len(alive) == 3


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
