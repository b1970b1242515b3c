"""Scores do not depend on where the images lie."""

from __future__ import annotations

import tarfile
from pathlib import Path

import cv2
import pytest
from pictures import Save, photo, stairs

from artifactlab.errors import InputError
from artifactlab.scoring import score_images


@pytest.fixture
def shard(save: Save, tmp_path: Path) -> Path:
    with tarfile.open(tmp_path / "shard.tar", "w") as archive:
        for name, image in (("0.png", stairs()), ("1.png", photo())):
            archive.add(save(f"files/{name}", image), name)
        escape = tarfile.TarInfo("2\x1b[2J.png")
        escape.type, escape.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(escape)
    return tmp_path / "shard.tar"


def test_an_image_in_a_shard_scores_as_the_file_does_and_what_is_none_is_a_row(shard: Path) -> None:
    files = score_images([shard.parent / "files"]).images
    first, second, link = score_images([shard]).images
    assert [first.scores, second.scores] == [row.scores for row in files]
    assert first.path == f"{shard}/0.png"
    assert "a link, a device or sparse" in (link.error or "")
    assert "\x1b" not in (link.error or "")


def test_pages_of_a_stack_are_rows_and_every_nth_on_request(tmp_path: Path) -> None:
    cv2.imwritemulti(str(tmp_path / "a.tif"), [stairs(), photo(), photo(1)])
    rows = score_images([tmp_path / "a.tif"], metrics=["replication_factor"]).images
    assert [(row.path.rpartition("#")[2], row.scores["replication_factor"]) for row in rows] == [
        ("0", 4),
        ("1", 1),
        ("2", 1),
    ]
    assert len(score_images([tmp_path / "a.tif"], metrics=["replication_factor"], every=2).images) == 2
    with pytest.raises(InputError, match="every must be at least 1, got 0"):
        score_images([tmp_path / "a.tif"], every=0)
