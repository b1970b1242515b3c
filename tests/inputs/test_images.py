"""What `read_image` and `find_images` promise about files."""

from __future__ import annotations

import io
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from artifactlab.errors import InputError
from artifactlab.inputs.image_files import SUFFIXES, find_images
from artifactlab.inputs.images import luma, read_image

ORIENTATION = 0x0112


@pytest.fixture
def pixels() -> np.ndarray:
    """An RGB image without any symmetry."""
    return np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)


def as_array(image: torch.Tensor) -> np.ndarray:
    return image.permute(1, 2, 0).numpy()


def encoded(image: Image.Image, form: str, **settings: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **settings)
    return buffer.getvalue()


def rotated(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return exif


def smooth(height: int = 32, width: int = 48) -> Image.Image:
    """An image that survives JPEG, and has no symmetry."""
    y, x = np.mgrid[:height, :width]
    return Image.fromarray(np.stack([x * 5, y * 7, (x + y) * 2], -1).clip(0, 255).astype(np.uint8))


# --- values ---


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


# --- alpha ---


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


# --- orientation ---


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


# --- what is refused ---


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
    level = cv2.utils.logging.getLogLevel()
    with pytest.raises(InputError, match="no image, or a damaged one"):
        read_image(tmp_path / "a")
    assert capfd.readouterr().err == ""
    assert cv2.utils.logging.getLogLevel() == level


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


def test_path_need_not_be_ascii(tmp_path: Path, pixels: np.ndarray) -> None:
    Image.fromarray(pixels).save(tmp_path / "größe 画像.png")
    assert read_image(tmp_path / "größe 画像.png").shape == (3, 20, 30)


# --- finding ---


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
