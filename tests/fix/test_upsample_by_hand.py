"""Modes on a row of a few pixels, against numbers worked out by hand."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from artifactlab.fix.upsample import (
    CarafeUpsample,
    DySampleUpsample,
    HybridUpsample,
    MetaUpsample,
    ResizeConvUpsample,
    TransposedConvUpsample,
)


def row(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float32).expand(1, 1, 3, -1).contiguous()


def middle(image: Tensor) -> list[float]:
    """A row away from the top and bottom, though all rows are to be alike."""
    return [round(value, 4) for value in image[0, 0, image.shape[2] // 2].tolist()]


def passing(conv: nn.Conv2d) -> None:
    """The convolution that leaves everything as it is."""
    nn.init.dirac_(conv.weight)
    nn.init.zeros_(conv.bias)


def test_a_transposed_convolution_starts_bilinear() -> None:
    up = TransposedConvUpsample(1, 1)
    with torch.no_grad():
        up.conv.weight.mul_(4 / up.conv.weight.sum())
        up.conv.bias.zero_()
    assert middle(up(row(0, 4, 8))) == [0, 1, 3, 5, 7, 8]


def test_bilinear_and_nearest_resize() -> None:
    for resample, expected in (("bilinear", [0, 1, 3, 5, 7, 8]), ("nearest", [0, 0, 4, 4, 8, 8])):
        up = ResizeConvUpsample(1, 1, resample=resample)
        passing(up.conv)
        assert middle(up(row(0, 4, 8))) == expected


def test_a_bicubic_resize_keeps_a_ramp_straight() -> None:
    up = ResizeConvUpsample(1, 1, resample="bicubic")
    passing(up.conv)
    assert middle(up(row(0, 4, 8, 12, 16, 20)))[4:8] == [7, 9, 11, 13]


def test_carafe_takes_three_quarters_of_a_pixel_and_a_quarter_of_its_right_neighbour() -> None:
    up = CarafeUpsample(1, 1)
    passing(up.conv)
    with torch.no_grad():
        logits = up.encoder[1].bias.fill_(-100).view(5, 5, 2, 2)
        logits[2, 2], logits[2, 3] = math.log(3), 0
        logits[2, 1, :, 1], logits[2, 2, :, 1], logits[2, 3, :, 1] = 0, -100, -100  # odd columns: the left neighbour
    assert middle(up(row(0, 4, 8))) == [1, 0, 5, 0, 8, 4]


def test_carafe_starts_as_gaussians_about_the_pixels_centres() -> None:
    up = CarafeUpsample(1, 1)
    passing(up.conv)
    weights = [math.exp(-((tap + 0.25) ** 2) / 0.72) for tap in range(-2, 3)]
    assert abs(up(row(0, 0, 1, 0, 0))[0, 0, 0, 4].item() - weights[2] / sum(weights)) < 1e-5
    ramp = up(row(*range(0, 40, 4)))[0, 0, 0, 4:-4]
    assert (ramp - (2 * torch.arange(4, 16) - 1)).abs().max() < 0.02


def test_dysample_reads_one_pixel_to_the_right() -> None:
    up = DySampleUpsample(1, 1)
    passing(up.conv)
    assert middle(up(row(0, 4, 8, 12))) == [0, 1, 3, 5, 7, 9, 11, 12]
    with torch.no_grad():
        up.offset.bias[:4] = 4  # a quarter of it counts
    assert middle(up(row(0, 4, 8, 12))) == [3, 5, 7, 9, 11, 12, 12, 12]


def test_dysample_reads_half_a_pixel_further_down_in_one_phase() -> None:
    up = DySampleUpsample(1, 1)
    passing(up.conv)
    with torch.no_grad():
        up.offset.bias[6] = 2  # (down, lower row, left column)
    image = up(row(0, 4, 8, 12).transpose(2, 3).contiguous())[0, 0, :, :2]
    assert image[:, 1].tolist() == [0, 1, 3, 5, 7, 9, 11, 12]
    assert image[:, 0].tolist() == [0, 3, 3, 7, 7, 11, 11, 12]


def test_meta_interpolates_when_its_kernels_say_so() -> None:
    """mlp: (row, column, 1 / scale) -> h = column + .5 -> 1 - h of the pixel and h of its right neighbour."""
    up = MetaUpsample(1, 1, hidden=1)
    first, last = up.mlp[0], up.mlp[2]
    with torch.no_grad():
        first.weight.copy_(torch.tensor([[0.0, 1.0, 0.0]]))
        first.bias.fill_(0.5)
        last.weight.zero_()[4], last.weight[5] = -1, 1
        last.bias.zero_()[4] = 1
    assert middle(up(row(0, 4, 8))) == [1, 3, 5, 7, 8, 8]
    assert middle(up(row(0, 4, 8, 12), scale=1.5)) == [1.3333, 4, 6.6667, 9.3333, 12, 12]
    assert middle(up(row(0, 4, 8), scale=1)) == [2, 6, 8]


def test_a_hybrids_share_grows_with_edges_and_size() -> None:
    up = HybridUpsample(1, 1)
    flat = torch.zeros(1, 1, 64, 64)
    assert torch.allclose(up.resize_share(flat), torch.tensor(0.5))
    assert torch.allclose(up.resize_share(flat[..., :16, :16]), torch.tensor(1 / (1 + math.e)))
    flat[..., 32:] = 1
    share = up.resize_share(flat)[0, 0, 64]
    # a squared gradient of 1/4 in 2 of 3 columns, over a variance of 1/4: sigmoid(log(5 / 3))
    assert abs(share[64] - 0.625) < 1e-4
    assert abs(share[16] - 0.5) < 1e-4
