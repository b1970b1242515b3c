"""Calls keep what is known of axes: which entry goes where is compared with tensors of indices."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from artifactlab.attribution.sites.axes import Axes, axes_of_images, axis_of, direction_of, role_of, size_of
from artifactlab.attribution.sites.axis_flow import AxisFlow
from artifactlab.attribution.sites.axis_indices import written
from artifactlab.models.tensor_table import given_tensors

SHAPE = (2, 12, 8, 6)
IMAGES = axes_of_images(SHAPE)


class Followed(TorchFunctionMode):
    """Follows the axes of all that is computed in it."""

    def __init__(self) -> None:
        super().__init__()
        self.flow = AxisFlow()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        self.flow.called(func, args, kwargs or {}, given_tensors(args, kwargs or {}), output)
        return output


def axes_after(function: Any, x: Tensor | None = None, axes: Axes = IMAGES) -> tuple[Tensor, Axes | None]:
    x = torch.rand(SHAPE) if x is None else x
    followed = Followed()
    followed.flow.set(x, axes)
    with followed:
        output = function(x)
    return output, followed.flow.of(output)


MOVED: dict[str, Any] = {
    "permute": lambda x: x.permute(0, 2, 3, 1),
    "torch.permute": lambda x: torch.permute(x, (3, 1, 0, 2)),
    "transpose": lambda x: x.transpose(-1, 1),
    "swapaxes": lambda x: torch.swapaxes(x, 2, 3),
    "movedim": lambda x: x.movedim((0, 1), (2, 3)),
    "mT": lambda x: x.mT,
    "rot90": lambda x: torch.rot90(x, 1, (2, 3)),
    "rot90 thrice": lambda x: x.rot90(3, (1, 3)),
    "rot90 twice": lambda x: torch.rot90(x, 2, (2, 3)),
    "in place": lambda x: x.transpose_(2, 3),
    "flip": lambda x: x.flip(3),
    "unsqueezed": lambda x: x.unsqueeze(2),
    "squeezed": lambda x: x[:, None].transpose(1, 3).squeeze(3),
    "picked": lambda x: x.select(1, 3),
    "unbound": lambda x: x.unbind(2)[1],
    "indexed": lambda x: x[:, 0, None, ..., 1:3],
    "rows picked": lambda x: x[..., torch.tensor([1, 0, 5]), :],
    "mean": lambda x: x.mean((2, 3)),
    "kept mean": lambda x: x.mean(1, keepdim=True),
    "sum": lambda x: torch.sum(x, dim=-1),
    "norm": lambda x: x.norm(dim=1),
    "norm of rows": lambda x: torch.linalg.vector_norm(x, 2, (2, 3), keepdim=True),
    "argmax": lambda x: x.argmax(1),
    "largest": lambda x: x.max(1)[0],
    "view": lambda x: x.view(2, 3, 4, 48),
    "flattened": lambda x: x.flatten(2).transpose(1, 2),
    "unflattened": lambda x: x.flatten(2).unflatten(2, (8, 6)),
}
"""Name -> calls that only move entries, or leave axes out."""


@pytest.mark.parametrize("name", MOVED)
def test_axes_after_a_call_are_those_along_which_its_entries_vary(name: str) -> None:
    output, axes = axes_after(MOVED[name])
    assert axes is not None
    assert tuple(map(size_of, axes)) == output.shape
    for number, (role, direction) in enumerate([("batch", None), ("features", None), ("places", 1), ("places", 0)]):
        ramp = torch.arange(1.0, SHAPE[number] + 1).view([-1 if k == number else 1 for k in range(4)]).expand(SHAPE)
        moved = MOVED[name](ramp.clone() if name == "in place" else ramp.contiguous())
        for k in range(moved.ndim):
            has = any(factor.role == role and factor.direction == direction for factor in axes[k])
            assert has or bool((moved == moved.narrow(k, 0, 1)).all()), (name, k, role)


def test_the_larger_of_two_keeps_axes() -> None:
    _, axes = axes_after(lambda x: torch.max(x, x.relu()))
    assert axes == IMAGES


def test_convolutions_run_over_places_whatever_a_shape_suggested() -> None:
    latents = torch.rand(1, 16, 16, 24)  # could be channels-last images of 24 features
    flow = AxisFlow()
    flow.start(((latents,), {}))
    output = F.conv2d(latents, torch.rand(3, 16, 1, 1))
    flow.called(F.conv2d, (latents,), {}, [latents], output)
    assert [direction_of(axis) for axis in flow.of(output) or ()] == [None, None, 1, 0]


def test_each_image_of_several_batch_axes_is_shuffled() -> None:
    film = torch.rand(2, 5, 12, 8, 6)
    axes = (axis_of(2, "batch"), axis_of(5, "batch"), *IMAGES[1:])
    _, after = axes_after(lambda x: F.pixel_shuffle(x, 2), film, axes)
    assert after is not None
    assert [role_of(axis) for axis in after] == ["batch", "batch", "features", "places", "places"]


def test_a_product_has_the_rows_of_the_first_and_the_columns_of_the_second() -> None:
    tokens, axes = torch.rand(2, 7, 7), (axis_of(2, "batch"), axis_of(7, "places", 0), axis_of(7, "features"))
    _, pairs = axes_after(lambda x: x @ x.mT, tokens, axes)
    assert pairs == (axes[0], axes[1], axes[1])
    _, covariance = axes_after(lambda x: torch.bmm(x.mT, x), tokens, axes)
    assert covariance == (axes[0], axes[2], axes[2])


def test_attention_is_where_the_queries_are_and_has_what_the_values_have() -> None:
    query, axes = torch.rand(2, 7, 5), (axis_of(2, "batch"), axis_of(7, "places", 0), axis_of(5, "features"))
    value = (axes[0], axis_of(7, "features"), axis_of(5, "places", 1))
    followed, values = Followed(), torch.rand(2, 7, 5)
    followed.flow.set(query, axes)
    followed.flow.set(values, value)
    with followed:
        output = F.scaled_dot_product_attention(query, query, values)
    assert followed.flow.of(output) == (*axes[:2], value[2])


def test_classes_and_codes_have_features_of_their_own() -> None:
    labels = torch.randint(0, 5, (2, 8, 6))
    axes = (IMAGES[0], *IMAGES[2:])
    _, after = axes_after(lambda x: F.one_hot(x, 5).permute(0, 3, 1, 2), labels, axes)
    assert after == (IMAGES[0], axis_of(5, "features"), *IMAGES[2:])
    codebook = nn.Embedding(5, 7)
    _, after = axes_after(lambda x: codebook(x), labels, axes)
    assert after == (*axes, axis_of(7, "features"))


def test_a_spectrum_becomes_a_signal() -> None:
    _, axes = axes_after(lambda x: torch.istft(x, 16, window=torch.ones(16)), torch.rand(2, 9, 8) + 0j, IMAGES[:3])
    assert axes == (axis_of(2, "batch"), axis_of(28, "places", 0))


def test_frames_that_are_repeated_are_places_and_a_batch_stays_one() -> None:
    film, axes = torch.rand(2, 5, 3, 8, 6), (axis_of(2, "batch"), axis_of(5, "batch"), axis_of(3, "features"))
    _, after = axes_after(lambda x: x.repeat_interleave(2, dim=1), film, (*axes, *IMAGES[2:]))
    assert after is not None
    assert after[1] == axis_of(10, "places", 2)
    _, after = axes_after(lambda x: x.repeat_interleave(2, dim=0))
    assert after == (axis_of(4, "batch"), *IMAGES[1:])


@pytest.mark.parametrize(
    ("index", "shape", "stacked"),
    [
        ((slice(None), 2), (2, 5, 12, 8, 6), 1),
        ((slice(None), slice(None), 0), (2, 12, 5, 8, 6), 2),
        ((..., slice(0, 4), slice(0, 3)), (2, 12, 16, 12), None),
        (1, (5, 2, 12, 8, 6), 0),
    ],
    ids=["second", "third", "tiles", "first"],
)
def test_what_is_written_one_by_one_is_stacked(index: Any, shape: tuple[int, ...], stacked: int | None) -> None:
    axes = written(IMAGES, index, shape)
    assert axes is not None
    assert tuple(map(size_of, axes)) == shape
    assert [k for k, axis in enumerate(axes) if role_of(axis) == "stacked"] == ([] if stacked is None else [stacked])


def test_what_is_written_by_a_mask_is_not_known() -> None:
    assert written(IMAGES, torch.ones(SHAPE, dtype=torch.bool), SHAPE) is None
    assert written(IMAGES, (0, 0), SHAPE) is None


def test_constants_are_what_is_made_of_weights_alone() -> None:
    followed, weight, x = Followed(), nn.Parameter(torch.rand(3)), torch.rand(3)
    with followed:
        embedding, mixed = torch.arange(3) * 2 * weight, x * weight
    assert followed.flow.is_constant(embedding)
    assert not followed.flow.is_constant(mixed)
