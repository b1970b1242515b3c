"""Pages find the images that were scored, wherever they lay, and what each should look like."""

from __future__ import annotations

import tarfile
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from markup import Page
from pictures import Save, photo

from artifactlab.inputs.sources.source import Source
from artifactlab.report.originals import opened, opened_by_name, originals_of
from artifactlab.report.score_page import score_page
from artifactlab.scoring import ScoreReport, score_images, stored_scores

METRICS = ["axis_excess"]
PHOTOS = [photo(seed) for seed in range(4)]


def number_of(source: Source | None) -> int | None:
    """Which of the photos an image is."""
    picture = opened(source)
    return None if picture is None else next(n for n, image in enumerate(PHOTOS) if (picture.values == image).all())


def shown(report: ScoreReport) -> list[tuple[int | None, int | None]]:
    """Which photos a page has of each row and of its reference."""
    original = originals_of(report)
    return [tuple(map(number_of, original(image.path))) for image in report.images]


def packed(folder: Path, *images: np.ndarray) -> Path:
    with tarfile.open(folder / "shard.tar", "w") as archive:
        for number, image in enumerate(images):
            cv2.imwrite(str(folder / "member.png"), image)
            archive.add(folder / "member.png", f"set/{number}.png")
    return folder / "shard.tar"


def test_members_of_a_shard_are_shown(tmp_path: Path) -> None:
    report = score_images([packed(tmp_path, PHOTOS[2], PHOTOS[0])], metrics=METRICS)
    assert shown(report) == [(2, None), (0, None)]
    assert len(Page(score_page(report)).having("article")) == 2
    assert Page(score_page(report)).having("img")


def test_of_a_table_of_two_columns_each_is_shown_as_what_it_is(tmp_path: Path) -> None:
    png = [bytes(cv2.imencode(".png", image)[1]) for image in PHOTOS]
    pq.write_table(pa.table({"out": png[:2], "wanted": png[2:]}), tmp_path / "t.parquet")
    report = score_images([tmp_path / "t.parquet"], column="out", reference_column="wanted", metrics=METRICS)
    assert shown(report) == [(0, 2), (1, 3)]


def test_references_of_like_trees_are_told_apart_where_stems_are_the_same(save: Save, tmp_path: Path) -> None:
    for number, name in enumerate(("out/a/0.png", "out/b/0.png", "ref/a/0.png", "ref/b/0.png")):
        save(name, PHOTOS[number])
    options = {"metrics": METRICS, "recursive": True, "store": tmp_path / "store"}
    report = score_images([tmp_path / "out"], tmp_path / "ref", **options)
    assert shown(report) == shown(stored_scores(tmp_path / "store")) == [(0, 2), (1, 3)]


def test_rows_of_a_store_are_found_by_their_names(save: Save, tmp_path: Path) -> None:
    cv2.imwritemulti(str(tmp_path / "stack.tif"), [PHOTOS[1], PHOTOS[3]])
    places = [packed(tmp_path, PHOTOS[2]), tmp_path / "stack.tif", save("a#b.png", PHOTOS[0]), save("c.png", PHOTOS[1])]
    score_images(places, metrics=METRICS, store=tmp_path / "store")
    places[-1].unlink()
    report = stored_scores(tmp_path / "store")
    found = dict(zip((Path(image.path).name for image in report.images), shown(report), strict=True))
    assert {name: pair[0] for name, pair in found.items()} == {
        **{"0.png": 2, "stack.tif#0": 1, "stack.tif#1": 3, "a#b.png": 0, "c.png": None},
    }


@pytest.mark.parametrize("name", ["", "#", "a#0", "no/such/a.png", "s3://bucket/a.png", "zip://a.png::gone.zip", "\0"])
def test_what_is_not_there_is_nothing_and_no_error(name: str) -> None:
    assert opened_by_name(name) is None
