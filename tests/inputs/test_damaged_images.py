"""Files that `read_image` refuses: cut off, damaged, no image, or out of range."""

from __future__ import annotations

import io
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from artifactlab.errors import InputError
from artifactlab.inputs import decoding
from artifactlab.inputs.images import open_picture, read_image


@pytest.fixture
def pixels() -> np.ndarray:
    """An RGB image without any symmetry."""
    return np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)


def encoded(image: Image.Image, form: str, **settings: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **settings)
    return buffer.getvalue()


def smooth(height: int = 32, width: int = 48) -> Image.Image:
    """An image that survives JPEG, and has no symmetry."""
    y, x = np.mgrid[:height, :width]
    return Image.fromarray(np.stack([x * 5, y * 7, (x + y) * 2], -1).clip(0, 255).astype(np.uint8))


@pytest.mark.parametrize("kept", [9, 40, 300, -16, -4, -1])
def test_png_cut_off_anywhere_is_refused(tmp_path: Path, pixels: np.ndarray, kept: int) -> None:
    (tmp_path / "a.png").write_bytes(encoded(Image.fromarray(pixels), "PNG")[:kept])
    with pytest.raises(InputError, match=r"cannot read image .*a\.png.*cut off"):
        read_image(tmp_path / "a.png")


@pytest.mark.parametrize("position", [20, 60, 500])
def test_png_with_a_flipped_byte_is_refused(tmp_path: Path, pixels: np.ndarray, position: int) -> None:
    data = bytearray(encoded(Image.fromarray(pixels), "PNG"))
    data[position] ^= 0xFF
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(InputError, match="the PNG is damaged"):
        read_image(tmp_path / "a.png")


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("kept", [0.3, 0.9, 0.999])
def test_jpeg_cut_off_anywhere_is_refused(tmp_path: Path, progressive: bool, kept: float) -> None:
    data = encoded(smooth(), "JPEG", progressive=progressive)
    (tmp_path / "a.jpg").write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(InputError, match="the JPEG is cut off"):
        read_image(tmp_path / "a.jpg")


def test_end_marker_of_a_thumbnail_is_not_taken_for_the_end_of_the_jpeg(tmp_path: Path) -> None:
    picture, thumbnail = encoded(smooth(), "JPEG"), encoded(smooth(16, 16), "JPEG")
    segment = b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail
    whole = picture[:2] + segment + picture[2:]
    (tmp_path / "whole.jpg").write_bytes(whole)
    (tmp_path / "cut.jpg").write_bytes(whole[:-200])
    assert read_image(tmp_path / "whole.jpg").shape == (3, 32, 48)
    with pytest.raises(InputError, match="the JPEG is cut off"):
        read_image(tmp_path / "cut.jpg")


def test_png_of_an_end_alone_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\0IEND\xaeB`\x82")
    with pytest.raises(InputError, match="no image, or a damaged one"):
        read_image(tmp_path / "a.png")


def noise() -> Image.Image:
    """An image whose JPEG has many bytes, none of which can be done without."""
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (96, 96, 3), dtype=np.uint8))


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("kept", [0.3, 0.6, 0.95])
def test_jpeg_cut_off_and_given_an_end_marker_is_refused(
    tmp_path: Path, progressive: bool, kept: float, capfd: pytest.CaptureFixture[str]
) -> None:
    data = encoded(noise(), "JPEG", progressive=progressive)
    (tmp_path / "a.jpg").write_bytes(data[: int(len(data) * kept)] + b"\xff\xd9")
    with pytest.raises(InputError, match="the JPEG is damaged"):
        read_image(tmp_path / "a.jpg")
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("place", [0.3, 0.5, 0.7])
@pytest.mark.parametrize("instead", [b"", bytes(2000), bytes(range(1, 251)) * 8])
def test_jpeg_broken_in_the_middle_is_refused_or_noted(
    tmp_path: Path, progressive: bool, place: float, instead: bytes
) -> None:
    data = encoded(noise(), "JPEG", progressive=progressive, quality=90)
    start = int(len(data) * place)
    (tmp_path / "a.jpg").write_bytes(data[:start] + instead + data[start + 2000 :])
    try:
        note = open_picture(tmp_path / "a.jpg").note
    except InputError as error:
        note = str(error)
    assert "damaged" in (note or "")


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"progressive": True},
        {"optimize": True, "quality": 100},
        {"restart_marker_blocks": 3},
        {"progressive": True, "restart_marker_rows": 1},
        {"exif": b"Exif\0\0II*\0\x08\0\0\0\0\0"},
    ],
)
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("padding", [b"", bytes(40), b"\xff" * 40])
def test_whole_jpeg_has_no_note(tmp_path: Path, settings: dict[str, object], mode: str, padding: bytes) -> None:
    data = encoded(noise().resize((50, 39)).convert(mode), "JPEG", **settings)
    (tmp_path / "a.jpg").write_bytes(data[:-2] + padding + data[-2:])
    assert open_picture(tmp_path / "a.jpg").note is None


def test_frame_of_a_film_that_leaves_its_tables_to_the_decoder_has_no_note(tmp_path: Path) -> None:
    data = encoded(noise(), "JPEG", quality=75)
    while (table := data.find(b"\xff\xc4")) >= 0:
        data = data[:table] + data[table + 2 + int.from_bytes(data[table + 2 : table + 4], "big") :]
    (tmp_path / "a.jpg").write_bytes(data)
    assert open_picture(tmp_path / "a.jpg").note is None


def test_threads_leave_opencv_as_loud_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(encoded(smooth(), "JPEG"))
    level = decoding.LOG.getLogLevel()
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(read_image, [tmp_path / "a.jpg"] * 64))
    assert decoding.LOG.getLogLevel() == level


def test_what_others_write_to_stderr_meanwhile_is_passed_on(capfd: pytest.CaptureFixture[str]) -> None:
    with decoding._caught_complaints() as complaints:
        os.write(2, b"a line of another thread\nCorrupt JPEG data: bad Huffman code\n")
    assert complaints == ["Corrupt JPEG data: bad Huffman code"]
    assert capfd.readouterr().err == "a line of another thread\n"


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_bytes_after_the_end_of_an_image_do_no_harm(tmp_path: Path, form: str) -> None:
    (tmp_path / "a").write_bytes(encoded(smooth(), form) + b"\xff\xda trailer \xff\xd8")
    assert read_image(tmp_path / "a").shape == (3, 32, 48)


@pytest.mark.parametrize("form", ["TIFF", "BMP", "WEBP"])
def test_other_formats_cut_off_are_refused_without_a_word_from_opencv(
    tmp_path: Path, pixels: np.ndarray, form: str, capfd: pytest.CaptureFixture[str]
) -> None:
    data = encoded(Image.fromarray(pixels), form)
    (tmp_path / "a").write_bytes(data[: len(data) // 2])
    level = decoding.LOG.getLogLevel()
    with pytest.raises(InputError, match="no image, or a damaged one"):
        read_image(tmp_path / "a")
    assert capfd.readouterr().err == ""
    assert decoding.LOG.getLogLevel() == level


def test_text_named_png_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("not an image")
    with pytest.raises(InputError, match=r"cannot read image .*a\.png.*no image.*expected PNG"):
        read_image(tmp_path / "a.png")


def test_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    with pytest.raises(InputError, match="empty"):
        read_image(tmp_path / "a.png")


def test_missing_file_and_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        read_image(tmp_path / "a.png")
    with pytest.raises(InputError, match="directory"):
        read_image(tmp_path)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_float_image_with_nan_or_inf_is_refused(tmp_path: Path, bad: float) -> None:
    values = np.full((4, 4), 0.5, np.float32)
    values[1, 2] = bad
    Image.fromarray(values).save(tmp_path / "a.tiff")
    with pytest.raises(InputError, match="NaN or Inf"):
        read_image(tmp_path / "a.tiff")


@pytest.mark.parametrize(("low", "high"), [(0, 255), (-1, 1)])
def test_float_image_out_of_range_is_refused_with_its_range(tmp_path: Path, low: float, high: float) -> None:
    Image.fromarray(np.linspace(low, high, 16, dtype=np.float32).reshape(4, 4)).save(tmp_path / "a.tiff")
    with pytest.raises(InputError, match=rf"from {low} to {high}; floats must lie in \[0, 1\]"):
        read_image(tmp_path / "a.tiff")


def test_integers_of_32_bits_are_refused_by_name(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((4, 4), np.int32)).save(tmp_path / "a.tiff")
    with pytest.raises(InputError, match="depth is int32; expected PNG"):
        read_image(tmp_path / "a.tiff")


def test_a_large_picture_of_two_colours_is_whole_however_well_it_packs(tmp_path: Path) -> None:
    picture = np.zeros((4000, 6000, 3), np.uint8)
    picture[1000:3000, 2000:4000] = 200
    path = tmp_path / "rectangle.webp"
    path.write_bytes(encoded(Image.fromarray(picture), "WEBP", lossless=True))
    assert path.stat().st_size < 4000 * 6000 / 10_000
    assert open_picture(path).size == (4000, 6000)
