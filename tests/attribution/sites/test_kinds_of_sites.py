"""Capture finds every kind of site, and takes nothing else for one."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from one_function import IMAGE, AnyForward, keys
from torch import Tensor, nn

import artifactlab


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda x: F.interpolate(x, scale_factor=2), "interpolate#0"),
        (lambda x: F.interpolate(x, (48, 80), mode="bilinear"), "interpolate#0"),
        (lambda x: F.conv_transpose2d(x, torch.ones(4, 2, 2, 2), stride=2), "conv_transpose2d#0"),
        (lambda x: F.pixel_shuffle(x, 2), "pixel_shuffle#0"),
        (lambda x: F.grid_sample(x, torch.zeros(1, 64, 64, 2), align_corners=False), "grid_sample#0"),
        (lambda x: x.reshape(1, 1, 2, 2, 32, 32).permute(0, 1, 4, 2, 5, 3).reshape(1, 1, 64, 64), "reshape#0"),
        (lambda x: x[:, :, :, None, :, None].expand(1, 4, 32, 2, 32, 2).reshape(1, 4, 64, 64), "reshape#0"),
        (lambda x: torch.stack([x, x], 4).flatten(3), "reshape#0"),
        (lambda x: F.fold(x.flatten(2).repeat(1, 4, 1), (64, 64), kernel_size=2, stride=2), "fold#0"),
        (lambda x: x.new_zeros(1, 4, 64, 64).index_put_((torch.tensor(0),), torch.tensor(1.0)), "module#0"),
    ],
    ids=["interpolate", "sized", "transposed", "shuffle", "grid", "depth2space", "expand", "stack", "fold", "unseen"],
)
def test_functional_and_hand_made_sites_are_found(function: Any, expected: str) -> None:
    assert keys(AnyForward(function), IMAGE) == [expected]


def test_repeat_interleave_is_a_site_per_direction() -> None:
    model = AnyForward(lambda x: x.repeat_interleave(2, 2).repeat_interleave(3, dim=3))
    with artifactlab.capture(model) as cap:
        model(IMAGE)
    assert [(s.site.key, s.site.scale, s.site.period) for s in cap.sites] == [
        ("repeat_interleave#0", (2, 1), (2, 1)),
        ("repeat_interleave#1", (1, 3), (1, 3)),
    ]


def test_unpatchify_of_tokens_is_a_site() -> None:
    def unpatchify(tokens: Tensor) -> Tensor:
        grid = tokens.reshape(1, 8, 8, 4, 4, 3)
        return torch.einsum("nhwpqc->nchpwq", grid).reshape(1, 3, 32, 32)

    model = AnyForward(unpatchify)
    with artifactlab.capture(model) as cap:
        model(torch.rand(1, 64, 48))
    assert [(s.site.scale, s.site.in_shape) for s in cap.sites] == [((4, 4), (1, 3, 8, 8))]


@pytest.mark.parametrize(("frames", "scale", "period"), [(5, (2, 4, 4), (2, 4, 4)), (1, (4, 4), (1, 4, 4))])
@pytest.mark.parametrize("channels", [1, 3])
def test_unpatchify_of_video_in_three_steps_is_one_site(channels: int, frames: int, scale: Any, period: Any) -> None:
    def unpatchify(x: Tensor) -> Tensor:  # as LTX-Video does, with the frames before the first one cut off
        patches = x.reshape(1, channels, 2, 4, 4, frames, 6, 6).permute(0, 1, 5, 2, 6, 3, 7, 4)
        return patches.flatten(6, 7).flatten(4, 5).flatten(2, 3)[:, :, 1:]

    model = nn.Sequential(nn.Conv3d(4, 32 * channels, 1), AnyForward(unpatchify))
    with artifactlab.capture(model) as cap:
        model(torch.rand(1, 4, frames, 6, 6))
    assert [(s.site.scale, s.site.period) for s in cap.sites] == [(scale, period)]


def test_channels_last_patch_expanding_is_a_site() -> None:
    def expand(x: Tensor) -> Tensor:  # (B, H, W, 2*2*c) -> (B, 2H, 2W, c), as in Swin-Unet
        return x.reshape(1, 8, 8, 2, 2, 6).permute(0, 1, 3, 2, 4, 5).reshape(1, 16, 16, 6)

    model = AnyForward(expand)
    with artifactlab.capture(model) as cap:
        model(torch.rand(1, 8, 8, 24))
    assert [(s.site.scale, s.site.out_shape) for s in cap.sites] == [((2, 2), (1, 6, 16, 16))]


def test_window_attention_that_splits_and_merges_is_no_site() -> None:
    def windows(x: Tensor) -> Tensor:
        split = x.view(1, 4, 8, 4, 8, 6).permute(0, 1, 3, 2, 4, 5).reshape(16, 8, 8, 6)
        merged = split.view(1, 4, 4, 8, 8, 6).permute(0, 1, 3, 2, 4, 5).reshape(1, 32, 32, 6)
        return F.interpolate(merged.permute(0, 3, 1, 2), scale_factor=2)

    assert keys(AnyForward(windows), torch.rand(1, 32, 32, 6)) == ["interpolate#0"]


def test_a_linear_layer_that_widens_the_features_of_channels_last_images_is_no_site() -> None:
    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.wider, self.narrower = nn.Linear(8, 24), nn.Linear(24, 8)

        def forward(self, x: Tensor) -> Tensor:
            y = self.narrower(self.wider(x.permute(0, 2, 3, 1))).permute(0, 3, 1, 2)
            return F.interpolate(x + y, scale_factor=2, mode="bilinear")

    model = Attention()
    with artifactlab.capture(model) as found, torch.no_grad():
        model(torch.rand(1, 8, 16, 16))
    assert [c.site.key for c in found.sites] == ["interpolate#0"]


def test_padding_downsizing_and_stride_one_are_no_sites() -> None:
    model = nn.Sequential(
        nn.ReflectionPad2d(3),
        nn.Conv2d(4, 4, 3, stride=2),
        nn.ConvTranspose2d(4, 4, 3, stride=1),
        nn.Upsample(scale_factor=2),
    )
    assert keys(model, IMAGE) == ["3/interpolate#0"]


@pytest.mark.parametrize(("mixes", "expected"), [(True, ["reshape#0"]), (False, [])])
def test_patches_are_a_site_where_a_layer_mixes_them_and_else_the_same_pixels(mixes: bool, expected: list[str]) -> None:
    mixing = nn.Linear(192, 192)

    def autoencoder(x: Tensor) -> Tensor:
        patches = x.reshape(1, 3, 4, 8, 4, 8).permute(0, 2, 4, 3, 5, 1).reshape(1, 16, 192)
        grid = (mixing(patches) if mixes else patches).reshape(1, 4, 4, 8, 8, 3)
        image = torch.einsum("nhwpqc->nchpwq", grid).reshape(1, 3, 32, 32)
        return image if mixes else F.interpolate(image, scale_factor=2)

    found = keys(AnyForward(autoencoder), torch.rand(1, 3, 32, 32))
    assert [key for key in found if "reshape" in key] == expected


def test_windows_split_straight_from_tokens_are_no_site() -> None:
    def windows(tokens: Tensor) -> Tensor:
        split = tokens.view(1, 4, 8, 4, 8, 6).permute(0, 1, 3, 2, 4, 5).reshape(16, 8, 8, 6)
        merged = split.view(1, 4, 4, 8, 8, 6).permute(0, 1, 3, 2, 4, 5).reshape(1, 32, 32, 6)
        return F.interpolate(merged.permute(0, 3, 1, 2), scale_factor=2)

    assert keys(AnyForward(windows), torch.rand(1, 1024, 6)) == ["interpolate#0"]


def test_windows_by_unfold_that_are_put_together_again_are_no_site() -> None:
    """Kernels of their own for each window of a signal, as in UnivNet."""

    class Windows(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.up, self.kernels = nn.ConvTranspose1d(4, 4, 4, 4), nn.Conv1d(4, 4 * 5 * 3, 1)

        def forward(self, x: Tensor) -> Tensor:
            y, kernels = F.pad(self.up(x), (1, 1)), self.kernels(x).view(1, 4, 5, 3, -1)
            windows = y.unfold(2, 6, 4).unfold(3, 3, 1)  # (N, C, windows, places, taps)
            return torch.einsum("bildk,biokl->bold", windows, kernels).reshape(1, 5, -1)

    assert keys(Windows(), torch.rand(1, 4, 32)) == ["up/conv_transpose1d#0"]


def test_codes_of_an_image_that_are_looked_up_and_laid_between_places_are_a_site() -> None:
    class Codes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.book = nn.Embedding(16, 2 * 2 * 3)

        def forward(self, codes: Tensor) -> Tensor:
            n, h, w = codes.shape
            patches = self.book(codes).view(n, h, w, 2, 2, 3)
            return patches.permute(0, 5, 1, 3, 2, 4).reshape(n, 3, 2 * h, 2 * w)

    assert keys(Codes(), torch.randint(16, (1, 24, 32))) == ["reshape#0"]
