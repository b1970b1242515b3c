"""Images scored against what they should look like."""

from __future__ import annotations

import tarfile
from pathlib import Path

import cv2
import pytest
from pictures import Save, only, photo, stairs

from artifactlab.errors import InputError
from artifactlab.scoring import score_images


def test_image_identical_to_its_reference_does_not_diverge(save: Save) -> None:
    path = save("a.png", photo())
    assert only(score_images([path], reference=path.parent))["direction_divergence"] == 0


def test_stairs_diverge_from_a_smooth_reference(save: Save) -> None:
    jagged = save("out/a.png", stairs())
    smooth = save("ref/a.png", cv2.GaussianBlur(stairs(1), (0, 0), 1))
    assert (only(score_images([jagged], reference=smooth.parent))["direction_divergence"] or 0) > 0.3


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
    with pytest.raises(InputError, match=r"no image .* for the references in .*: extra$"):
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


def test_like_trees_are_paired_by_relative_path_and_others_by_stem(save: Save, tmp_path: Path) -> None:
    for seed, name in enumerate(("a/0", "b/0", "b/1")):
        save(f"out/{name}.png", photo(seed))
        save(f"ref/{name}.tif", photo(seed))
    report = score_images([tmp_path / "out"], tmp_path / "ref", ["direction_divergence"], recursive=True)
    assert [row.scores["direction_divergence"] for row in report.images] == [0, 0, 0]
    save("flat/0.png", photo(1))
    save("flat/1.png", photo(2))
    report = score_images([tmp_path / "out" / "b"], tmp_path / "flat", ["direction_divergence"])
    assert [row.scores["direction_divergence"] for row in report.images] == [0, 0]


def test_of_trees_that_are_not_quite_alike_what_did_not_pair_is_named_by_its_path(save: Save, tmp_path: Path) -> None:
    for name in ("out/a/0", "out/b/0", "out/b/1", "ref/a/0", "ref/b/0"):
        save(f"{name}.png", photo())
    with pytest.raises(InputError, match=r"no reference in .*ref' for the images: b/1$"):
        score_images([tmp_path / "out"], tmp_path / "ref", recursive=True)
    for name in ("ref/b/1", "ref/b/2"):
        save(f"{name}.png", photo())
    with pytest.raises(InputError, match=r"no image .* for the references in .*: b/2$"):
        score_images([tmp_path / "out"], tmp_path / "ref", recursive=True)


def test_references_may_be_another_column_of_the_table(save: Save, tmp_path: Path) -> None:
    for seed in range(2):
        save(f"{seed}.png", photo(seed))
    (tmp_path / "all.csv").write_text("out,target\n0.png,0.png\n1.png,0.png\n")
    report = score_images([tmp_path / "all.csv"], column="out", reference_column="target")
    same, other = (row.scores["direction_divergence"] or 0 for row in report.images)
    assert same == 0 < other
    with pytest.raises(InputError, match="a reference and a column of references contradict each other"):
        score_images([tmp_path / "all.csv"], tmp_path, reference_column="target")
    with pytest.raises(InputError, match=r"no column 'target' for the images: .*0\.png"):
        score_images([tmp_path / "0.png"], reference_column="target")


def test_references_may_lie_in_a_shard(save: Save, tmp_path: Path) -> None:
    path = save("out/0.png", photo())
    with tarfile.open(tmp_path / "ref.tar", "w") as archive:
        archive.add(path, "0.png")
    (row,) = score_images([path], tmp_path / "ref.tar", ["direction_divergence"]).images
    assert row.scores["direction_divergence"] == 0


def test_a_shard_that_is_damaged_is_a_row_beside_references(save: Save, tmp_path: Path) -> None:
    path = save("out/0.png", photo())
    (tmp_path / "bad.tar").write_bytes(b"#" * 2000)
    row, bad = score_images([path, tmp_path / "bad.tar"], path.parent, ["direction_divergence"]).images
    assert row.scores["direction_divergence"] == 0
    assert "bad.tar" in (bad.error or "")
    with pytest.raises(InputError, match=r"cannot look into the references' folders: .*bad\.tar"):
        score_images([path], tmp_path / "bad.tar")


def test_of_a_subset_and_all_references_what_both_have_is_scored_where_that_is_asked_for(save: Save) -> None:
    (out,) = {save(f"out/{name}.png", photo()).parent for name in "ab"}
    (ref,) = {save(f"ref/{name}.png", photo()).parent for name in "bcd"}
    with pytest.raises(InputError, match=r"no reference in .* for the images: a$"):
        score_images([out], reference=ref)
    report = score_images([out], ref, ["direction_divergence"], common=True)
    assert [Path(row.path).name for row in report.images] == ["b.png"]
    with pytest.raises(InputError, match="common is for images with a reference"):
        score_images([out], common=True)
    with pytest.raises(InputError, match=r"no reference in .* for the images: b$"):
        score_images([out / "b.png"], ref / "c.png", common=True)
