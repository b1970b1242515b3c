"""What is promised about files that are written: whole or not at all, and nobody else's."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from artifactlab.errors import InputError
from artifactlab.files import followed, refuse_unwritable, write_files, write_folder


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_a_new_file_follows_the_umask_and_an_old_one_keeps_its_permissions(
    tmp_path: Path, umask: int, mode: int
) -> None:
    (tmp_path / "old").touch()
    (tmp_path / "old").chmod(0o640)
    before = os.umask(umask)
    try:
        write_files({tmp_path / "new": b"1", tmp_path / "old": b"2"})
    finally:
        os.umask(before)
    assert [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("new", "old")] == [mode, 0o640]


def test_a_link_that_was_typed_is_followed_and_stays_a_link(tmp_path: Path) -> None:
    for target in ("there", "not_yet"):
        (tmp_path / "link").symlink_to(target)
        refuse_unwritable(followed(tmp_path / "link"))
        write_files({followed(tmp_path / "link"): b"data"})
        assert os.readlink(tmp_path / "link") == target
        assert (tmp_path / target).read_bytes() == b"data"
        (tmp_path / "link").unlink()


def test_a_link_where_nobody_typed_it_gives_way_and_its_target_stays(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "file").symlink_to("victim")
    write_files({tmp_path / "file": b"data"})
    assert (tmp_path / "victim").read_text() == "precious"
    assert not (tmp_path / "file").is_symlink()


def test_drafts_have_names_nobody_can_guess_and_are_never_somebody_elses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    real = os.replace
    monkeypatch.setattr("os.replace", lambda draft, target: (seen.append(str(draft)), real(draft, target)))
    for _ in range(2):
        write_files({tmp_path / "file": b"data"})
    assert seen[0] != seen[1]
    assert {os.path.dirname(draft) for draft in seen} == {str(tmp_path)}
    monkeypatch.setattr("secrets.token_hex", lambda _: "guessed")
    (tmp_path / "victim").write_text("precious")
    (tmp_path / ".artifactlab-guessed.part").symlink_to("victim")
    with pytest.raises(InputError, match="cannot write"):
        write_files({tmp_path / "file": b"new"})
    assert (tmp_path / "victim").read_text() == "precious"
    assert (tmp_path / "file").read_bytes() == b"data"


def test_of_several_files_all_are_written_or_none(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")
    (tmp_path / "b").mkdir()
    with pytest.raises(InputError, match="b'"):
        write_files({tmp_path / "a": b"new", tmp_path / "b": b"new"})
    assert (tmp_path / "a").read_text() == "old"
    assert names(tmp_path) == ["a", "b"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_devices_are_written_into_and_not_replaced(tmp_path: Path) -> None:
    write_files({Path(os.devnull): b"data"})
    assert not Path(os.devnull).is_file()
    with pytest.raises(InputError, match="No space left on device"):
        write_files({Path("/dev/full"): b"data"})


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (".", "a folder"),
        ("no/file", "no folder"),
        ("protected/in.txt", "Permission denied"),
        ("loop", "symbolic links"),
        ("n" * 300, "name too long"),
        ("nul\0", "null"),
    ],
)
def test_what_cannot_be_written_is_refused_before_the_work_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str, message: str
) -> None:
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "protected").mkdir()
    (tmp_path / "protected" / "in.txt").write_text("old")
    real = os.open

    def checked(path: str | Path, flags: int, *rest: int) -> int:
        """As for a user that may not do everything."""
        if flags & os.O_WRONLY and "protected" in str(path):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, flags, *rest)

    monkeypatch.setattr("os.open", checked)
    before = names(tmp_path)
    with pytest.raises(InputError, match=message):
        refuse_unwritable(followed(tmp_path / target))
    assert names(tmp_path) == before
    assert (tmp_path / "protected" / "in.txt").read_text() == "old"


def test_a_folder_in_which_nothing_can_be_made_is_refused_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_only(path: Path, *_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system", str(path))

    monkeypatch.setattr(Path, "open", read_only)
    with pytest.raises(InputError, match=r"cannot write into .*: Read-only file system; give another path"):
        refuse_unwritable(tmp_path / "file")


@pytest.mark.skipif(not Path("/dev/fd").exists(), reason="no files by their numbers")
def test_a_log_that_stdout_was_led_to_goes_on(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"earlier\n")
    with log.open("ab") as stream:
        target = followed(Path(f"/dev/fd/{stream.fileno()}"))
        refuse_unwritable(target)
        write_files({target: b"later\n"})
    assert log.read_bytes() == b"earlier\nlater\n"


def test_a_folder_is_written_whole_where_there_is_none_or_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for name in ("new", "empty"):
        write_folder(tmp_path / name, {"a": b"1", "b": b"2"})
        assert {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} == {"a": b"1", "b": b"2"}


def test_a_folder_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="give another path"):
        write_folder(tmp_path / "new", {"a": b"1", "no/such": b"2"})
    assert names(tmp_path) == []


def test_a_folder_with_something_in_it_stays(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "precious").touch()
    with pytest.raises(InputError, match="new or empty"):
        write_folder(tmp_path / "full", {"a": b"1"})
    assert names(tmp_path / "full") == ["precious"]
