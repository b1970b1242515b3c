"""Whatever a model takes or returns, a diagnosis works or says in one line why not, and a capture disturbs nothing."""

from __future__ import annotations

import collections
import copy
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import artifactlab
from artifactlab.errors import ArtifactLabError, InputError, ModelError
from artifactlab.models.outputs import is_image, tensors

IMAGE = torch.rand(1, 3, 48, 48, generator=torch.Generator().manual_seed(0))
Pair = collections.namedtuple("Pair", "a b")


class Net(nn.Module):
    """An upsampler, and what is made of its output."""

    def __init__(self, made: Callable[[Tensor], Any]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.up = nn.ConvTranspose2d(3, 3, 4, 2, 1)
        self.made = made

    def forward(self, x: Tensor) -> Any:
        return self.made(self.up(x))


class Unspeakable(Exception):
    """An error whose message is one."""

    def __str__(self) -> str:
        raise ValueError


def in_itself(y: Tensor) -> list[Any]:
    values: list[Any] = [y]
    values.append(values)
    return values


def in_its_own_dict(y: Tensor) -> dict[str, Any]:
    values: dict[str, Any] = {"y": y}
    values["again"] = (values, [values])
    return values


def deep(y: Tensor) -> Any:
    for _ in range(5000):
        y = [y]  # type: ignore[assignment]
    return y


def leaves(y: Tensor) -> None:
    sys.exit(0)


def fails_to_say_why(y: Tensor) -> None:
    raise Unspeakable


REFUSED = {
    "empty": lambda y: y[:0],
    r"\(1, 0, 96, 96\)": lambda y: y[:, :0],
    "sparse_coo": lambda y: y.to_sparse(),
    "sparse_csr": lambda y: y[0, 0].to_sparse_csr(),
    "mkldnn": lambda y: y.to_mkldnn(),
    "nested": lambda y: torch.nested.nested_tensor([y[0], y[0]]),
    "meta device": lambda y: y.to("meta"),
    "complex64": lambda y: y.to(torch.complex64),
    r"nothing but 1: nothing can be measured": lambda y: (y[:, :1] > -9).long(),
    "cannot be read": lambda y: y.to(torch.float8_e4m3fn),
    "NoneType": lambda y: None,
    "got list": deep,
    "SystemExit": leaves,
    "Unspeakable": fails_to_say_why,
    "NaN or Inf": lambda y: y / 0,
    r"\\n": lambda y: {"a\nb": y[:0]},
}
TAKEN = {
    "list in itself": in_itself,
    "dict in itself": in_its_own_dict,
    "named tuple": lambda y: Pair(y, None),
    "double": lambda y: y.double(),
    "view": lambda y: torch._neg_view(y),
    "beside an empty one": lambda y: (y[:0], y),
    "beside a sparse one": lambda y: (y.to_sparse(), y),
}


@pytest.mark.filterwarnings("ignore:.*(nested tensors|Sparse CSR).*")
@pytest.mark.parametrize("said", REFUSED)
def test_an_output_that_is_no_image_is_refused_in_one_line(said: str) -> None:
    with pytest.raises(ArtifactLabError, match=said) as error:
        artifactlab.diagnose(Net(REFUSED[said]), IMAGE, data_range=1.0)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("made", TAKEN.values(), ids=TAKEN)
def test_an_output_that_holds_an_image_is_diagnosed(made: Callable[[Tensor], Any], fast: bool) -> None:
    diagnosis = artifactlab.diagnose(Net(made), IMAGE, data_range=1.0, fast=fast)
    assert [found.site.key for found in diagnosis.sites] == ["up/conv_transpose2d#0"]


@pytest.mark.filterwarnings("ignore:.*(nested tensors|Sparse CSR).*")
@pytest.mark.parametrize("made", [REFUSED[name] for name in REFUSED if "Sys" not in name and "Un" not in name])
def test_a_capture_lets_every_model_run(made: Callable[[Tensor], Any]) -> None:
    model = Net(made)
    with artifactlab.capture(model) as seen:
        model(IMAGE)
    assert [found.site.key for found in seen.sites] == ["up/conv_transpose2d#0"]


def test_an_output_whose_size_changes_from_pass_to_pass_is_refused() -> None:
    sizes = iter(range(1, 100))
    with pytest.raises(ModelError, match="for the same input"):
        artifactlab.diagnose(Net(lambda y: F.pad(y, (0, next(sizes)))), IMAGE, data_range=1.0)


def test_a_model_on_meta_is_told_to_load_its_weights() -> None:
    with pytest.raises(ModelError, match="meta device, where weights have no values; load them"):
        artifactlab.diagnose(nn.ConvTranspose2d(3, 3, 4, 2, 1).to("meta"), IMAGE, data_range=1.0)


@pytest.mark.filterwarnings("ignore:.*nested tensors.*")
def test_inputs_that_are_no_dense_tensors_are_refused() -> None:
    nested = torch.nested.nested_tensor([IMAGE[0], IMAGE[0]])
    strange = [IMAGE.to_sparse(), nested, IMAGE.to("meta"), IMAGE.to(torch.float8_e4m3fn)]
    for item in [*strange, (IMAGE, in_itself(IMAGE)), (IMAGE, deep(IMAGE))]:
        with pytest.raises(InputError, match=r"^input 0 "):
            artifactlab.diagnose(Net(copy.copy), item, data_range=1.0)


class Heads(nn.Module):
    """A mask head that runs on nothing where nothing was detected, and features without channels."""

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.up, self.head = nn.Upsample(scale_factor=2), head

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        nothing = self.head(x.new_zeros(0, 4, 14, 14))
        return torch.cat([self.up(x), x.new_empty(x.shape[0], 0, 2 * x.shape[2], 2 * x.shape[3])], 1), nothing


class DepthToSpace(nn.Module):
    """By hand, as a reshape."""

    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        return x.reshape(n, c // 4, 2, 2, h, w).permute(0, 1, 4, 2, 5, 3).reshape(n, c // 4, 2 * h, 2 * w)


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
@pytest.mark.parametrize(
    "head",
    [nn.ConvTranspose2d(4, 1, 2, 2), nn.PixelShuffle(2), nn.Upsample(scale_factor=2, mode="bilinear"), DepthToSpace()],
)
def test_what_runs_on_nothing_is_no_site(head: nn.Module) -> None:
    model = Heads(head)
    with artifactlab.capture(model) as seen:
        model(IMAGE)
    assert [found.site.key for found in seen.sites] == ["up/interpolate#0"]
    diagnosis = artifactlab.diagnose(model, IMAGE, data_range=1.0)
    assert [found.site.key for found in diagnosis.sites] == ["up/interpolate#0"]


def test_images_have_values() -> None:
    assert is_image(IMAGE)
    assert not any(map(is_image, (IMAGE[:0], IMAGE[:, :0], IMAGE.to_sparse(), IMAGE.to("meta"), IMAGE > 0)))
    assert [path for path, _ in tensors(in_itself(IMAGE))] == ["[0]"]
