"""Every mode against its formula, pixel by pixel, and against numbers worked out by hand."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from artifactlab.fix.upsample import (
    CarafeUpsample,
    ConvOnlyUpsample,
    DySampleUpsample,
    GatedUpsample,
    HybridUpsample,
    MetaUpsample,
    ResizeConvUpsample,
    SubpixelUpsample,
    TransposedConvUpsample,
)

SCALES = [2, 3, 4]


def array(values: Tensor) -> np.ndarray:
    return values.detach().double().numpy()


def randomised(module: nn.Module) -> nn.Module:
    """In double precision and with no weight left at a value that would hide a mistake."""
    for parameter in module.double().parameters():
        nn.init.normal_(parameter, 0, 0.5)
    return module


def pixel(x: np.ndarray, row: int, column: int) -> np.ndarray:
    """All channels of a pixel; beyond the border, of the last one."""
    return x[:, min(max(row, 0), x.shape[1] - 1), min(max(column, 0), x.shape[2] - 1)]


def drawn(height: int, width: int, draw: Callable[[int, int], np.ndarray]) -> np.ndarray:
    return np.stack([np.stack([draw(row, column) for column in range(width)], 1) for row in range(height)], 1)


def convolved(x: np.ndarray, conv: nn.Conv2d) -> np.ndarray:
    weight, bias, half = array(conv.weight), array(conv.bias), conv.kernel_size[0] // 2
    taps = range(-half, half + 1)
    return drawn(
        *x.shape[1:],
        lambda r, c: bias + sum(weight[:, :, i + half, j + half] @ pixel(x, r + i, c + j) for i in taps for j in taps),
    )


def shuffled(x: np.ndarray, scale: int) -> np.ndarray:
    return drawn(
        scale * x.shape[1],
        scale * x.shape[2],
        lambda r, c: x[(r % scale) * scale + c % scale :: scale**2, r // scale, c // scale],
    )


def linear_at(x: np.ndarray, row: float, column: float) -> np.ndarray:
    """Bilinear reading at a place, in pixels from the first one's centre."""
    total = np.zeros(len(x))
    for i in (math.floor(row), math.floor(row) + 1):
        for j in (math.floor(column), math.floor(column) + 1):
            total += (1 - abs(row - i)) * (1 - abs(column - j)) * pixel(x, i, j)
    return total


def keys(t: float) -> float:
    """Keys' cubic, a = -.5."""
    t = abs(t)
    return 1.5 * t**3 - 2.5 * t**2 + 1 if t < 1 else max(-0.5 * t**3 + 2.5 * t**2 - 4 * t + 2, -1) if t < 2 else 0.0


def cubic_at(x: np.ndarray, row: float, column: float) -> np.ndarray:
    """Cubic reading that leaves out, and makes up for, what lies beyond the border."""
    down, across = (
        np.array([keys(place - i) for i in range(size)]) for place, size in zip((row, column), x.shape[1:], strict=True)
    )
    return np.einsum("i,j,cij->c", down / down.sum(), across / across.sum(), x)


def nearest_at(x: np.ndarray, row: float, column: float) -> np.ndarray:
    return pixel(x, math.floor(row + 0.5), math.floor(column + 0.5))


def resized(x: np.ndarray, scale: int, read: Callable[..., np.ndarray] = linear_at) -> np.ndarray:
    return drawn(
        scale * x.shape[1],
        scale * x.shape[2],
        lambda r, c: read(x, (r + 0.5) / scale - 0.5, (c + 0.5) / scale - 0.5),
    )


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


@pytest.fixture
def x() -> Tensor:
    return torch.rand(1, 2, 4, 5, dtype=torch.float64)


def same(found: Tensor, expected: np.ndarray) -> bool:
    return found.shape[1:] == expected.shape and np.allclose(array(found[0]), expected, atol=1e-9)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("multiple", [1, 2, 3, 4])
def test_a_transposed_convolution_adds_each_pixel_times_the_kernel_about_its_centre(
    x: Tensor, scale: int, multiple: int
) -> None:
    size = multiple * scale
    up = randomised(TransposedConvUpsample(2, 3, scale=scale, kernel_size=size))
    weight, source, before = array(up.conv.weight), array(x[0]), math.ceil((size - scale) / 2)

    def draw(row: int, column: int) -> np.ndarray:
        total = array(up.conv.bias).copy()
        for i in range(-4, 9):
            for j in range(-4, 9):
                u, v = row - scale * i + before, column - scale * j + before
                if 0 <= u < size and 0 <= v < size:
                    total += pixel(source, i, j) @ weight[:, :, u, v]
        return total

    assert same(up(x), drawn(4 * scale, 5 * scale, draw))


@pytest.mark.parametrize("scale", SCALES)
def test_a_transposed_convolution_starts_as_bilinear_interpolation_mixed(x: Tensor, scale: int) -> None:
    up = TransposedConvUpsample(2, 3, scale=scale).double()
    mixing = array(up.conv.weight.sum((2, 3)) / scale**2)
    expected = np.einsum("iyx,io->oyx", resized(array(x[0]), scale), mixing) + array(up.conv.bias)[:, None, None]
    assert np.allclose(array(up(x)[0]), expected, atol=1e-6)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize(
    ("resample", "read"), [("bilinear", linear_at), ("bicubic", cubic_at), ("nearest", nearest_at)]
)
def test_resize_convolution_is_a_convolution_of_the_resized(
    x: Tensor, scale: int, resample: str, read: Callable[..., np.ndarray]
) -> None:
    up = randomised(ResizeConvUpsample(2, 3, scale=scale, resample=resample, kernel_size=5))
    assert same(up(x), convolved(resized(array(x[0]), scale, read), up.conv))


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("blur", [False, True])
def test_subpixel_is_a_shuffle_of_a_convolution_and_a_box(x: Tensor, scale: int, blur: bool) -> None:
    up = randomised(SubpixelUpsample(2, 3, scale=scale, blur=blur))
    expected = shuffled(convolved(array(x[0]), up.conv), scale)
    if blur:
        box = range(-(scale // 2), scale - scale // 2)
        sharp = expected
        expected = drawn(
            *sharp.shape[1:], lambda r, c: sum(pixel(sharp, r + i, c + j) for i in box for j in box) / scale**2
        )
    assert same(up(x), expected)


@pytest.mark.parametrize("scale", SCALES)
def test_icnr_starts_as_nearest_replication_of_one_convolution(x: Tensor, scale: int) -> None:
    up = SubpixelUpsample(2, 3, scale=scale).double()
    blocks = up(x)[0].detach().unflatten(2, (5, scale)).unflatten(1, (4, scale))
    assert torch.allclose(blocks, blocks[:, :, :1, :, :1].expand_as(blocks), atol=1e-12)
    assert blocks.std() > 0.01


@pytest.mark.parametrize("scale", SCALES)
def test_conv_only_is_two_convolutions_about_a_gelu_and_a_shuffle(x: Tensor, scale: int) -> None:
    up = randomised(ConvOnlyUpsample(2, 3, scale=scale))
    gelu = np.vectorize(lambda v: v * (1 + math.erf(v / math.sqrt(2))) / 2)
    assert same(up(x), convolved(shuffled(gelu(convolved(array(x[0]), up.expand)), scale), up.project))


@pytest.mark.parametrize("scale", SCALES)
def test_gated_blends_by_the_gate(x: Tensor, scale: int) -> None:
    up = randomised(GatedUpsample(2, 3, scale=scale))
    skip = torch.rand(1, 3, 4 * scale, 5 * scale, dtype=torch.float64)
    enlarged = convolved(resized(array(x[0]), scale), up.up.conv)
    gate = sigmoid(convolved(np.concatenate([enlarged, array(skip[0])]), up.gate))
    assert same(up(x, skip), gate * enlarged + (1 - gate) * array(skip[0]))


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("size", [3, 5])
def test_carafe_averages_the_neighbourhood_with_a_softmax(x: Tensor, scale: int, size: int) -> None:
    up = randomised(CarafeUpsample(2, 3, scale=scale, kernel_size=size, compressed=4))
    source = array(x[0])
    logits = convolved(convolved(source, up.encoder[0]), up.encoder[1])

    def draw(row: int, column: int) -> np.ndarray:
        y, a, z, b = row // scale, row % scale, column // scale, column % scale
        of_taps = np.exp(logits[:, y, z].reshape(size, size, scale, scale)[:, :, a, b])
        taps = [(i, j) for i in range(size) for j in range(size)]
        return sum(of_taps[i, j] * pixel(source, y + i - size // 2, z + j - size // 2) for i, j in taps) / of_taps.sum()

    assert same(up(x), convolved(drawn(4 * scale, 5 * scale, draw), up.conv))


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("groups", [1, 2])
def test_dysample_reads_a_quarter_of_the_offset_away(x: Tensor, scale: int, groups: int) -> None:
    up = randomised(DySampleUpsample(2, 3, scale=scale, groups=groups))
    source = array(x[0])
    offset = shuffled(convolved(source, up.offset), scale)

    def draw(row: int, column: int) -> np.ndarray:
        read = []
        for channel in range(2):
            group = channel * groups // 2
            right, down = 0.25 * offset[2 * group : 2 * group + 2, row, column]
            place = ((row + 0.5) / scale - 0.5 + down, (column + 0.5) / scale - 0.5 + right)
            read.append(linear_at(source, *place)[channel])
        return np.array(read)

    assert same(up(x), convolved(drawn(4 * scale, 5 * scale, draw), up.conv))


@pytest.mark.parametrize("scale", [1, 2, 3, 4, 1.5, 2.37, 7 / 3])
@pytest.mark.parametrize("at_once", [1, 1 << 22])
def test_meta_convolves_with_the_kernel_of_each_pixels_offset(
    x: Tensor, scale: float, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("artifactlab.fix.upsample.meta.AT_ONCE", at_once)
    up = randomised(MetaUpsample(2, 3, hidden=4))
    source, first, last = array(x[0]), up.mlp[0], up.mlp[2]

    def draw(row: int, column: int) -> np.ndarray:
        down, across = (row + 0.5) / scale, (column + 0.5) / scale
        y, z = math.floor(down), math.floor(across)
        hidden = array(first.weight) @ [down - y - 0.5, across - z - 0.5, 1 / scale] + array(first.bias)
        kernel = (array(last.weight) @ np.maximum(hidden, 0) + array(last.bias)).reshape(3, 2, 3, 3)
        taps = [(i, j) for i in range(3) for j in range(3)]
        return array(up.bias) + sum(kernel[:, :, i, j] @ pixel(source, y + i - 1, z + j - 1) for i, j in taps)

    assert same(up(x, scale), drawn(math.floor(4 * scale), math.floor(5 * scale), draw))


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("choice", ["mix", "image"])
def test_hybrid_blends_by_contrast_and_size(x: Tensor, scale: int, choice: str) -> None:
    up = randomised(HybridUpsample(2, 3, scale=scale, choice=choice))
    source = array(x[0])
    energy = drawn(
        4,
        5,
        lambda r, c: np.mean(
            ((pixel(source, r, c + 1) - pixel(source, r, c - 1)) / 2) ** 2
            + ((pixel(source, r + 1, c) - pixel(source, r - 1, c)) / 2) ** 2,
            keepdims=True,
        ),
    )
    around = drawn(4, 5, lambda r, c: sum(pixel(energy, r + i, c + j) for i in (-1, 0, 1) for j in (-1, 0, 1)) / 9)
    contrast = np.log(1 + around / (source.var((1, 2)).mean() + 1e-6))
    contrast = contrast if choice == "mix" else contrast.mean(keepdims=True)
    a, b = array(up.share.weight)[0, :, 0, 0]
    share = sigmoid(a * contrast + b * math.log2(math.sqrt(20) / 64) + array(up.share.bias))
    share = resized(share, scale) if choice == "mix" else np.round(share)
    smooth = convolved(resized(source, scale), up.resize.conv)
    sharp = shuffled(convolved(source, up.subpixel.conv), scale)
    # the size is counted in single precision
    assert np.allclose(array(up(x)[0]), share * smooth + (1 - share) * sharp, atol=1e-6)
