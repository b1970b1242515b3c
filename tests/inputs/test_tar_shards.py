"""Images in tar shards, as webdataset lays them down: found without being read, and nothing written to the disk."""

from __future__ import annotations

import gzip
import hashlib
import io
import pickle
import tarfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from pictures import photo

from artifactlab.errors import InputError
from artifactlab.inputs import find_sources
from artifactlab.inputs.images import MAX_PIXELS
from artifactlab.inputs.sources import Selection, Source, tar_shards

PNG = [bytes(cv2.imencode(".png", photo(seed))[1]) for seed in range(3)]


def shard(path: Path, members: dict[str, bytes | tarfile.TarInfo], form: int = tarfile.PAX_FORMAT) -> str:
    with tarfile.open(path, "w:gz" if path.name.endswith("gz") else "w", format=form) as archive:
        for name, content in members.items():
            if isinstance(content, tarfile.TarInfo):
                archive.addfile(content)
            else:
                info = tarfile.TarInfo(name)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return str(path)


def link(name: str, kind: bytes, to: str = "/etc/passwd") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, to
    return info


def sources(path: str, **selection: str) -> list[Source]:
    return [entry.source for entry in find_sources([path], Selection(**selection))]  # type: ignore[arg-type]


def same(source: Source, data: bytes) -> bool:
    expected = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    return np.array_equal(source.open(MAX_PIXELS).values, expected)


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz", "a.tgz", "named_otherwise"])
@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_members_are_read_in_any_order_whatever_the_format(tmp_path: Path, name: str, form: int) -> None:
    path = shard(tmp_path / name, {"0.txt": b"a cat", "x/0.png": PNG[0], "x/1.png": PNG[1], "2.PNG": PNG[2]}, form)
    found = sources(path)
    assert [source.name for source in found] == [f"{path}/x/0.png", f"{path}/x/1.png", f"{path}/2.PNG"]
    assert [(source.relative, source.stem) for source in found] == [("x/0", "0"), ("x/1", "1"), ("2", "2")]
    for index in (2, 0, 1):
        assert same(found[index], PNG[index])
        assert found[index].digest() == hashlib.sha256(PNG[index]).hexdigest()


def test_a_folder_and_a_pattern_without_images_stand_for_those_in_its_shards(tmp_path: Path) -> None:
    for number in range(2):
        shard(tmp_path / f"{number}.tar", {"a.png": PNG[number]})
    assert len(sources(str(tmp_path))) == len(sources(str(tmp_path / "*.tar"))) == 2
    (tmp_path / "preview.png").write_bytes(PNG[2])
    assert [source.name for source in sources(str(tmp_path))] == [str(tmp_path / "preview.png")]


def test_a_column_is_an_ending_and_samples_hold_their_references(tmp_path: Path) -> None:
    path = shard(
        tmp_path / "a.tar",
        {"1.target.png": PNG[0], "1.out.png": PNG[1], "2.out.png": PNG[2], "1.json": b"{}"},
    )
    assert [source.stem for source in sources(path, column="out.png")] == ["1", "2"]
    first, second = find_sources([path], Selection(column="out.png", reference_column="target.png"))
    assert same(first.source, PNG[1])
    assert first.reference is not None
    assert same(first.reference, PNG[0])
    assert second.reference is not None
    with pytest.raises(InputError, match=r"2\.out\.png.* has no member that ends in \.target\.png"):
        second.reference.open(MAX_PIXELS)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_a_member_that_is_no_file_is_a_row_and_the_others_are_there(tmp_path: Path, kind: bytes) -> None:
    bad, good = sources(shard(tmp_path / "a.tar", {"a.png": link("a.png", kind), "../b.png": PNG[0]}))
    for read in (lambda: bad.open(MAX_PIXELS), bad.digest):
        with pytest.raises(InputError, match="a link, a device or sparse"):
            read()
    assert same(good, PNG[0])
    assert [path.name for path in tmp_path.iterdir()] == ["a.tar"]
    assert not (tmp_path.parent / "b.png").exists()


def test_a_shard_that_is_cut_off_or_damaged_gives_what_is_whole_of_it(tmp_path: Path) -> None:
    path = Path(shard(tmp_path / "a.tar", {f"{index}.png": PNG[index] for index in range(3)}))
    whole = path.read_bytes()
    second = sources(str(path))[1].offset - tarfile.BLOCKSIZE  # type: ignore[attr-defined]
    for data in (whole[: second + 600], whole[:second] + b"#" * 512 + whole[second + 512 :]):
        path.write_bytes(data)
        found = sources(str(path))
        assert same(found[0], PNG[0])
        with pytest.raises(InputError, match="cannot read image"):
            found[-1].open(MAX_PIXELS)


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz"])
def test_garbled_bytes_are_rows_and_nothing_else(tmp_path: Path, name: str) -> None:
    path = Path(shard(tmp_path / name, {f"{index}.png": PNG[index] for index in range(3)}))
    whole, rows = path.read_bytes(), 0
    for seed in range(20):
        data = bytearray(whole)
        for place in np.random.default_rng(seed).integers(4, len(data), 8):
            data[place] ^= 0x5A
        path.write_bytes(data)
        for source in sources(str(path)):
            try:
                source.open(MAX_PIXELS)
            except InputError:
                rows += 1
    assert rows > 10


def test_what_was_written_anew_meanwhile_is_noticed(tmp_path: Path) -> None:
    path = shard(tmp_path / "a.tar", {"0.png": PNG[0]})
    (source,) = sources(path)
    assert same(source, PNG[0])
    shard(tmp_path / "a.tar", {})
    Path(path).write_bytes(b"")
    with pytest.raises(InputError, match="cut off, or was written anew"):
        source.open(MAX_PIXELS)


def test_a_packed_shard_that_grows_without_end_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = shard(tmp_path / "a.tar.gz", {"0.png": PNG[0], "big.bin": bytes(1 << 22), "1.png": PNG[1]})
    monkeypatch.setattr(tar_shards, "MAX_UNPACKED", 1 << 20)
    first, rest = sources(path)
    assert same(first, PNG[0])
    with pytest.raises(InputError, match="unpacks to more than"):
        rest.open(MAX_PIXELS)


def test_names_of_gigabytes_are_not_read(tmp_path: Path) -> None:
    header = tarfile.TarInfo("././@PaxHeader")
    header.type, header.size = tarfile.XHDTYPE, 7 << 30
    data = header.tobuf(tarfile.USTAR_FORMAT) + bytes(4 << 20)
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress(data))
    (only,) = sources(str(tmp_path / "a.tar.gz"))
    with pytest.raises(InputError, match=r"a header of 7\d+ bytes; the archive is damaged, or made to do harm"):
        only.open(MAX_PIXELS)


def test_a_member_larger_than_any_image_is_refused_before_it_is_read(tmp_path: Path) -> None:
    info = tarfile.TarInfo("a.png")
    info.size = 1 << 40
    (tmp_path / "a.tar").write_bytes(info.tobuf() + PNG[0])
    found = sources(str(tmp_path / "a.tar"))
    with pytest.raises(InputError, match="bytes, and no more than"):
        found[0].open(MAX_PIXELS)


def test_a_source_is_small_and_travels_to_other_processes(tmp_path: Path) -> None:
    found = sources(shard(tmp_path / "a.tar", {"0.png": PNG[0]}))[0]
    assert pickle.loads(pickle.dumps(found)) == found
    assert len(pickle.dumps(found)) < 500


def test_a_shard_without_images_says_what_was_expected(tmp_path: Path) -> None:
    path = shard(tmp_path / "a.tar", {"0.txt": b""})
    for column, expected in ((None, r"\.png, \.jpg"), ("out.png", r"ending in \.out\.png")):
        (only,) = [entry.source for entry in find_sources([path], Selection(column=column))]
        with pytest.raises(InputError, match=f"no image is in it; .*{expected}"):
            only.open(MAX_PIXELS)
