"""What `find_images` promises about files, folders and patterns."""

from __future__ import annotations

import os
from collections.abc import Iterator
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


@pytest.fixture
def locked(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder `sub`, which may not be looked into; a root user's rights would not let a mode say so."""
    iterdir = Path.iterdir

    def refuse(path: Path) -> Iterator[Path]:
        if path.name == "sub":
            raise PermissionError(13, "Permission denied")
        return iterdir(path)

    monkeypatch.setattr(Path, "iterdir", refuse)
    return Path("sub")


def test_folder_that_may_not_be_looked_into_is_not_left_out(locked: Path) -> None:
    for given, recursive in (([locked], False), (["."], True), (["**/*.tif"], False), (["*/*.tif"], False)):
        assert locked in find_images(given, recursive=recursive)
    assert locked not in find_images(["."])
    assert locked not in find_images(["*.png"])


def test_link_that_leads_nowhere_is_not_left_out(folder: Path) -> None:
    for name in ("gone.png", "loop.png", "gone folder", "gone.txt"):
        Path(name).symlink_to("loop.png" if name == "loop.png" else "nowhere")
    assert {"gone.png", "loop.png"} <= set(names(find_images(["."])))
    assert {"gone.png", "loop.png"} <= set(names(find_images(["*"])))
    assert names(find_images(["gone.png"])) == ["gone.png"]
    assert "gone folder" not in names(find_images(["."]))
    assert "gone folder" in names(find_images(["."], recursive=True))
    assert "gone.txt" not in names(find_images(["."], recursive=True))


def test_links_to_folders_are_followed_and_never_in_circles(folder: Path, tmp_path: Path) -> None:
    (folder / "sub" / "up").symlink_to("..")
    other = tmp_path / "empty" / "images"
    other.mkdir()
    (other / "d.png").touch()
    Path("sub/linked").symlink_to(other)
    assert [path.name for path in find_images(["sub"], recursive=True)].count("d.png") == 1


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
