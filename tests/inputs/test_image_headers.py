"""Sizes are read from headers, and bounded, before anything is allocated."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from artifactlab.errors import InputError
from artifactlab.inputs import images
from artifactlab.inputs.image_headers import read_header
from artifactlab.inputs.images import MAX_PIXELS, open_picture, read_image

HUGE = 60_000


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def tiff(order: str, *tags: tuple[int, int]) -> bytes:
    entries = b"".join(struct.pack(order + "HHII", tag, 4, 1, value) for tag, value in tags)
    return struct.pack(order + "2sHIH", b"II" if order == "<" else b"MM", 42, 8, len(tags)) + entries + bytes(4)


BOMBS = {
    "png": b"\x89PNG\r\n\x1a\n"
    + chunk(b"IHDR", struct.pack(">IIBBBBB", HUGE, HUGE, 16, 6, 0, 0, 0))
    + chunk(b"IDAT", zlib.compress(bytes(99)))
    + chunk(b"IEND", b""),
    "jpeg": b"\xff\xd8\xff\xc0\x00\x0b\x08" + struct.pack(">HH", HUGE, HUGE) + b"\x01\x01\x11\x00\xff\xd9",
    "gif": b"GIF89a" + struct.pack("<HH", HUGE, HUGE) + b"\xf0\0\0" + bytes(20),
    "bmp": b"BM"
    + struct.pack("<IHHI", 1080, 0, 0, 1078)
    + struct.pack("<IiiHHIIiiII", 40, HUGE, -HUGE, *(1, 8), *6 * [0]),
    "os2 bmp": b"BM" + struct.pack("<IHHI", 0, 0, 0, 26) + struct.pack("<IHHHH", 12, HUGE, HUGE, 1, 8),
    "webp": b"RIFF\0\0\0\0WEBPVP8X" + struct.pack("<II", 10, 0) + 2 * (HUGE - 1).to_bytes(3, "little"),
    "lossless webp": b"RIFF\0\0\0\0WEBPVP8L\0\0\0\0\x2f" + (16383 | 16383 << 14).to_bytes(4, "little"),
    "tiff": tiff("<", (256, HUGE), (257, HUGE), (258, 8), (277, 3)),
    "motorola tiff": tiff(">", (256, HUGE), (257, HUGE), (258, 8), (277, 3)),
    "tiff of one huge tile": tiff("<", (256, 16), (257, 16), (322, HUGE), (323, HUGE)),
    "jp2": b"\xff\x4f\xff\x51" + struct.pack(">HHIIII", 47, 0, HUGE, HUGE, 0, 0) + bytes(16) + b"\0\3" + bytes(9),
    "avif": b"\0\0\0\x14ftypavif" + bytes(8) + b"\0\0\0\x14ispe" + struct.pack(">III", 0, HUGE, HUGE),
    "ppm": b"P6\n# a comment\n%d %d\n255\n" % (HUGE, HUGE),
    "pam": b"P7\nWIDTH %d\nHEIGHT %d\nDEPTH 3\nMAXVAL 255\nENDHDR\n" % (HUGE, HUGE),
    "pfm": b"PF\n%d %d\n-1.0\n" % (HUGE, HUGE),
    "hdr": b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y %d +X %d\n" % (HUGE, HUGE),
    "sun raster": b"\x59\xa6\x6a\x95" + struct.pack(">III", HUGE, HUGE, 24) + bytes(16),
}


@pytest.mark.parametrize("form", BOMBS)
def test_small_file_that_decodes_to_gigabytes_is_refused_before_it_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    monkeypatch.setattr(images, "decode", lambda *_: pytest.fail("decoded"))
    (tmp_path / "a.png").write_bytes(BOMBS[form])
    with pytest.raises(InputError, match=r"would unpack to|--max-pixels|take as much memory"):
        open_picture(tmp_path / "a.png")


def encoded(form: str, alpha: bool) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (48, 64, 4 if alpha else 3), dtype=np.uint8)
    if form == ".gif":
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "GIF")
        return buffer.getvalue()
    values = pixels[..., :3].astype(np.float32) / 255 if form in (".hdr", ".pfm") else pixels
    return bytes(cv2.imencode(form, values)[1])


FORMS = (".png", ".jpg", ".tiff", ".webp", ".bmp", ".gif", ".jp2", ".avif", ".ppm", ".pam", ".pfm", ".hdr", ".ras")
WITH_ALPHA = (".png", ".tiff", ".webp", ".gif", ".jp2", ".avif")


@pytest.mark.parametrize(("form", "alpha"), [(form, False) for form in FORMS] + [(form, True) for form in WITH_ALPHA])
def test_header_of_every_format_is_read_as_the_decoder_reads_it(tmp_path: Path, form: str, alpha: bool) -> None:
    try:
        data = encoded(form, alpha)
    except cv2.error:
        pytest.skip("this OpenCV does not write it")
    found = read_header(data)
    assert found is not None
    assert (found.width, found.height) == (64, 48)
    (tmp_path / "a").write_bytes(data)
    picture = open_picture(tmp_path / "a")
    assert picture.size == (48, 64)
    assert found.memory >= picture.values.nbytes or form == ".ras"
    assert found.may_have_alpha or picture.values.shape[2] < 4


@pytest.mark.parametrize("form", BOMBS)
def test_no_cut_header_breaks_anything(tmp_path: Path, form: str) -> None:
    for length in range(len(BOMBS[form])):
        found = read_header(BOMBS[form][:length])
        assert found is None or min(found.width, found.height) > 0


def test_limit_is_the_callers(tmp_path: Path) -> None:
    Image.new("RGB", (40, 30)).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png", max_pixels=1200).shape == (3, 30, 40)
    with pytest.raises(
        InputError, match=r"40x30 pixels and at most 1199 are read.*--max-pixels 1200 / max_pixels=1200"
    ):
        read_image(tmp_path / "a.png", max_pixels=1199)


def test_limit_counts_memory_where_pixels_take_more(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((30, 40, 3), np.uint16))
    with pytest.raises(InputError, match=r"as much memory to read as 2400 of 8-bit RGB.*--max-pixels 2400"):
        open_picture(tmp_path / "a.png", max_pixels=2399)
    assert open_picture(tmp_path / "a.png", max_pixels=2400).size == (30, 40)


def test_four_hundred_megapixels_pass_the_limit() -> None:
    rows = bytes(400_000)  # as many as deflate takes for a flat one
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0))
    data = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    found = read_header(data)
    assert found is not None
    images._refuse_large("a.png", data, found, MAX_PIXELS)


@pytest.mark.parametrize("form", [".tiff", ".webp", ".png", ".jpg"])
def test_image_without_alpha_is_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    calls, decode = [], images.decode
    monkeypatch.setattr(images, "decode", lambda *given: calls.append(1) or decode(*given))
    (tmp_path / "a").write_bytes(encoded(form, alpha=False))
    open_picture(tmp_path / "a")
    assert len(calls) == 1


def test_file_larger_than_any_image_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "a.png").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(InputError, match="bytes, and no more than"):
        open_picture(tmp_path / "a.png")
