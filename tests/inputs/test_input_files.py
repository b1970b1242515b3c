"""What files of every kind become: told apart by what they hold, in the shape and range that models take."""

from __future__ import annotations

import gzip
import re
import sys
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
import cv2
import nibabel
import numpy as np
import pytest
import soundfile
import torch

from artifactlab.errors import InputError
from artifactlab.inputs import load_inputs, sounds, videos, volumes
from artifactlab.inputs.extras import extra

RNG = np.random.default_rng(0)
FRAMES = [np.full((32, 48, 3), (level, 120, 255 - level), np.uint8) for level in range(0, 250, 25)]
"""ten frames, each of one colour, which any codec keeps"""


def video(path: Path, form: str = "mp4", codec: str = "mpeg4") -> Path:
    with av.open(str(path), "w", format=form) as file:
        stream = file.add_stream(codec, rate=Fraction(10))
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
        for frame in FRAMES:
            file.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        file.mux(stream.encode())
    return path


def volume(path: Path, values: np.ndarray, kind: type = nibabel.Nifti1Image) -> Path:
    data = kind(values, np.eye(4)).to_bytes()
    path.write_bytes(gzip.compress(data) if path.name.endswith(".gz") else data)
    return path


@pytest.mark.parametrize(("name", "form"), [("a.mp4", "mp4"), ("a.mkv", "matroska"), ("a.avi", "avi"), ("odd", "mov")])
def test_a_video_is_colour_by_time_by_rows_by_columns(tmp_path: Path, name: str, form: str) -> None:
    (read,) = load_inputs([video(tmp_path / name, form)])
    assert read.shape == (1, 3, 10, 32, 48)
    wanted = torch.from_numpy(np.stack(FRAMES)).permute(3, 0, 1, 2)[None] / 255
    assert (read - wanted).abs().mean() < 0.02


def test_a_video_follows_range_and_gray_and_gives_its_first_frames(tmp_path: Path) -> None:
    path = video(tmp_path / "a.mp4")
    whole = load_inputs([path])[0]
    assert torch.allclose(load_inputs([path], value_range=(-1, 1))[0], 2 * whole - 1, atol=1e-6)
    assert load_inputs([path], gray=True)[0].shape == (1, 1, 10, 32, 48)
    few = load_inputs([path], crop=(3, 16, 32))[0]
    assert torch.equal(few, whole[:, :, :3, 8:24, 8:40])
    assert torch.equal(load_inputs([path], crop=16)[0], whole[..., 8:24, 16:32])


def test_a_video_longer_than_is_read_says_how_to_take_less(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = video(tmp_path / "a.mp4")
    monkeypatch.setattr(videos, "MAX_VIDEO_PIXELS", 4 * 32 * 48)
    with pytest.raises(InputError, match=r"more than 4 frames of 32x48.*give --size TxHxW"):
        load_inputs([path])
    assert load_inputs([path], crop=(4, 16, 16))[0].shape[2] == 4


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "odd"])
@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
def test_a_volume_is_depth_by_rows_by_columns_between_its_quantiles(tmp_path: Path, name: str, kind: type) -> None:
    values = RNG.normal(300, 200, (20, 18, 16)).astype(np.float32)  # x, y, z
    values[0, 0, 0] = 1e6
    said: list[str] = []
    (read,) = load_inputs([volume(tmp_path / name, values, kind)], say=said.append)
    assert read.shape == (1, 1, 16, 18, 20)
    low, high = np.quantile(values, (0.005, 0.995))
    wanted = ((values - low) / (high - low)).clip(0, 1)
    for x, y, z in ((0, 0, 0), (3, 5, 7), (19, 17, 15)):
        assert read[0, 0, z, y, x] == pytest.approx(wanted[x, y, z], abs=1e-5)
    assert len(said) == 1
    told = [float(number) for number in re.findall(r"intensities (\S+) to (\S+)", said[0])[0]]
    assert told == pytest.approx([low, high], rel=1e-4)


def test_a_mask_is_black_and_white_though_nearly_all_of_it_is_black(tmp_path: Path) -> None:
    values = np.zeros((32, 32, 32), np.uint8)
    values[4, 5, 6] = 7
    read = load_inputs([volume(tmp_path / "a.nii", values)])[0]
    assert read.max() == read[0, 0, 6, 5, 4] == 1
    assert read.sum() == 1


def test_a_fourth_axis_of_a_volume_is_channels_and_a_fifth_is_refused(tmp_path: Path) -> None:
    values = RNG.random((16, 17, 18, 2), np.float32)
    assert load_inputs([volume(tmp_path / "a.nii", values)])[0].shape == (1, 2, 18, 17, 16)
    assert load_inputs([volume(tmp_path / "b.nii", values)], gray=True)[0].shape == (1, 1, 18, 17, 16)
    with pytest.raises(InputError, match="expected x, y, z"):
        load_inputs([volume(tmp_path / "c.nii", np.zeros((16, 16, 16, 2, 2), np.float32))])


def test_a_volume_is_bounded_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = volume(tmp_path / "a.nii.gz", np.zeros((16, 16, 16), np.float32))
    monkeypatch.setattr(volumes, "MAX_VOXELS", 4095)
    with pytest.raises(InputError, match="16x16x16 voxels, and 4095 are read at most"):
        load_inputs([path])


@pytest.mark.parametrize(("channels", "form"), [(1, "WAV"), (2, "WAV"), (2, "FLAC")])
def test_a_sound_is_channels_by_samples_and_no_range_maps_it(tmp_path: Path, channels: int, form: str) -> None:
    samples = RNG.uniform(-0.9, 0.9, (500, channels))
    soundfile.write(tmp_path / "odd", samples, 16000, format=form)
    (read,) = load_inputs([tmp_path / "odd"], value_range=(0, 255))
    assert read.shape == (1, channels, 500)
    np.testing.assert_allclose(read[0].numpy(), samples.T, atol=1e-4)
    mono = load_inputs([tmp_path / "odd"], gray=True, crop=(100,))[0]
    np.testing.assert_allclose(mono[0, 0].numpy(), samples.mean(1)[200:300], atol=1e-4)


def test_a_sound_is_bounded_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(500), 16000)
    monkeypatch.setattr(sounds, "MAX_SAMPLES", 499)
    with pytest.raises(InputError, match="500 samples, and 499"):
        load_inputs([tmp_path / "a.wav"])


@pytest.mark.parametrize(
    ("package", "extra", "name"), [("av", "video", "v"), ("nibabel", "volumes", "n"), ("soundfile", "audio", "s")]
)
def test_a_missing_extra_is_named_with_the_command_that_installs_it(
    package: str, extra: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = {"v": lambda path: video(path), "n": lambda path: volume(path, np.zeros((16, 16, 16), np.uint8))}
    write = made.get(name, lambda path: soundfile.write(path, np.zeros(500), 16000, format="WAV"))
    write(tmp_path / name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InputError, match=rf"{package}, which is not installed: pip install 'artifactlab\[{extra}\]'"):
        load_inputs([tmp_path / name])


def test_an_extra_that_is_there_and_broken_is_not_said_to_be_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_extra.py").write_text("import not_there_either")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(InputError, match=r"is there, but cannot be imported \(No module named 'not_there_either'\)"):
        extra("broken_extra", "audio", "the sound")
    (tmp_path / "odd_extra.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')")
    with pytest.raises(InputError, match=r"nms does not exist; install torchvision and torch from the same place"):
        extra("odd_extra", "onnx", "ONNX")


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.nii.gz", "a.nii", "a.wav"])
def test_a_file_that_is_cut_off_or_garbled_is_one_clear_line(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name.endswith(("mp4", "mkv")):
        video(path, "matroska" if "mkv" in name else "mp4")
    elif "nii" in name:
        volume(path, RNG.random((20, 20, 20), np.float32))
    else:
        soundfile.write(path, np.zeros(500), 16000)
    whole = path.read_bytes()
    for seed in range(8):
        data = bytearray(whole)
        if seed < 4:
            data = data[: 60 + seed * len(whole) // 6]
        else:
            for place in np.random.default_rng(seed).integers(12, len(whole), 40):
                data[place] ^= 0x5A
        path.write_bytes(data)
        with suppress(InputError):  # nothing else may be raised
            load_inputs([path])


def test_a_folder_gives_all_its_inputs_and_nothing_else(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "c.png"), np.zeros((16, 17), np.uint8))
    soundfile.write(tmp_path / "b.WAV", np.zeros(500), 16000)
    volume(tmp_path / "a.nii.gz", np.zeros((18, 17, 16), np.uint8))
    np.save(tmp_path / "d.npy", np.zeros((1, 4, 8, 8)))
    for other in ("notes.txt", "archive.gz"):
        (tmp_path / other).write_text("no input")
    shapes = [tuple(read.shape) for read in load_inputs([tmp_path])]
    assert shapes == [(1, 1, 16, 17, 18), (1, 1, 500), (1, 3, 16, 17), (1, 4, 8, 8)]


def test_an_empty_folder_says_nothing_of_options_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no input file in folder") as raised:
        load_inputs([tmp_path])
    assert "recursive" not in str(raised.value)
    assert ".safetensors" in str(raised.value)
