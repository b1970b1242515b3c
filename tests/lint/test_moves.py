"""Shuffles and repeats made of reshapes are read for what they do, in any order of channels, and nothing else is."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from artifactlab import lint
from artifactlab.lint.graph import module_graph
from artifactlab.lint.ops import Shuffle

CONV = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}


def spread(x: Tensor, factor: tuple[int, ...], last: bool) -> Tensor:
    """Channels to pixels, one phase after another along the channels, or (`last`) as the slower index of them."""
    batch, _, *space = x.shape
    axes = range(len(factor))
    kept = -1
    x = x.reshape(batch, *((*factor, kept) if last else (kept, *factor)), *space)
    first, phases, places = (1 + len(factor), 1, 2 + len(factor)) if last else (1, 2, 2 + len(factor))
    x = x.permute(0, first, *(index for axis in axes for index in (places + axis, phases + axis)))
    return x.reshape(batch, x.shape[1], *(size * f for size, f in zip(space, factor, strict=True)))


class Spread(nn.Module):
    """A convolution and what spreads its channels."""

    def __init__(self, conv: nn.Module, spreading: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.conv = conv
        self.spreading = spreading

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.spreading(F.relu(self.conv(x))))


def shuffles(model: nn.Module) -> list[Shuffle]:
    return [op.spec for op in module_graph(model).ops if isinstance(op.spec, Shuffle)]


@settings(max_examples=30, deadline=None)
@given(
    factor=st.lists(st.integers(1, 4), min_size=1, max_size=3).filter(lambda factor: max(factor) > 1).map(tuple),
    last=st.booleans(),
)
def test_a_shuffle_of_reshapes_is_read_with_the_channel_of_every_pixel(factor: tuple[int, ...], last: bool) -> None:
    phases = torch.Size(factor).numel()
    conv = CONV[len(factor)](2, 2 * phases, 1)
    (shuffle,) = shuffles(Spread(conv, lambda x: spread(x, factor, last)))
    assert shuffle.factor == factor
    # of channels that hold their own number
    numbers = torch.arange(2 * phases).view(1, -1, *[1] * len(factor)).expand(-1, -1, *[2] * len(factor))
    block = spread(numbers, factor, last)[0]
    block = block[(slice(None), *(slice(f) for f in factor))]
    assert shuffle.sources is not None
    assert torch.equal(shuffle.sources, block.flatten(1))


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("factor", [(3,), (2, 2), (2, 2, 2), (1, 4, 4)])
def test_planted_subkernels_are_named_and_those_alike_are_not(factor: tuple[int, ...], last: bool, found: Any) -> None:
    phases = torch.Size(factor).numel()
    conv = CONV[len(factor)](4, 3 * phases, 3)
    model = Spread(conv, lambda x: spread(x, factor, last))
    assert found(model, "no-icnr", trained=False) == found(model, "unequal-shuffle") == ["conv"]
    alike = torch.arange(3).repeat(phases) if last else torch.arange(3).repeat_interleave(phases)
    with torch.no_grad():
        conv.weight.copy_(conv.weight[alike])
        conv.bias.copy_(conv.bias[alike])
    for trained in (True, False):
        assert lint(model, trained=trained) == ()
    with torch.no_grad():
        conv.bias[0] += 1
    assert found(model, "unequal-shuffle") == ["conv"]


def test_by_hand_and_by_torch_are_read_alike(net: Any, number: Any) -> None:
    conv = nn.Conv2d(4, 12, 3, padding=1)
    by_torch = nn.Sequential(conv, nn.PixelShuffle(2))
    by_hand = Spread(conv, lambda x: spread(x, (2, 2), last=False))
    for rule in ("unequal-shuffle", "border"):
        assert number(by_hand, rule) == number(by_torch, rule)


def test_sizes_may_come_from_a_block_s_input_and_a_causal_first_frame_be_cut() -> None:
    class Temporal(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv3d(4, 32, 3)

        def forward(self, x: Tensor) -> Tensor:
            batch, _, frames, height, width = x.shape
            x = self.conv(F.pad(x, (1, 1, 1, 1, 2, 0), mode="replicate"))
            x = x.reshape(batch, -1, 2, 2, 2, frames, height, width)
            x = x.permute(0, 1, 5, 2, 6, 3, 7, 4).flatten(6, 7).flatten(4, 5).flatten(2, 3)
            return x[:, :, 1:]

    assert [shuffle.factor for shuffle in shuffles(nn.Sequential(Temporal(), Temporal()))] == [(2, 2, 2)] * 2


def test_a_shuffle_inside_a_module_of_its_own_is_read(net: Any, found: Any) -> None:
    shuffle = net(
        lambda self, x: x.view(x.size(0), x.size(1) // 2, 2, -1).transpose(2, 3).reshape(x.size(0), x.size(1) // 2, -1)
    )
    model = nn.Sequential(nn.Conv1d(4, 8, 3), nn.LeakyReLU(), shuffle, nn.Conv1d(4, 4, 3))
    assert found(model, "unequal-shuffle") == ["0"]


def test_modules_that_only_move_are_moves(found: Any) -> None:
    class Swap(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.transpose(2, 3)

    conv = nn.Conv1d(4, 8, 3)
    model = nn.Sequential(conv, nn.Unflatten(1, (4, 2)), Swap(), nn.Flatten(2), nn.Conv1d(4, 4, 3))
    assert found(model, "unequal-shuffle") == ["0"]
    assert found(nn.Sequential(conv, nn.Unflatten(1, (4, 2)), nn.Flatten(2)), "unequal-shuffle") == []


def test_the_functions_of_einops_are_followed_though_they_refuse_stand_ins(
    net: Any, found: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rearrange(x: Any, pattern: str, **lengths: int) -> Tensor:
        if not isinstance(x, Tensor):
            raise TypeError(f"Tensor type unknown to einops {type(x)}")
        assert pattern == "b (c r) t -> b c (t r)"
        return spread(x, (lengths["r"],), last=False)

    einops = ModuleType("einops")
    einops.rearrange = rearrange
    monkeypatch.setitem(sys.modules, "einops", einops)
    model = net(lambda self, x: einops.rearrange(self.conv(x), "b (c r) t -> b c (t r)", r=2), conv=nn.Conv1d(4, 8, 3))
    assert found(model, "not-seen") == []
    assert found(model, "unequal-shuffle") == ["conv"]


@pytest.mark.parametrize(
    "repeat",
    [
        lambda x: x[..., None].expand(-1, -1, -1, 2).reshape(x.shape[0], x.shape[1], -1),
        lambda x: x.unsqueeze(3).repeat(1, 1, 1, 2).flatten(2),
        lambda x: x.view(x.size(0), x.size(1), x.size(2), 1).repeat_interleave(2, dim=3).view(x.size(0), x.size(1), -1),
    ],
)
def test_repeats_by_hand_are_a_nearest_resize(repeat: Any, net: Any, found: Any, number: Any) -> None:
    conv = nn.Conv1d(4, 4, 3, padding=1)
    assert number(net(lambda self, x: repeat(self.conv(x)), conv=conv), "bare-nearest") == (2.0,)
    assert found(net(lambda self, x: self.conv(repeat(self.conv(x))), conv=conv), "bare-nearest") == []


@pytest.mark.parametrize(
    "moves",
    [
        lambda x: x.repeat(1, 1, 2, 2),  # images side by side
        lambda x: x.view(1, 2, 2, 4, *x.shape[2:]).permute(0, 3, 1, 4, 2, 5).reshape(1, 4, 2 * x.shape[2], -1),  # tiles
        lambda x: x.transpose(2, 3),
        lambda x: x.flatten(2).transpose(1, 2),  # tokens
        lambda x: x.reshape(x.size(0), 4, 4, -1),  # heads
        lambda x: x.reshape(-1, 4, 2 * x.shape[2], 2 * x.shape[3]),  # rows of channels, one after the other
        lambda x: x[:, :, ::2, ::2],
        lambda x: x[:, :, 1:, :-1],
        lambda x: x.reshape(x.shape[0], 16, int(x.abs().max()), -1),
    ],
)
def test_other_moves_enlarge_nothing(moves: Any) -> None:
    specs = [op.spec for op in module_graph(Spread(nn.Conv2d(4, 16, 1), moves)).ops]
    assert not any(isinstance(spec, Shuffle) or getattr(spec, "nearest", False) for spec in specs)


def test_a_shuffle_whose_groups_see_different_inputs_has_nothing_to_equal() -> None:
    conv = nn.Conv1d(8, 8, 3, groups=8)
    assert lint(Spread(conv, lambda x: spread(x, (2,), last=False)), trained=False) == ()
    paired = nn.Conv1d(8, 8, 3, groups=2)
    assert lint(Spread(paired, lambda x: spread(x, (2,), last=False)), trained=False) != ()
    assert lint(Spread(paired, lambda x: spread(x, (2,), last=True)), trained=False) == ()


@pytest.mark.parametrize("convert", [torch.as_tensor, torch.asarray, torch.tensor])
def test_what_is_made_a_tensor_is_followed(net: Any, found: Any, convert: Callable[[Any], Tensor]) -> None:
    name = convert.__name__
    model = net(lambda self, x: self.conv(getattr(torch, name)(x)), conv=nn.ConvTranspose2d(4, 4, 3, 2))
    assert found(model, "not-seen") == []
    assert getattr(torch, name) is convert
