"""Named things of ours and of installed packages: complete or refused, and always with the names of who is to blame."""

from __future__ import annotations

from pathlib import Path

import pytest

from artifactlab.errors import RegistryError
from artifactlab.registry import Registry, announce


def installed(folder: Path, group: str, package: str, **entries: str) -> None:
    """What pip leaves of a package of one file."""
    (folder / f"{package}.py").write_text("ONE, TWO, WORD = 1, 2, 'word'\n")
    information = folder / f"{package}-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    lines = [f"{name} = {place}" for name, place in entries.items()]
    (information / "entry_points.txt").write_text("\n".join([f"[{group}]", *lines, ""]))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_ours_come_first_and_those_of_packages_by_name(folder: Path) -> None:
    installed(folder, "test.order", "plug_order", b="plug_order:TWO", a="plug_order:ONE")
    numbers = Registry[int]("test.order", int)
    numbers.register("z", 26)
    assert dict(numbers) == {"z": 26, "a": 1, "b": 2}
    assert list(numbers) == ["z", "a", "b"]


def test_a_name_is_given_once_and_both_owners_are_named(folder: Path) -> None:
    installed(folder, "test.twice", "plug_twice", size="plug_twice:ONE")
    sizes = Registry[int]("test.twice", int)
    sizes.register("size", 3)
    with pytest.raises(RegistryError, match="'size' comes from artifactlab and from plug_twice"):
        sizes["size"]
    with pytest.raises(RegistryError, match="'size' comes from artifactlab and from else"):
        sizes.register("size", 4, owner="else")


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("plug_bad:WORD", "'wrong' of plug_bad is a str, expected a int"),
        ("plug_bad:MISSING", "'wrong' of plug_bad cannot be imported from plug_bad:MISSING: AttributeError"),
        ("no_such_file:X", "'wrong' of plug_bad cannot be imported from no_such_file:X: ModuleNotFoundError"),
    ],
)
def test_a_package_that_cannot_be_used_is_named_each_time_and_adds_nothing(
    entry: str, message: str, folder: Path
) -> None:
    installed(folder, f"test.{entry}", "plug_bad", right="plug_bad:ONE", wrong=entry)
    numbers = Registry[int](f"test.{entry}", int)
    for _ in range(2):  # what came before the bad one is not kept, which the second look would show
        with pytest.raises(RegistryError, match=message):
            len(numbers)


def test_what_is_announced_is_imported_when_it_is_used() -> None:
    announce("test.announced", pi="math:pi")
    assert Registry[float]("test.announced", float)["pi"] == pytest.approx(3.14159, abs=1e-5)
