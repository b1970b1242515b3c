"""What a store promises: no row is lost, none is doubled, and what has changed is scored again."""

from __future__ import annotations

import gc
import hashlib
import json
import multiprocessing
import os
import random
import sys
import time
import tracemalloc
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib.resources import files
from multiprocessing.connection import Connection
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from artifactlab.errors import InputError
from artifactlab.scoring import ImageScore, ScoreReport, rows, score_images, store_parts, stored_scores
from artifactlab.scoring.engines import Engine
from artifactlab.scoring.rows import Job
from artifactlab.scoring.store import Store
from artifactlab.scoring.store_rows import Settings, StoredRow
from artifactlab.scoring.worst_window import Window

SCHEMA = json.loads((files("artifactlab") / "schemas" / "score_row.json").read_text())
METRICS = ["axis_excess", "replication_factor"]
Save = Callable[[str, np.ndarray], Path]


def noise(seed: int, side: int = 16) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (side, side, 3), dtype=np.uint8)


@pytest.fixture
def out(save: Save) -> Path:
    """A folder of four images and one that is none."""
    for number in range(4):
        save(f"out/{number}.png", noise(number))
    folder = save("out/4.png", noise(4)).parent
    (folder / "bad.png").touch()
    return folder


def scored(
    out: Path, resume: bool = True, metrics: Sequence[str] = METRICS, engine: str | Engine = "processes"
) -> ScoreReport:
    return score_images([out], metrics=metrics, store=out.parent / "store", resume=resume, engine=engine)


def lines(folder: Path) -> list[dict[str, object]]:
    """All rows of all parts, as json reads them."""
    return [json.loads(line) for part in sorted(folder.glob("part-*.jsonl")) for line in part.read_bytes().splitlines()]


def names(stored: Sequence[dict[str, object]]) -> list[str]:
    return sorted(Path(str(row["path"])).stem for row in stored)


def test_rows_follow_their_schema_and_the_digest_is_that_of_the_file(out: Path) -> None:
    scored(out)
    stored = lines(out.parent / "store")
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    for row in stored:
        jsonschema.validate(row, SCHEMA, jsonschema.Draft202012Validator)
        content = Path(str(row["path"])).read_bytes()
        assert row["digest"] == (hashlib.sha256(content).hexdigest() if content else None)


@contextmanager
def backwards(jobs: Iterable[Job], workers: int) -> Iterator[Iterator[tuple[int, ImageScore]]]:
    """An engine whose last job is done first."""
    yield reversed([(number, rows.scored(job)) for number, job in enumerate(jobs)])


@pytest.mark.parametrize("engine", ["processes", backwards])
def test_the_report_is_what_it_is_without_a_store(out: Path, engine: str | Engine) -> None:
    plain = score_images([out], metrics=METRICS).to_dict()
    assert scored(out, engine=engine).to_dict() == plain
    assert scored(out, engine=engine).to_dict() == plain  # of rows that are there, and one tried again
    read = stored_scores(out.parent / "store").to_dict()
    assert (read["images"], read["summary"]) == (plain["images"], plain["summary"])


def test_resume_scores_what_is_new_changed_or_had_an_error_and_nothing_else(out: Path, save: Save) -> None:
    scored(out)
    save("out/1.png", noise(10))
    save("out/5.png", noise(5))
    before = lines(out.parent / "store")
    report = scored(out)
    added = [row for row in lines(out.parent / "store") if row not in before]  # parts of one second are in no order
    assert names(added) == ["1", "5", "bad"]
    assert report.to_dict() == score_images([out], metrics=METRICS).to_dict()
    assert len(stored_scores(out.parent / "store").images) == 7


def test_a_reference_that_changed_is_a_change(out: Path, save: Save) -> None:
    (out / "bad.png").unlink()
    for number in range(5):
        save(f"ref/{number}.png", noise(number))
    for _ in range(2):
        score_images([out], out.parent / "ref", ["direction_divergence"], store=out.parent / "store", resume=True)
        save("ref/2.png", noise(20))
    assert names(lines(out.parent / "store")) == ["0", "1", "2", "2", "3", "4"]


def test_without_resume_all_are_scored_again_and_each_is_reported_once(out: Path) -> None:
    scored(out, resume=False)
    assert len(scored(out, resume=False).images) == 6
    assert len(lines(out.parent / "store")) == 12
    assert len(stored_scores(out.parent / "store").images) == 6


def test_rows_of_other_metrics_are_scored_anew_and_never_mixed(out: Path, caplog: pytest.LogCaptureFixture) -> None:
    scored(out)
    scored(out, metrics=["axis_excess"])
    report = stored_scores(out.parent / "store")
    assert report.config["metrics"] == ["axis_excess"]
    assert len(report.images) == 6
    assert "6 rows of other settings or versions are left out" in caplog.text


@pytest.mark.parametrize("cut", [1, 40])
def test_a_torn_last_line_is_told_left_out_and_left_as_it_is(
    out: Path, cut: int, caplog: pytest.LogCaptureFixture
) -> None:
    plain = scored(out).to_dict()
    (part,) = (out.parent / "store").glob("part-*.jsonl")
    torn = part.read_bytes()[:-cut]  # of 4.png or bad.png, whichever came last
    part.write_bytes(torn)
    assert len(stored_scores(out.parent / "store").images) == 5
    assert [record.getMessage() for record in caplog.records] == [
        f"{out.parent / 'store'}: 1 torn lines, as a kill leaves them, are left out"
    ]
    assert scored(out).to_dict() == plain
    assert part.read_bytes() == torn


def test_the_newest_row_wins_whichever_part_it_is_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(("axis_excess",), None, 100)
    early, late = (Store(tmp_path / "store", settings) for _ in range(2))
    clock = iter([1.0, 3.0, 2.0])
    monkeypatch.setattr(time, "time", lambda: next(clock))
    early.append(ImageScore("a.png", {"axis_excess": 0.1}, None))
    early.append(ImageScore("a.png", {"axis_excess": 0.3}, None))
    late.append(ImageScore("a.png", {"axis_excess": 0.2}, None))
    for store in (early, late):
        store.close()
    assert [image.scores["axis_excess"] for image in stored_scores(tmp_path / "store").images] == [0.3]


def test_names_that_are_no_text_come_back_as_they_were(tmp_path: Path) -> None:
    window = Window(1, 2, 64, 1.5, 8)
    image = ImageScore(os.fsdecode(b"\xff\n.png"), {"axis_excess": None}, None, "a\u2028b", window, "0" * 64)
    store = Store(tmp_path / "store", Settings(("axis_excess",), None, 100))
    store.append(image)
    store.close()
    assert list(store.rows()) == [image]


@pytest.mark.parametrize("line", [b"", b"1\n", b"{}\n", b"[" * 100_000 + b"\n", b"\xff\n", b'{"path": "a.png"}\n'])
def test_what_is_no_row_is_told_from_one(line: bytes) -> None:
    with pytest.raises(ValueError, match=r"torn|no row|Expecting|utf-8"):
        StoredRow.from_line(line)


def test_a_row_is_with_the_system_before_the_next_is_scored_and_synced_now_and_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    clock = iter([0.0, 1.0, 6.0, 6.0, 7.0])
    monkeypatch.setattr(store_parts.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(os, "fsync", synced.append)
    part = store_parts.Part(tmp_path)
    part.append(b"a\n")
    assert (part.path.read_bytes(), len(synced)) == (b"a\n", 0)
    part.append(b"b\n")
    assert (part.path.read_bytes(), len(synced)) == (b"a\nb\n", 1)
    part.close()
    assert len(synced) == 2


def test_a_disk_that_takes_half_a_line_ends_the_run_and_keeps_the_rows_before(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, calls = os.write, iter(range(100))
    monkeypatch.setattr(os, "write", lambda file, data: write(file, data if next(calls) < 2 else data[:20]))
    with pytest.raises(InputError, match=r"No space left on device; what is in the store is kept: .* --resume"):
        scored(out)
    monkeypatch.undo()
    assert len(stored_scores(out.parent / "store").images) == 2
    assert len(scored(out).images) == 6


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda store: store.touch(), "no rows of scores in"),
        (lambda store: (store / "x").mkdir(parents=True), "no rows of scores in .*; make some with score --store"),
        (lambda store: None, "no rows of scores in"),
    ],
)
def test_what_is_no_store_is_refused(tmp_path: Path, make: Callable[[Path], None], message: str) -> None:
    make(tmp_path / "store")
    with pytest.raises(InputError, match=message):
        stored_scores(tmp_path / "store")


def test_a_file_is_no_place_for_a_store(out: Path) -> None:
    (out.parent / "store").touch()
    with pytest.raises(InputError, match="it is a file; give a folder for --store"):
        scored(out)


def test_settings_that_are_missing_are_named(out: Path) -> None:
    scored(out)
    next((out.parent / "store").glob("settings-*.json")).unlink()
    with pytest.raises(InputError, match=r"settings-\w{16}.json', the settings of the rows: No such file.*copy whole"):
        stored_scores(out.parent / "store")


def test_resume_without_a_store_is_a_mistake(out: Path) -> None:
    with pytest.raises(InputError, match="resume goes on with what a store has; say which"):
        score_images([out], resume=True)


def _score(out: Path, told: Connection) -> None:
    """Runs in a process that is killed: says after each row how many there are."""
    score_images(
        [out], metrics=METRICS, store=out.parent / "store", resume=True, progress=lambda done, _: told.send(done)
    )


@pytest.mark.skipif(sys.platform == "win32", reason="no fork, without which each start takes seconds")
def test_kills_at_random_moments_lose_no_row_and_double_none(out: Path, save: Save) -> None:
    for number in range(5, 40):
        save(f"out/{number}.png", noise(number, 48))
    (out / "bad.png").unlink()
    chance = random.Random(0)
    for _ in range(3):
        ours, theirs = multiprocessing.Pipe(duplex=False)
        process = multiprocessing.get_context("fork").Process(target=_score, args=(out, theirs))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside threads, from Python 3.12 on
            process.start()
        theirs.close()
        time.sleep(chance.uniform(0, 0.1))
        process.kill()
        process.join()
        said = 0
        while ours.poll():
            try:
                said = ours.recv()
            except EOFError:
                break
        ours.close()
        kept = names(lines(out.parent / "store"))
        assert len(kept) >= said
        assert len(kept) == len(set(kept))
    assert scored(out).to_dict() == score_images([out], metrics=METRICS).to_dict()
    assert len(lines(out.parent / "store")) == 40


def test_a_report_of_many_rows_takes_bytes_and_not_rows(tmp_path: Path) -> None:
    store = Store(tmp_path / "store", Settings(("axis_excess",), None, 100))
    image = ImageScore("", {"axis_excess": 0.5}, None)
    for number in range(400):
        store.append(replace(image, path=f"{number:06}.png", scores={"axis_excess": number / 400}))
    store.close()
    stored_scores(tmp_path / "store")  # fills caches
    tracemalloc.start()
    try:
        report = stored_scores(tmp_path / "store").worst_first("axis_excess")
        gc.collect()
        kept = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert kept < 400 * 64  # a row takes more than ten times that
    assert [image.path for image in report.images[:2]] == ["000399.png", "000398.png"]
    assert report.images[-1].path == "000000.png"
    assert report.summary["axis_excess"]["median"] == pytest.approx(399 / 800)
