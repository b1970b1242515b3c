"""What `find_images` promises about files, folders and patterns."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from artifactlab.errors import InputError
from artifactlab.inputs.image_files import SUFFIXES, find_images


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("b.png", "a.JPG", "notes.txt", ".hidden.png", "sub/c.tif", "empty/readme.md", "odd[1].png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(paths: list[Path]) -> list[str]:
    return [path.as_posix() for path in paths]


def test_folder_gives_its_images_sorted(folder: Path) -> None:
    assert names(find_images(["."])) == ["a.JPG", "b.png", "odd[1].png"]


def test_folders_inside_are_looked_into_on_request(folder: Path) -> None:
    assert names(find_images(["."], recursive=True)) == ["a.JPG", "b.png", "odd[1].png", "sub/c.tif"]


def test_named_file_is_taken_whatever_it_is_called(folder: Path) -> None:
    assert find_images(["notes.txt"]) == [Path("notes.txt")]


def test_pattern_gives_images_sorted(folder: Path) -> None:
    assert names(find_images(["*"])) == ["a.JPG", "b.png", "odd[1].png"]
    assert names(find_images(["**/*.tif"])) == ["sub/c.tif"]


def test_existing_path_is_never_a_pattern(folder: Path) -> None:
    assert names(find_images(["odd[1].png"])) == ["odd[1].png"]


def test_arguments_keep_their_order_and_every_file_comes_once(folder: Path) -> None:
    found = find_images(["sub", "b.png", folder, "*.png", os.path.join("sub", "..", "b.png")])
    assert [path.name for path in found] == ["c.tif", "b.png", "a.JPG", "odd[1].png"]


def test_one_path_need_not_be_wrapped_in_a_list(folder: Path) -> None:
    assert find_images("b.png") == find_images([Path("b.png")])


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_suffix_is_found_in_either_case(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"a{suffix}").touch()
    (tmp_path / f"b{suffix.upper()}").touch()
    assert len(find_images([tmp_path])) == 2


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("nowhere", "no such file or folder: 'nowhere'"),
        ("empty", "no image in folder 'empty'.*--recursive"),
        ("*.bmp", r"pattern '\*\.bmp' matches no image"),
        ("*.txt", r"pattern '\*\.txt' matches no image"),
    ],
)
def test_argument_without_an_image_is_named_in_the_error(folder: Path, path: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        find_images(["b.png", path])


def test_no_paths_at_all_is_an_error() -> None:
    with pytest.raises(InputError, match="no images were given"):
        find_images([])
