"""Growth made by hand beside a known one is found, or the sizes say what is missing; ordinary calls are neither."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import artifactlab

Function = Callable[[Tensor], Any]
SIDE = 24
IMAGE = torch.rand(1, 4, SIDE, SIDE, generator=torch.Generator().manual_seed(3))


class Beside(nn.Module):
    """A known enlargement, and then whatever the function does."""

    def __init__(self, function: Function) -> None:
        super().__init__()
        self.first = nn.Conv2d(4, 4, 3, padding=1)
        self.up = nn.Upsample(scale_factor=2, mode="bilinear")
        self.last = nn.Conv2d(4, 3, 3, padding=1)
        self.function = function

    def forward(self, x: Tensor) -> Any:
        return self.last(self.function(self.up(self.first(x))))


def captured(function: Function) -> tuple[dict[str, tuple[float, float]], tuple[float, float] | None]:
    """Scales of all sites but the known one, and the growth that was not seen."""
    model = Beside(function)
    with artifactlab.capture(model) as cap, torch.no_grad():
        model(IMAGE)
    (unseen,) = cap.unseen or (None,)
    return {s.site.key: s.site.scale for s in cap.sites if s.site.name != "up"}, unseen and unseen.scale


def repeats(x: Tensor, axis: int = -1) -> Tensor:
    """Index of every pixel along an axis, each twice."""
    return torch.arange(2 * x.shape[axis]) // 2


def matrix(x: Tensor, axis: int = -1) -> Tensor:
    """The matrix of linear interpolation, (2n, n)."""
    eye = torch.eye(x.shape[axis])[None]
    return F.interpolate(eye, scale_factor=2, mode="linear")[0].T


def by_gather(x: Tensor) -> Tensor:
    n, c, h, w = x.shape
    x = x.gather(2, repeats(x).view(1, 1, -1, 1).expand(n, c, 2 * h, w))
    return torch.gather(x, 3, repeats(x).view(1, 1, 1, -1).expand(n, c, 2 * h, 2 * w))


def by_zeros(x: Tensor) -> Tensor:
    n, c, h, w = x.shape
    y = x.new_zeros(n, c, 2 * h, 2 * w)
    y[..., ::2, ::2] = x
    return y


def by_phases(x: Tensor) -> Tensor:
    y = by_zeros(x)
    y[..., 1::2, ::2], y[..., ::2, 1::2], y[..., 1::2, 1::2] = x, x, x
    return y


def by_spectrum(x: Tensor) -> Tensor:
    h, w = x.shape[-2:]
    return 4 * torch.fft.irfft2(F.pad(torch.fft.rfft2(x), (0, w // 2, 0, h)), s=(2 * h, 2 * w))


def by_kernel(x: Tensor) -> Tensor:
    """Pixels that a kernel of another library has repeated."""
    return torch.from_numpy(x.detach().numpy().repeat(2, 2).repeat(2, 3))


def by_tokens(x: Tensor) -> Tensor:
    n, c, h, w = x.shape
    pixels = (repeats(x)[:, None] * w + repeats(x)).flatten()
    return x.flatten(2)[..., pixels].view(n, c, 2 * h, 2 * w)


def by_sparse_matrix(x: Tensor) -> Tensor:
    rows = torch.kron(torch.eye(x.shape[-1]), torch.tensor([[1.0], [0.0]]))
    return rows @ x @ rows.T


def by_view_as(x: Tensor) -> Tensor:
    n, c, h, w = x.shape
    pixels = x[:, :, :, None, :, None].expand(n, c, h, 2, w, 2).contiguous().view(-1)
    return pixels.view_as(x.new_empty(n, c, 2 * h, 2 * w))


aten = torch.ops.aten
HAND_MADE: dict[str, tuple[Function, str]] = {
    "index": (lambda x: x[:, :, repeats(x)][..., repeats(x)], "getitem"),
    "index of both": (lambda x: x[:, :, repeats(x)[:, None], repeats(x)], "getitem"),
    "index_select": (lambda x: x.index_select(2, repeats(x)).index_select(3, repeats(x)), "index_select"),
    "gather": (by_gather, "gather"),
    "take_along_dim": (
        lambda x: torch.take_along_dim(
            torch.take_along_dim(x, repeats(x).view(1, 1, -1, 1), 2), repeats(x).view(1, 1, 1, -1), 3
        ),
        "take_along_dim",
    ),
    "kron": (lambda x: torch.kron(x, torch.ones(1, 1, 2, 2)), "kron"),
    "einsum": (lambda x: torch.einsum("ih,jw,nchw->ncij", matrix(x), matrix(x), x), "einsum"),
    "einsum of each axis": (
        lambda x: torch.einsum("ih,nchw->nciw", matrix(x), torch.einsum("iw,nchw->nchi", matrix(x), x)),
        "einsum",
    ),
    "matmul": (lambda x: matrix(x) @ x @ matrix(x).T, "matmul"),
    "torch.matmul": (lambda x: torch.matmul(torch.matmul(matrix(x), x), matrix(x).T), "matmul"),
    "aten nearest": (lambda x: aten.upsample_nearest2d(x, [4 * SIDE] * 2), "interpolate"),
    "aten nearest, overload": (
        lambda x: aten.upsample_nearest2d.vec(x, None, [2.0, 2.0]),
        "interpolate",
    ),
    "aten bilinear": (lambda x: aten.upsample_bilinear2d(x, [4 * SIDE] * 2, False), "interpolate"),
    "aten bicubic": (lambda x: aten.upsample_bicubic2d.default(x, [4 * SIDE] * 2, False), "interpolate"),
    "aten shuffle": (lambda x: aten.pixel_shuffle(x.repeat(1, 4, 1, 1), 2), "pixel_shuffle"),
    "aten transposed": (
        lambda x: aten.conv_transpose2d(x, torch.ones(4, 4, 2, 2), None, [2, 2]),
        "conv_transpose2d",
    ),
    "torch._C._nn": (lambda x: torch._C._nn.upsample_nearest2d(x, [4 * SIDE] * 2), "upsample_nearest2d"),
    "adaptive pooling": (lambda x: F.adaptive_avg_pool2d(x, 4 * SIDE), "adaptive_avg_pool2d"),
    "grid_sampler": (
        lambda x: torch.grid_sampler(x, torch.zeros(1, 4 * SIDE, 4 * SIDE, 2), 0, 0, False),
        "grid_sample",
    ),
    "stack and reshape": (lambda x: torch.stack([torch.stack([x, x], 4).flatten(3)] * 2, 3).flatten(2, 3), "reshape"),
    "expand and reshape": (
        lambda x: x[:, :, :, None, :, None].expand(-1, -1, -1, 2, -1, 2).reshape(1, 4, 4 * SIDE, 4 * SIDE),
        "reshape",
    ),
    "zeros between pixels": (by_zeros, ""),
    "four phases": (by_phases, ""),
    "padded spectrum": (by_spectrum, ""),
    "another library": (by_kernel, ""),
    "index of tokens": (by_tokens, ""),
    "view_as": (by_view_as, "reshape"),
    "vmap": (lambda x: torch.vmap(lambda t: F.interpolate(t[None], scale_factor=2)[0])(x), ""),
    "zeros by a matrix": (by_sparse_matrix, ""),
}
"""Name -> what doubles both sides, and the operation of its sites; none where only the sizes tell."""


@pytest.mark.parametrize("name", HAND_MADE)
def test_hand_made_growth_beside_a_known_one_is_found_or_missed_aloud(name: str) -> None:
    function, operation = HAND_MADE[name]
    sites, unseen = captured(function)
    if operation:
        assert {key.split("#")[0] for key in sites} == {operation}
        assert [math.prod(scale[axis] for scale in sites.values()) for axis in (0, 1)] == [2, 2]
        assert unseen is None
    else:
        assert (sites, unseen) == ({}, (2, 2))


class In(nn.Module):
    """A module within the model, with a known growth of its own."""

    def __init__(self, function: Function) -> None:
        super().__init__()
        self.function, self.up = function, nn.Upsample(scale_factor=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.up(self.function(x))


@pytest.mark.parametrize("name", [name for name, (_, operation) in HAND_MADE.items() if not operation])
def test_what_is_not_seen_in_a_module_is_the_rest_of_its_growth(name: str) -> None:
    function, _ = HAND_MADE[name]
    sites, unseen = captured(In(function))
    assert sites == {"function.up/interpolate#0": (2, 2), "function/module#0": (2, 2)}
    assert unseen is None


def attention(x: Tensor) -> Tensor:
    n, c, h, w = x.shape
    q = x.view(n, 2, c // 2, h * w).transpose(2, 3)
    return x + (torch.softmax(q @ q.transpose(2, 3), -1) @ q).transpose(2, 3).reshape(n, c, h, w)


def windows(x: Tensor) -> Tensor:
    split = x.view(1, 4, 6, 8, 6, 8).permute(0, 2, 4, 1, 3, 5).reshape(36, 4, 8, 8)
    return (split * 2).view(1, 6, 6, 4, 8, 8).permute(0, 3, 1, 4, 2, 5).reshape(1, 4, 48, 48)


def heads(x: Tensor) -> Tensor:
    y = x.permute(0, 2, 3, 1)
    n, h, w, c = y.shape
    q = y.reshape(n, h * w, 2, c // 2).permute(0, 2, 1, 3)
    merged = q.view(n, 2, h, w, c // 2).permute(0, 2, 3, 1, 4).reshape(n, h, w, c)
    return merged.permute(0, 3, 1, 2)


def class_token(x: Tensor) -> Tensor:
    tokens = torch.cat([torch.zeros(1, 1, 4).tile(1, 1, 1), x.flatten(2).transpose(1, 2)], 1)
    return tokens[:, 1:].transpose(1, 2).view_as(x)


def widened(x: Tensor) -> Tensor:
    y = x.permute(0, 2, 3, 1)
    up, down = torch.rand(4, 16), torch.rand(16, 4)
    return (y @ up @ down).permute(0, 3, 1, 2)


ORDINARY: dict[str, Function] = {
    "pad": lambda x: F.pad(x, (24, 24, 24, 24), mode="reflect")[..., 24:-24, 24:-24],
    "pad of nothing": lambda x: F.pad(x, (48, 48, 48, 48)),
    "images side by side": lambda x: torch.cat([torch.cat([x, x], 2)] * 2, 3),
    "tiles of the image": lambda x: x.repeat(1, 1, 2, 2),
    "tiles by index": lambda x: x[:, :, torch.arange(96) % 48][..., torch.arange(96) % 48],
    "cumsum": lambda x: x.cumsum(2),
    "expanded bias": lambda x: x + torch.rand(4, 1, 1).expand(4, 48, 48),
    "pooled and spread": lambda x: x * F.adaptive_avg_pool2d(x, 1).expand(1, 4, 48, 48),
    "position maps": lambda x: x + torch.rand(1, 1, 48, 1) + torch.rand(1, 1, 1, 48),
    "attention": attention,
    "heads": heads,
    "windows and back": windows,
    "class token": class_token,
    "crop": lambda x: x[..., 4:-4, 4:-4],
    "roll": lambda x: torch.roll(x, (4, 4), (2, 3)),
    "widened features": widened,
    "halves put together": lambda x: torch.cat([part * 2 for part in x.chunk(2, 3)], 3),
    "shrunk and shuffled": lambda x: F.pixel_unshuffle(x, 2)[:, :4],
    "one value": lambda x: x.mean((2, 3), keepdim=True).expand_as(x),
}
"""Name -> what is no upsampling."""


@pytest.mark.parametrize("name", ORDINARY)
def test_ordinary_calls_are_no_sites_and_nothing_is_missed(name: str) -> None:
    assert captured(ORDINARY[name]) == ({}, None)


def test_encoders_of_odd_sizes_lose_no_pixels_that_a_decoder_would_have_to_find() -> None:
    class UNet(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.downs = nn.ModuleList(nn.Conv2d(4, 4, 3, stride=2, padding=1) for _ in range(5))

        def forward(self, x: Tensor) -> Tensor:
            skips = []
            for down in self.downs:
                skips.append(x)
                x = down(x)
            for skip in reversed(skips):
                x = F.interpolate(x, skip.shape[2:]) + skip
            return x

    for side in (17, 33, 65, 100):
        model = UNet()
        with artifactlab.capture(model) as cap, torch.no_grad():
            model(torch.rand(1, 4, side, side))
        assert cap.unseen == ()


def test_tiles_are_put_together_without_a_word() -> None:
    class Tiled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.up = nn.Upsample(scale_factor=2)

        def forward(self, x: Tensor) -> Tensor:
            whole, count = x.new_zeros(1, 4, 128, 128), x.new_zeros(1, 1, 128, 128)
            for top in (0, 24, 48):
                for left in (0, 24, 48):
                    tile = (..., slice(2 * top, 2 * top + 32), slice(2 * left, 2 * left + 32))
                    whole[tile] += self.up(x[..., top : top + 16, left : left + 16])
                    count[tile] += 1
            return whole / count.clamp(1)

    model = Tiled()
    with artifactlab.capture(model) as cap, torch.no_grad():
        model(torch.rand(1, 4, 64, 64))
    assert ({found.site.op for found in cap.sites}, cap.unseen) == ({"interpolate"}, ())
