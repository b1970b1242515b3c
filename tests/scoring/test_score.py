"""What `score_images` promises about rows, gates and workers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import pytest
import torch
from pictures import Save, only, photo, stairs

from artifactlab.errors import InputError
from artifactlab.inputs.images import Picture
from artifactlab.scoring import METRICS, Gate, measures, parse_gate, score_images, tiles

WITHOUT_REFERENCE = (
    "severity",
    "worst_window",
    "edge_jaggedness",
    "axis_excess",
    "checkerboard_energy",
    "lattice_amplitude",
    "period",
    "replication_factor",
)


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


@pytest.mark.parametrize("error", [IndexError("of ours"), MemoryError(), RuntimeError("of torch")])
def test_whatever_happens_to_one_image_the_others_are_scored(
    save: Save, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def measure(picture: Picture, *_: object) -> measures.Measured:
        if picture.size == (32, 32):
            raise error
        return measures.Measured({"axis_excess": 0.5}, None)

    monkeypatch.setattr("artifactlab.scoring.rows.measure", measure)
    save("a.png", photo(0, 32, 32))
    save("b.png", photo())
    bad, good = score_images([tmp_path], metrics=["axis_excess"]).images
    assert "a.png" in (bad.error or "")
    assert (good.error, good.scores) == (None, {"axis_excess": 0.5})


def test_image_above_the_limit_is_a_row_that_says_what_to_type(save: Save, tmp_path: Path) -> None:
    save("a.png", photo(0, 64, 80))
    save("b.png", photo(0, 32, 32))
    large, small = score_images([tmp_path], metrics=["axis_excess"], max_pixels=5119).images
    assert "--max-pixels 5120" in (large.error or "")
    assert small.error is None
    with pytest.raises(InputError, match="max_pixels must be at least 1, got 0"):
        score_images([tmp_path], max_pixels=0)


def test_folder_that_may_not_be_looked_into_is_a_row_beside_references(
    save: Save, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save("a.png", photo())
    (tmp_path / "locked").mkdir()
    monkeypatch.setattr("artifactlab.inputs.sources.find.find_images", lambda paths, _: list(paths))
    _, locked = score_images([path, tmp_path / "locked"], reference=path, metrics=["axis_excess"]).images
    assert "locked" in (locked.error or "")
    with pytest.raises(InputError, match=r"cannot look into the references' folders: .*locked"):
        score_images([path], reference=tmp_path / "locked", metrics=["axis_excess"])


def test_damage_that_can_be_read_over_is_a_note(save: Save, tmp_path: Path) -> None:
    data = bytes(cv2.imencode(".jpg", photo())[1])
    (tmp_path / "a.jpg").write_bytes(data[:-2] + bytes(range(100)) + data[-2:])
    (row,) = score_images([tmp_path], metrics=["axis_excess"]).images
    assert row.error is None
    assert "may be damaged" in (row.note or "")


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


def test_report_is_the_same_for_any_number_of_workers_and_in_input_order(save: Save, tmp_path: Path) -> None:
    for index, name in enumerate("dbca"):
        save(f"{name}.png", photo(index))
    (tmp_path / "bad.png").touch()
    paths = [tmp_path / "d.png", tmp_path]
    alone, together = score_images(paths), score_images(paths, workers=2)
    assert [Path(row.path).stem for row in alone.images] == ["d", "a", "b", "bad", "c"]
    assert together.to_json() == alone.to_json()


def test_an_image_that_kills_its_worker_is_a_row_and_the_others_are_scored(
    save: Save, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(function: Any, jobs: Iterable[Any], workers: int, lost: Any) -> Iterator[Any]:
        first, *others = jobs
        yield from ((number, function(job)) for number, job in enumerate(others, 1))
        yield 0, lost(first)

    monkeypatch.setattr("artifactlab.scoring.engines.map_in_processes", killed)
    monkeypatch.setattr("artifactlab.scoring.engines.usable_cores", lambda: 2)
    save("a.png", photo())
    save("b.png", photo())
    bad, good = score_images([tmp_path], workers=2).images
    assert "a.png': its worker process was killed, twice" in (bad.error or "")
    assert bad.scores == dict.fromkeys(WITHOUT_REFERENCE)
    assert good.error is None


def test_there_are_no_more_workers_than_cores(save: Save, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def count(function: Any, jobs: Iterable[Any], workers: int, lost: Any) -> Iterator[Any]:
        asked.append(workers)
        yield from enumerate(map(function, jobs))

    monkeypatch.setattr("artifactlab.scoring.engines.map_in_processes", count)
    monkeypatch.setattr("artifactlab.scoring.engines.usable_cores", lambda: 3)
    for name in "abcd":
        save(f"{name}.png", photo())
    score_images([tmp_path], workers=10**6)
    assert asked == [3]


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


def test_a_sound_is_refused_with_the_way_around(tmp_path: Path) -> None:
    (tmp_path / "x.wav").touch()
    message = r"x.wav' is a sound, and score takes images: in Python give .*periods=8, data_range=2\)$"
    with pytest.raises(InputError, match=message):
        score_images([tmp_path / "x.wav"])
