"""Sites are found, with their periods, whatever the layout of the tensors in which images grow."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from one_function import AnyForward
from torch import Tensor

import artifactlab
from artifactlab.attribution.sites.visits import Visit
from artifactlab.attribution.sites.watch import watch

IMAGE = torch.rand(2, 3, 8, 12, generator=torch.Generator().manual_seed(1))
FILM = torch.rand(2, 5, 3, 8, 12, generator=torch.Generator().manual_seed(2))
PIXELS = torch.rand(2, 8, 12, 3, generator=torch.Generator().manual_seed(3))
WEIGHTS = torch.rand(12, 3, 3, 3, generator=torch.Generator().manual_seed(4))
DECONV = torch.rand(3, 3, 2, 2, generator=torch.Generator().manual_seed(5))


def conv(x: Tensor, features: int = 3) -> Tensor:
    return F.conv2d(x, WEIGHTS[:features], padding=1)


def film_of(x: Tensor) -> Tensor:
    """Frames that came through a convolution in the batch, (N, T, C, H, W)."""
    return conv(x.flatten(0, 1), 12).unflatten(0, x.shape[:2])


def expanded(x: Tensor) -> Tensor:
    """Patch expanding of Swin-Unet: (N, H, W, 2 * 2 * C) as (N, 2H * 2W, C)."""
    n, _, h, w = x.shape
    pixels = conv(x, 12).permute(0, 2, 3, 1).reshape(n, h, w, 2, 2, 3)
    return pixels.transpose(2, 3).reshape(n, 4 * h * w, 3)


def tokens_grown_twice(x: Tensor) -> Tensor:
    n, _, h, w = x.shape
    once = expanded(x) + 1
    grid = F.linear(once, WEIGHTS[:, :, 0, 0]).view(n, 2 * h, 2 * w, 2, 2, 3)
    return grid.transpose(2, 3).reshape(n, 4 * h, 4 * w, 3).permute(0, 3, 1, 2)


def convex(x: Tensor) -> Tensor:
    """Upsampling of flow as in RAFT: each of 2 x 2 pixels is a mean of 9 neighbours."""
    n, c, h, w = x.shape
    mask = conv(x, 12)[:, :4].repeat(1, 9, 1, 1).view(n, 1, 9, 2, 2, h, w)
    neighbours = F.unfold(x, 3, padding=1).view(n, c, 9, 1, 1, h, w)
    return (mask * neighbours).sum(2).permute(0, 1, 4, 2, 5, 3).reshape(n, c, 2 * h, 2 * w)


def sampled_where_a_layer_tells(x: Tensor) -> Tensor:
    """Upsampling as in DySample: offsets are shuffled to the size of the output, and looked up there."""
    offsets = F.pixel_shuffle(conv(x, 12)[:, :8], 2).permute(0, 2, 3, 1)
    return F.grid_sample(conv(x), offsets.tanh(), align_corners=False)


def looked_up_in_correlations(x: Tensor) -> Tensor:
    """All pairs of pixels as in RAFT, a pooled map for each of them, and values of it."""
    pixels = conv(x).flatten(2)
    maps = (pixels.transpose(1, 2) @ pixels).reshape(-1, 1, 8, 12)
    found = F.grid_sample(F.avg_pool2d(maps, 2), torch.zeros(192, 3, 1, 2), align_corners=True)
    return F.interpolate(found.view(2, 8, 12, 3).permute(0, 3, 1, 2), scale_factor=2)


def frames_doubled_per_pixel(x: Tensor) -> Tensor:
    n, t, c, h, w = film_of(x).shape
    signals = film_of(x).permute(0, 3, 4, 2, 1).reshape(n * h * w, c, t)
    signals = F.conv1d(signals, WEIGHTS.view(27, c)[:6, :, None]).view(-1, 3, 2, t).transpose(2, 3)
    return signals.reshape(-1, 3, 2 * t).view(n, h, w, 3, 2 * t).permute(0, 3, 4, 1, 2)


Expected = list[tuple[str, tuple[float, ...], tuple[float, ...]]]
SITES: dict[str, tuple[Any, Tensor, Expected]] = {
    "shuffle, no batch": (lambda x: F.pixel_shuffle(conv(x, 12), 2), IMAGE[0], [("pixel_shuffle", (2, 2), (2, 2))]),
    "transposed, no batch": (
        lambda x: F.conv_transpose2d(conv(x), DECONV, stride=2),
        IMAGE[0],
        [("conv_transpose2d", (2, 2), (2, 2))],
    ),
    "shuffle of frames": (lambda x: F.pixel_shuffle(film_of(x), 2), FILM, [("pixel_shuffle", (2, 2), (1, 2, 2))]),
    "rows repeated, channels last": (
        lambda x: F.linear(x, torch.eye(3)).repeat_interleave(2, 1).repeat_interleave(3, 2),
        PIXELS,
        [("repeat_interleave", (2, 1), (2, 1)), ("repeat_interleave", (1, 3), (1, 3))],
    ),
    "frames repeated": (
        lambda x: film_of(x).repeat_interleave(2, dim=1),
        FILM,
        [("repeat_interleave", (2, 1, 1), (2, 1, 1))],
    ),
    "tokens": (tokens_grown_twice, IMAGE, [("reshape", (2, 2), (4, 4)), ("reshape", (2, 2), (2, 2))]),
    "where a layer tells": (
        sampled_where_a_layer_tells,
        IMAGE,
        [("pixel_shuffle", (2, 2), (2, 2)), ("grid_sample", (2, 2), (2, 2))],
    ),
    "both of what has grown": (
        lambda x: sampled_where_a_layer_tells(F.interpolate(conv(x), scale_factor=3)),
        IMAGE,
        [("interpolate", (3, 3), (6, 6)), ("pixel_shuffle", (2, 2), (2, 2)), ("grid_sample", (2, 2), (2, 2))],
    ),
    "correlations": (looked_up_in_correlations, IMAGE, [("interpolate", (2, 2), (2, 2))]),
    "convex": (convex, IMAGE, [("reshape", (2, 2), (2, 2))]),
    "frames of each pixel": (frames_doubled_per_pixel, FILM, [("reshape", (2,), (2, 1, 1))]),
    "turned by a quarter": (
        lambda x: conv(torch.rot90(F.interpolate(conv(x), scale_factor=(3, 2)), 1, (2, 3))),
        IMAGE,
        [("interpolate", (3, 2), (2, 3))],
    ),
    "permuted video": (
        lambda x: F.interpolate(x.permute(0, 2, 3, 4, 1), scale_factor=(1.0, 1.0, 2.0)).permute(0, 1, 4, 2, 3),
        FILM,
        [("interpolate", (1, 1, 2), (2, 1, 1))],
    ),
    "pooled by hand": (
        lambda x: F.interpolate(conv(x), scale_factor=6).view(2, 3, 24, 2, 24, 3).mean((3, 5)),
        IMAGE,
        [("interpolate", (6, 6), (3, 2))],
    ),
    "latents like channels-last images": (
        lambda x: F.conv_transpose2d(F.conv2d(x, torch.ones(3, 8, 1, 1)), DECONV[..., :1], stride=(2, 1)),
        torch.rand(1, 8, 8, 12),
        [("conv_transpose2d", (2, 1), (2, 1))],
    ),
}
"""Name -> what makes images grow, of what, and its sites with their scales and periods."""


@pytest.mark.parametrize("name", SITES)
def test_sites_and_periods_are_those_of_the_image(name: str) -> None:
    function, x, expected = SITES[name]
    model = AnyForward(function)
    with artifactlab.capture(model) as cap, torch.no_grad():
        model(x)
    assert [(found.site.op, found.site.scale, found.site.period) for found in cap.sites] == expected
    assert cap.unseen == ()


@pytest.mark.parametrize("name", SITES)
def test_a_replacement_is_put_back_where_it_came_from(name: str) -> None:
    function, x, expected = SITES[name]
    seen: list[tuple[int, ...]] = []

    def again(visit: Visit) -> Tensor:
        seen.append(tuple(visit.growth.output.shape[2:]))
        return visit.growth.output * 1.0

    model = AnyForward(function)
    with torch.no_grad():
        plain = model(x)
        with watch(model, again):
            assert torch.equal(model(x), plain)
    assert [len(space) for space in seen] == [len(scale) for _, scale, _ in expected]


def test_text_that_is_repeated_for_each_frame_of_a_batch_is_no_growth() -> None:
    def conditioned(x: Tensor) -> Tensor:
        text = F.linear(torch.rand(2, 7, 3) + x.mean(), torch.eye(3)).repeat_interleave(5, dim=0)
        return F.interpolate(conv(x.flatten(0, 1)) + text.mean((1, 2)).view(-1, 1, 1, 1), scale_factor=2)

    model = AnyForward(conditioned)
    with artifactlab.capture(model) as cap, torch.no_grad():
        model(FILM)
    assert [found.site.op for found in cap.sites] == ["interpolate"]


def test_keys_that_are_repeated_for_groups_of_queries_are_no_growth() -> None:
    def grouped(x: Tensor) -> Tensor:
        tokens = conv(x, 12).flatten(2).transpose(1, 2)
        query = tokens.view(2, 96, 4, 3).transpose(1, 2)
        keys = F.linear(tokens, torch.eye(12)[:6]).view(2, 96, 2, 3).transpose(1, 2).repeat_interleave(2, dim=1)
        seen = F.scaled_dot_product_attention(query, keys, keys).transpose(1, 2).reshape(2, 96, 12)
        return F.pixel_shuffle(seen.transpose(1, 2).view(2, 12, 8, 12), 2)

    model = AnyForward(grouped)
    with artifactlab.capture(model) as cap, torch.no_grad():
        model(IMAGE)
    assert [found.site.op for found in cap.sites] == ["pixel_shuffle"]


def test_heads_that_are_laid_beside_tokens_are_no_growth() -> None:
    seen: list[str] = []
    model = AnyForward(lambda x: F.linear(x, torch.eye(12)).view(2, 7, 4, 3).reshape(2, 28, 3))
    with watch(model, lambda visit: seen.append(str(visit.key))), torch.no_grad():
        model(torch.rand(2, 7, 12))
    assert seen == []
