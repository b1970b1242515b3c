"""Frames of videos, pages of TIFFs, slices of volumes: each an image, found without being decoded."""

from __future__ import annotations

import gzip
import pickle
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import nibabel
import numpy as np
import pytest
from pictures import Save, photo

from artifactlab.errors import InputError
from artifactlab.inputs import find_sources, load_inputs
from artifactlab.inputs.images import MAX_PIXELS
from artifactlab.inputs.sources import Selection, Source, frames

LEVELS = 30
"""frames or pages of one level each, four apart, which any codec keeps apart"""


@pytest.fixture(autouse=True)
def _close() -> Iterator[None]:
    yield
    frames._VIDEO.close()


def video(path: Path, codec: str = "mpeg4", rate: int = 10, **options: str) -> str:
    with av.open(str(path), "w") as file:
        stream = file.add_stream(codec, rate=Fraction(rate), options=options)
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
        for level in range(LEVELS):
            frame = np.full((32, 48, 3), 60 + 4 * level, np.uint8)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        file.mux(stream.encode())
    return str(path)


def sources(path: str | Path, every: int | None = None) -> list[Source]:
    return [entry.source for entry in find_sources([str(path)], Selection(every=every))]


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("a.mp4", "mpeg4", {"g": "5", "bf": "2"}),
        ("a.mp4", "libx264", {"g": "12", "bf": "3"}),
        ("a.mkv", "libx264", {"g": "250", "bf": "3"}),
        ("a.avi", "mpeg4", {"g": "12"}),
        ("a.webm", "libvpx-vp9", {"g": "12"}),
        ("a.mov", "mjpeg", {}),
    ],
)
def test_each_frame_is_found_from_wherever_the_video_stands(
    tmp_path: Path, name: str, codec: str, options: dict[str, str]
) -> None:
    if codec == "mjpeg":
        options = {**options, "strict": "unofficial"}
    path = video(tmp_path / name, codec, **options)
    found = pickle.loads(pickle.dumps(sources(path, every=1)))
    assert [source.name for source in found] == [f"{path}#{number}" for number in range(LEVELS)]
    with av.open(path) as file:
        expected = [frame.to_ndarray(format="bgr24") for frame in file.decode(video=0)]
    for number in (0, 1, 5, 29, 28, 3, 3, 17):
        assert np.array_equal(found[number].open(MAX_PIXELS).values, expected[number])


def test_a_frame_per_second_is_taken_and_every_nth_on_request(tmp_path: Path) -> None:
    path = video(tmp_path / "clip.mp4")
    assert [source.stem for source in sources(path)] == ["clip#0", "clip#10", "clip#20"]
    assert [source.stem for source in sources(path, every=12)] == ["clip#0", "clip#12", "clip#24"]


def test_clips_of_one_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        video(tmp_path / folder / "clip.mp4", rate=LEVELS)
    found = find_sources([tmp_path], Selection(recursive=True))
    assert [entry.source.relative for entry in found] == ["a/clip#0", "b/clip#0"]


def test_digests_tell_frames_and_videos_apart(tmp_path: Path, save: Save) -> None:
    first, again = (sources(video(tmp_path / name), 1) for name in ("a.mp4", "b.mp4"))
    other = sources(video(tmp_path / "c.mp4", g="3"), 1)
    assert first[3].digest() == again[3].digest()
    assert len({first[3].digest(), first[4].digest(), other[3].digest()}) == 3
    stack(tmp_path / "a.tif", 2)
    volume(tmp_path / "a.nii", np.zeros((16, 16, 2), np.uint8))
    for name in ("a.tif", "a.nii"):
        assert len({source.digest() for source in sources(tmp_path / name)}) == 2


def test_frames_larger_than_is_read_are_rows(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="48x32 pixels, and 1000 are read"):
        sources(video(tmp_path / "a.mp4"))[0].open(1000)


@pytest.mark.parametrize("part", [100, 2000])
def test_a_video_that_is_cut_off_ends_in_a_row_that_says_so(tmp_path: Path, part: int) -> None:
    path = Path(video(tmp_path / "a.mp4"))
    with av.open(str(path)) as file, av.open(str(tmp_path / "b.mp4"), "w", options={"movflags": "faststart"}) as copy:
        stream = copy.add_stream_from_template(file.streams.video[0])
        for packet in file.demux(video=0):
            if packet.size:
                packet.stream = stream
                copy.mux(packet)
    path.write_bytes((tmp_path / "b.mp4").read_bytes()[:part])
    *whole, last = sources(path, every=1)
    assert len(whole) == 0 if part == 100 else 0 < len(whole) < LEVELS
    for source in whole[:-1]:  # the last one may be cut off
        source.open(MAX_PIXELS)
    with pytest.raises(InputError, match=r"cannot read image .*a\.mp4"):
        last.open(MAX_PIXELS)


def stack(path: Path, count: int, **options: int) -> str:
    assert cv2.imwritemulti(str(path), [photo(seed) for seed in range(count)])
    return str(path)


@pytest.mark.parametrize("named", ["a.tif", "odd"])
def test_every_page_of_a_tiff_that_is_named_is_an_image(tmp_path: Path, named: str) -> None:
    path = Path(stack(tmp_path / "a.tif", 4)).rename(tmp_path / named)
    found = pickle.loads(pickle.dumps(sources(path)))
    assert [source.name for source in found] == [f"{path}#{page}" for page in range(4)]
    for page in (2, 0, 3, 1):
        picture = found[page].open(MAX_PIXELS)
        assert np.array_equal(picture.values, photo(page))
        assert picture.note is None
    assert [source.name for source in sources(path, every=3)] == [f"{path}#0", f"{path}#3"]


def test_a_tiff_of_one_page_is_a_file_and_of_a_folder_the_first_page_is_read_and_said_to_be(
    tmp_path: Path, save: Save
) -> None:
    assert sources(save("one.tif", photo()))[0].name == str(tmp_path / "one.tif")
    stack(tmp_path / "several.tif", 2)
    one, several = (source.open(MAX_PIXELS) for source in sources(tmp_path))
    assert one.note is None
    assert "the first of several pages: name the file itself" in (several.note or "")


def test_directories_that_lead_in_a_circle_or_nowhere_end(tmp_path: Path) -> None:
    path = Path(stack(tmp_path / "a.tif", 2))
    whole = path.read_bytes()
    first = int.from_bytes(whole[4:8], "little")
    following = first + 2 + 12 * int.from_bytes(whole[first : first + 2], "little")
    for offset in (first, 0xFFFFFF00):
        path.write_bytes(whole[:following] + offset.to_bytes(4, "little") + whole[following + 4 :])
        assert [source.name for source in sources(path)] == [str(path)]


def test_smaller_copies_of_a_page_are_no_pages(tmp_path: Path) -> None:
    path = Path(stack(tmp_path / "a.tif", 3))
    data = bytearray(path.read_bytes())
    second = sources(path)[1].offset  # type: ignore[attr-defined]
    entry = second + 2
    assert int.from_bytes(data[entry : entry + 2], "little") == 254  # what kind of page it is
    data[entry + 8] |= 1
    path.write_bytes(data)
    assert [source.stem for source in sources(path)] == ["a#0", "a#1"]
    assert np.array_equal(sources(path)[1].open(MAX_PIXELS).values, photo(2))


def volume(path: Path, values: np.ndarray) -> str:
    data = nibabel.Nifti1Image(values, np.eye(4)).to_bytes()
    path.write_bytes(gzip.compress(data) if path.name.endswith(".gz") else data)
    return str(path)


def test_slices_are_those_that_diagnose_sees_and_black_and_white_are_the_volumes(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(100, 20, (20, 24, 5)).astype(np.float32)
    path = volume(tmp_path / "scan.nii.gz", values)
    found = sources(path)
    assert [(source.name, source.stem) for source in found] == [(f"{path}#z{z}", f"scan#z{z}") for z in range(5)]
    (whole,) = load_inputs([path])
    picture = found[3].open(MAX_PIXELS)
    assert np.array_equal(picture.pixels().numpy()[0], whole[0, 0, 3].numpy())
    assert "are black to white" in (picture.note or "")
    assert len(sources(path, every=2)) == 3


def test_channels_of_a_volume_are_slices_of_their_own(tmp_path: Path) -> None:
    path = volume(tmp_path / "a.nii", np.random.default_rng(0).random((16, 18, 2, 3), np.float32))
    found = sources(path)
    assert [source.name for source in found[:4]] == [f"{path}#z0c0", f"{path}#z0c1", f"{path}#z0c2", f"{path}#z1c0"]
    assert not np.array_equal(found[0].open(MAX_PIXELS).values, found[1].open(MAX_PIXELS).values)


def test_a_volume_that_is_damaged_is_a_row_and_one_that_is_too_large_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = volume(tmp_path / "a.nii", np.zeros((16, 16, 4), np.uint8))
    with pytest.raises(InputError, match="16x16 pixels, and 100 are read"):
        sources(path)[0].open(100)
    (tmp_path / "b.nii").write_bytes(b"#" * 40)
    (damaged,) = sources(tmp_path / "b.nii")
    with pytest.raises(InputError, match=r"b\.nii"):
        damaged.open(MAX_PIXELS)


@pytest.mark.parametrize(("package", "extra", "name"), [("av", "video", "a.mp4"), ("nibabel", "volumes", "a.nii")])
def test_without_its_package_the_command_that_installs_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str, extra: str, name: str
) -> None:
    path = video(tmp_path / name) if extra == "video" else volume(tmp_path / name, np.zeros((16, 16, 2), np.uint8))
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InputError, match=rf"which is not installed: pip install 'artifactlab\[{extra}\]'"):
        sources(path)
