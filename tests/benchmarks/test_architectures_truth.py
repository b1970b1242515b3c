"""The instrument that counts true enlargements: each way to enlarge, and what only looks like one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
CONV, DECONV, LINEAR = nn.Conv2d(8, 16, 3, padding=1), nn.ConvTranspose2d(8, 8, 4, 2, 1), nn.Linear(8, 8)
IMAGE = torch.randn(1, 8, 16, 16)


@pytest.fixture(autouse=True)
def _benchmarks_are_importable(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:  # the scripts' plain names are not for other tests
        if Path(getattr(sys.modules[name], "__file__", None) or "").parent == BENCHMARKS:
            del sys.modules[name]


class Net(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def grown(function, x=IMAGE):
    from architectures_truth import Growths

    net = Net(function)
    return Growths(net, (x,)).watch(lambda: net(x))


def into_slices(x):
    larger = torch.zeros(1, 8, 32, 32)
    larger[..., ::2, ::2] = x
    return CONV(larger)


def zeros_by_padding(x):
    return CONV(nn.functional.pad(x.view(1, 8, 16, 1, 16, 1), [0, 1, 0, 0, 0, 1]).view(1, 8, 32, 32))


def unpatchify(x):
    tokens = LINEAR(x.flatten(2).transpose(1, 2))
    return tokens.view(1, 16, 16, 2, 2, 2).permute(0, 5, 1, 3, 2, 4).reshape(1, 2, 32, 32)


def patch_expanding(x):
    tokens = LINEAR(x.flatten(2).transpose(1, 2))
    tokens = tokens.view(1, 16, 16, 2, 2, 2).permute(0, 1, 3, 2, 4, 5).reshape(1, 1024, 2)
    return nn.functional.layer_norm(tokens, (2,))


def convex_upsampling(x):
    weights = CONV(x)[:, :16].view(1, 1, 4, 2, 2, 16, 16).softmax(2)
    around = nn.functional.unfold(x[:, :2], 2, padding=1, dilation=2).view(1, 2, 4, 1, 1, 16, 16)
    return (weights * around).sum(2).permute(0, 1, 4, 2, 5, 3).reshape(1, 2, 32, 32)


ENLARGING = {
    "deconv": DECONV,
    "pixel_shuffle": lambda x: nn.functional.pixel_shuffle(CONV(x), 2),
    "depth to space": lambda x: CONV(x).view(1, 4, 2, 2, 16, 16).permute(0, 1, 4, 2, 5, 3).reshape(1, 4, 32, 32),
    "repeat_interleave": lambda x: CONV(x).repeat_interleave(2, 2).repeat_interleave(2, 3) + 1,
    "expand": lambda x: CONV(x[:, :, :, None, :, None].expand(1, 8, 16, 2, 16, 2).reshape(1, 8, 32, 32)),
    "zeros by padding": zeros_by_padding,
    "zeros by slices": into_slices,
    "unpatchify": unpatchify,
    "convex upsampling": convex_upsampling,
}


@pytest.mark.parametrize("name", ENLARGING)
def test_each_way_to_enlarge_is_one_growth_of_sixteen_to_thirty_two(name):
    (found,) = grown(ENLARGING[name])
    assert found.counts
    assert (found.before[-2:], found.after[-2:]) == ((16, 16), (32, 32))


def test_tokens_that_each_become_four_are_seen_without_a_picture():
    (found,) = grown(patch_expanding)
    assert found.counts
    assert found.after == (1024,)


def window_attention(x):
    windows = x.view(1, 8, 4, 4, 4, 4).permute(0, 2, 4, 3, 5, 1).reshape(16, 16, 8)
    query, key = (LINEAR(windows).view(16, 16, 2, 4).transpose(1, 2) for _ in range(2))
    mixed = ((query @ key.transpose(-1, -2)).softmax(-1) @ key).transpose(1, 2).reshape(16, 16, 8)
    return CONV(LINEAR(mixed).view(1, 4, 4, 4, 4, 8).permute(0, 5, 1, 3, 2, 4).reshape(1, 8, 16, 16))


def channel_attention(x):
    heads = x.view(1, 2, 4, 256)
    return CONV(((heads @ heads.transpose(-1, -2)).softmax(-1) @ heads).view(1, 8, 16, 16))


LOOKALIKES = {
    "windows put back": window_attention,
    "heads of channels put back": channel_attention,
    "a border repeated": lambda x: CONV(nn.functional.pad(x, [3] * 4, mode="replicate")),
    "a border of zeros": lambda x: CONV(nn.functional.pad(x, [9] * 4)),
    "a first frame repeated": lambda x: CONV(torch.cat([x[..., :1]] * 3 + [x], -1)),
    "a resize to the same size": lambda x: nn.functional.interpolate(x, size=(16, 16), mode="bilinear"),
}


@pytest.mark.parametrize("name", LOOKALIKES)
def test_what_only_looks_like_it_is_no_growth(name):
    assert not grown(LOOKALIKES[name])


def test_a_position_embedding_that_is_resized_and_what_goes_nowhere_do_not_count():
    embedding = torch.randn(1, 8, 4, 4)

    def positions(x):
        nn.functional.interpolate(x, scale_factor=2)
        return x + nn.functional.interpolate(embedding, size=(16, 16))

    assert [found.counts for found in grown(positions)] == [False, False]


def test_a_mean_that_is_spread_over_the_image_does_not_count():
    (found,) = grown(lambda x: nn.functional.interpolate(x.mean((2, 3), keepdim=True), size=(16, 16)))
    assert not found.counts
