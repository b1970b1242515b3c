"""Images at URLs: listed without being read, through fsspec."""

from __future__ import annotations

import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import fsspec
import numpy as np
import pytest
from pictures import Save, photo

from artifactlab.errors import InputError
from artifactlab.inputs import find_sources
from artifactlab.inputs.images import MAX_PIXELS
from artifactlab.inputs.sources import Selection, Source
from artifactlab.inputs.sources.places import is_url, read_place

PNG = [bytes(cv2.imencode(".png", photo(seed))[1]) for seed in range(3)]


@pytest.fixture
def store() -> Iterator[str]:
    files = fsspec.filesystem("memory")
    for name, data in (("a.png", PNG[0]), ("sub/b.PNG", PNG[1]), ("notes.txt", b""), (".hidden.png", b"")):
        files.pipe(f"/bucket/{name}", data)
    yield "memory://bucket"
    files.rm("/bucket", recursive=True)


def sources(url: str, recursive: bool = False) -> list[Source]:
    return [entry.source for entry in find_sources([url], Selection(recursive))]


def test_a_folder_a_pattern_and_a_file_at_a_url_are_what_they_are_on_the_disk(store: str) -> None:
    assert [source.name for source in sources(store)] == ["memory:///bucket/a.png"]
    found = sources(store, recursive=True)
    assert [(source.relative, source.stem) for source in found] == [("a", "a"), ("sub/b", "b")]
    assert [source.stem for source in sources(f"{store}/**/*.PNG")] == ["b"]
    (named,) = sources(f"{store}/sub/b.PNG")
    assert np.array_equal(named.open(MAX_PIXELS).values, photo(1))
    assert named.digest() == found[1].digest() != found[0].digest()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("memory://bucket/gone.png", "no such file or folder: 'memory://bucket/gone.png'"),
        ("memory://bucket/sub/*.tif", "no image in"),
        ("nothing://bucket/a.png", "Protocol not known: nothing"),
        ("zip://a.png::memory://bucket/a.png", "cannot read 'zip"),
    ],
)
def test_what_is_not_there_is_said_with_its_url(store: str, url: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        sources(url)


def test_members_of_a_zip_are_read_where_they_are(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "all.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("set/0.png", PNG[0])
        archive.writestr("set/1.png", PNG[1])
        archive.writestr("bomb.png", bytes(1 << 20))
    where = f"::{tmp_path}/all.zip"
    for url in (f"zip://set{where}", f"zip://set/*.png{where}"):
        found = sources(url)
        assert [source.stem for source in found] == ["0", "1"]
        assert np.array_equal(found[1].open(MAX_PIXELS).values, photo(1))
    with pytest.raises(InputError, match="more than 1000 bytes"):
        read_place(f"zip://bomb.png{where}", 1000)
    assert [path.name for path in tmp_path.iterdir()] == ["all.zip"]


def test_shards_and_manifests_at_a_url_are_read_there(store: str, tmp_path: Path) -> None:
    files = fsspec.filesystem("memory")
    (tmp_path / "1.png").write_bytes(PNG[1])
    with tarfile.open(tmp_path / "0.tar", "w") as archive:
        archive.add(tmp_path / "1.png", "1.png")
    files.pipe("/bucket/shards/0.tar", (tmp_path / "0.tar").read_bytes())
    files.pipe("/bucket/all.csv", b"file\na.png\nsub/b.PNG\n/etc/a.png\n")
    for url in (f"{store}/shards", f"{store}/shards/0.tar"):
        (found,) = sources(url)
        assert found.name in ("memory:///bucket/shards/0.tar/1.png", f"{url}/1.png")
        assert np.array_equal(found.open(MAX_PIXELS).values, photo(1))
    first, second, local = sources(f"{store}/all.csv")
    assert np.array_equal(first.open(MAX_PIXELS).values, photo(0))
    assert np.array_equal(second.open(MAX_PIXELS).values, photo(1))
    with pytest.raises(InputError, match=r"a table at a URL may name files beside it, not '/etc/a\.png'"):
        local.open(MAX_PIXELS)


def test_a_path_that_exists_is_no_url(save: Save, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save("odd::name.png", photo())
    assert not is_url("odd::name.png")
    assert is_url("odd::other.png")
    assert not is_url("C:\\a.png")
    assert len(sources("odd::name.png")) == 1


def test_without_fsspec_or_what_it_needs_the_package_to_install_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(InputError, match=r"'s3://bucket/a\.png': it takes one more package: pip install s3fs"):
        sources("s3://bucket/a.png")
    monkeypatch.setitem(sys.modules, "smbprotocol", None)
    with pytest.raises(InputError, match=r"'smb://host/a\.png': SMB requires"):
        sources("smb://host/a.png")
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(InputError, match=r"fsspec, which is not installed: pip install 'artifactlab\[remote\]'"):
        sources("memory://bucket")
