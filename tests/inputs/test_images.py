"""What `read_image` promises about the pixels of whole files."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from artifactlab.inputs.images import luma, read_image

ORIENTATION = 0x0112


@pytest.fixture
def pixels() -> np.ndarray:
    """An RGB image without any symmetry."""
    return np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)


def as_array(image: torch.Tensor) -> np.ndarray:
    return image.permute(1, 2, 0).numpy()


def rotated(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return exif


def smooth(height: int = 32, width: int = 48) -> Image.Image:
    """An image that survives JPEG, and has no symmetry."""
    y, x = np.mgrid[:height, :width]
    return Image.fromarray(np.stack([x * 5, y * 7, (x + y) * 2], -1).clip(0, 255).astype(np.uint8))


@pytest.mark.parametrize("form", ["PNG", "TIFF", "BMP"])
def test_colour_image_reads_as_rgb_in_zero_to_one(tmp_path: Path, pixels: np.ndarray, form: str) -> None:
    Image.fromarray(pixels).save(tmp_path / "a", form)
    image = read_image(tmp_path / "a")
    assert image.dtype == torch.float32
    assert image.shape == (3, 20, 30)
    np.testing.assert_array_equal(as_array(image), pixels.astype(np.float32) / 255)


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
@pytest.mark.parametrize("gray", [False, True])
@pytest.mark.parametrize("channels", [1, 3])
def test_sixteen_bit_image_reads_as_its_eight_bit_twin(
    tmp_path: Path, pixels: np.ndarray, suffix: str, gray: bool, channels: int
) -> None:
    eight = pixels[..., :channels]
    (tmp_path / "8").write_bytes(cv2.imencode(suffix, eight)[1])
    (tmp_path / "16").write_bytes(cv2.imencode(suffix, eight.astype(np.uint16) * 257)[1])
    assert torch.equal(read_image(tmp_path / "16", gray), read_image(tmp_path / "8", gray))


def test_sixteen_bits_are_not_rounded_to_eight(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(cv2.imencode(".png", np.array([[0, 1, 32768, 65535]], np.uint16))[1])
    expected = torch.tensor([0, 1, 32768, 65535]) / 65535
    assert torch.equal(read_image(tmp_path / "a", gray=True)[0, 0], expected)


def test_gray_image_is_spread_over_three_channels_and_stays_exact_as_gray(tmp_path: Path, pixels: np.ndarray) -> None:
    Image.fromarray(pixels[..., 0]).save(tmp_path / "a.png")
    expected = torch.from_numpy(pixels[..., 0].astype(np.float32) / 255)
    assert torch.equal(read_image(tmp_path / "a.png"), expected.expand(3, 20, 30))
    assert torch.equal(read_image(tmp_path / "a.png", gray=True), expected[None])


def test_gray_reading_of_colour_is_bt601_luma(tmp_path: Path) -> None:
    Image.fromarray(np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]]], np.uint8)).save(
        tmp_path / "a.png"
    )
    image = read_image(tmp_path / "a.png", gray=True)
    assert image.shape == (1, 1, 4)
    torch.testing.assert_close(image[0, 0], torch.tensor([0.299, 0.587, 0.114, 1.0]))


def test_luma_of_one_channel_is_that_channel() -> None:
    image = torch.rand(1, 4, 4, generator=torch.Generator().manual_seed(0))
    assert torch.equal(luma(image), image)


def test_palette_image_reads_as_its_colours(tmp_path: Path, pixels: np.ndarray) -> None:
    palette = Image.fromarray(pixels).quantize(16)
    palette.save(tmp_path / "palette.png")
    palette.convert("RGB").save(tmp_path / "colour.png")
    assert torch.equal(read_image(tmp_path / "palette.png"), read_image(tmp_path / "colour.png"))


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_one_bit_image_reads_as_black_and_white(tmp_path: Path, pixels: np.ndarray, form: str) -> None:
    bits = pixels[..., 0] > 127
    Image.fromarray(bits).save(tmp_path / "a", form)
    assert torch.equal(read_image(tmp_path / "a", gray=True)[0], torch.from_numpy(bits).float())


def test_float_tiff_in_unit_range_is_read_as_it_is(tmp_path: Path) -> None:
    values = np.random.default_rng(0).random((20, 30), np.float32)
    Image.fromarray(values).save(tmp_path / "a.tiff")
    np.testing.assert_array_equal(read_image(tmp_path / "a.tiff", gray=True)[0].numpy(), values)


@pytest.mark.parametrize("form", ["PNG", "WEBP", "TIFF"])
def test_alpha_is_composited_over_white(tmp_path: Path, pixels: np.ndarray, form: str) -> None:
    alpha = pixels[..., :1][:, ::-1].copy()
    lossless = {"lossless": True, "exact": True} if form == "WEBP" else {}
    Image.fromarray(np.concatenate([pixels, alpha], 2)).save(tmp_path / "a", form, **lossless)
    opacity = alpha / 255
    expected = pixels / 255 * opacity + 1 - opacity
    # an 8-bit TIFF arrives multiplied by alpha and rounded
    np.testing.assert_allclose(as_array(read_image(tmp_path / "a")), expected, atol=1 / 255 if form == "TIFF" else 1e-6)


def test_sixteen_bit_alpha_reads_as_its_eight_bit_twin(tmp_path: Path, pixels: np.ndarray) -> None:
    rgba = np.concatenate([pixels, pixels[..., :1]], 2)
    (tmp_path / "8.png").write_bytes(cv2.imencode(".png", rgba)[1])
    (tmp_path / "16.png").write_bytes(cv2.imencode(".png", rgba.astype(np.uint16) * 257)[1])
    torch.testing.assert_close(read_image(tmp_path / "16.png"), read_image(tmp_path / "8.png"))


def test_what_lies_under_full_transparency_does_not_show(tmp_path: Path, pixels: np.ndarray) -> None:
    Image.fromarray(np.concatenate([pixels, np.zeros_like(pixels[..., :1])], 2)).save(tmp_path / "a.png")
    assert torch.equal(read_image(tmp_path / "a.png"), torch.ones(3, 20, 30))


def test_transparent_palette_entry_is_white(tmp_path: Path) -> None:
    palette = Image.new("P", (2, 1))
    palette.putpalette([0, 0, 0, 255, 0, 0])
    palette.putpixel((1, 0), 1)
    palette.save(tmp_path / "a.png", transparency=0)
    assert read_image(tmp_path / "a.png")[:, 0].T.tolist() == [[1, 1, 1], [1, 0, 0]]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_rotated_jpeg_is_read_upright(tmp_path: Path, orientation: int) -> None:
    smooth().save(tmp_path / "a.jpg", exif=rotated(orientation), quality=95)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(tmp_path / "a.jpg"))) / 255
    np.testing.assert_allclose(as_array(read_image(tmp_path / "a.jpg")), expected, atol=4 / 255)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["PNG", "WEBP", "TIFF"])
def test_rotated_transparent_image_is_read_upright(
    tmp_path: Path, pixels: np.ndarray, orientation: int, form: str
) -> None:
    alpha = np.where(pixels[..., :1] > 127, 255, 0).astype(np.uint8)
    lossless = {"lossless": True, "exact": True} if form == "WEBP" else {}
    rgba = Image.fromarray(np.concatenate([pixels, alpha], 2))
    rgba.save(tmp_path / "a", form, exif=rotated(orientation), **lossless)
    white = Image.new("RGBA", rgba.size, "white")
    white.alpha_composite(rgba)
    white.getexif()[ORIENTATION] = orientation
    expected = np.asarray(ImageOps.exif_transpose(white).convert("RGB")) / 255
    np.testing.assert_allclose(as_array(read_image(tmp_path / "a")), expected, atol=1e-6)


def test_rotated_opaque_png_is_read_upright(tmp_path: Path, pixels: np.ndarray) -> None:
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=rotated(6))
    np.testing.assert_allclose(as_array(read_image(tmp_path / "a.png")), np.rot90(pixels, -1) / 255, atol=1e-6)


def test_path_need_not_be_ascii(tmp_path: Path, pixels: np.ndarray) -> None:
    Image.fromarray(pixels).save(tmp_path / "größe 画像.png")
    assert read_image(tmp_path / "größe 画像.png").shape == (3, 20, 30)
