"""What inputs stand for, and what is said of those that are none."""

from __future__ import annotations

from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

import artifactlab
from artifactlab.attribution.until_sure import first_and_more
from artifactlab.errors import InputError, ModelError
from artifactlab.models.arguments import check_arguments
from artifactlab.models.calls import Call, as_calls

X = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(4)


class Endless(IterableDataset[Tensor]):
    def __iter__(self) -> Any:
        return repeat(X[0])


def test_a_loaders_batch_is_one_input_without_its_labels() -> None:
    calls = as_calls(DataLoader(TensorDataset(X, LABELS), batch_size=2))
    assert [len(call.args) for call in calls] == [1, 1]
    assert torch.equal(torch.cat([call.args[0] for call in calls]), X)


def test_a_loaders_batch_that_is_a_tensor_or_a_dict_is_taken_whole() -> None:
    assert torch.equal(as_calls(DataLoader(X, batch_size=4))[0].args[0], X)
    rows = [{"x": image, "t": 3} for image in X]
    (call,) = as_calls(DataLoader(rows, batch_size=4))
    assert torch.equal(call.kwargs["x"], X)
    assert call.kwargs["t"].tolist() == [3] * 4


@pytest.mark.parametrize("loader", [DataLoader(range(65)), DataLoader(Endless())])
def test_a_loader_without_an_end_is_refused_with_what_to_write(loader: Any) -> None:
    with pytest.raises(InputError, match="until_sure=SECONDS to diagnose, or a list of the first"):
        as_calls(loader)


def test_a_loader_without_an_end_is_drawn_from_until_sure() -> None:
    loader = DataLoader(Endless(), batch_size=1)
    first, more = first_and_more(loader)
    assert torch.equal(as_calls(first)[0].args[0], X[:1])
    assert torch.equal(next(more), X[:1])


@pytest.mark.parametrize("second", [LABELS, torch.rand(4, 3, 64, 64), torch.rand(4, 1, 32, 32), X.long()])
def test_a_batch_with_its_targets_is_not_taken_for_two_inputs(second: Tensor) -> None:
    with pytest.raises(InputError, match=r"looks like a batch \[x, y\] of a DataLoader.*give x alone"):
        as_calls([X, second])
    with pytest.raises(InputError, match="looks like a batch"):
        first_and_more([X, second])


@pytest.mark.parametrize(
    "inputs", [[X, X], [X[:1], X[:1, :, :16]], [X, X[:2]], [X, X, LABELS], [torch.zeros(1, 8), LABELS]]
)
def test_two_images_of_any_sizes_are_two_inputs(inputs: list[Tensor]) -> None:
    assert len(as_calls(inputs)) == len(inputs)


def test_a_call_is_taken_as_it_is() -> None:
    call = Call((X,), {"t": 3})
    assert as_calls([call, X])[0] is call


CONVERTED = [
    np.zeros((32, 48, 3), np.uint8),
    np.zeros((2, 32, 48, 3), np.float32),
    np.zeros((3, 32, 48), np.float64),
    np.zeros((32, 48), np.uint8),
    Image.new("L", (48, 32)),
]


@pytest.mark.parametrize("given", CONVERTED)
def test_what_other_libraries_have_gets_a_line_that_works(given: Any) -> None:
    with pytest.raises(InputError, match="; give ") as raised:
        as_calls([given])
    written = str(raised.value).partition("; give ")[2]
    made = eval(written, {"torch": torch, "numpy": np, "x": given})
    assert made.dtype == torch.float32
    assert made.shape[-2:] == (32, 48)
    assert made.ndim == 4


def test_a_path_gets_a_line_that_reads_it(tmp_path: Path) -> None:
    Image.new("RGB", (48, 32)).save(tmp_path / "a.png")
    for given in (tmp_path / "a.png", str(tmp_path / "a.png")):
        with pytest.raises(InputError, match=r"a path; give artifactlab\.read_image\(path\)\[None\]"):
            as_calls(given)
    assert artifactlab.read_image(tmp_path / "a.png")[None].shape == (1, 3, 32, 48)
    with pytest.raises(InputError, match=r"a path; give artifactlab\.inputs\.load_inputs\(\[path\]\)"):
        as_calls("mel.npy")


def test_a_list_inside_a_list_says_what_a_batch_is() -> None:
    with pytest.raises(InputError, match=r"input 0 is a list.*batch\[0\]"):
        as_calls([[X, LABELS]])


class Net(nn.Module):
    def __init__(self, channels: int = 3, grid: int = 1) -> None:
        super().__init__()
        self.up, self.grid = nn.ConvTranspose2d(channels, 3, 4, 2, 1), grid

    def forward(self, x: Tensor, timestep: int | Tensor, scale: float = 1.0, *, text: Tensor | None = None) -> Tensor:
        if x.shape[-1] % self.grid:
            raise RuntimeError(f"height must be divisible by {self.grid}")
        if timestep == 13:
            raise KeyError("no such time")
        return self.up(x) * scale


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (X, r"also needs timestep: int \| Tensor; give --arg timestep=500"),
        ({"timestep": 3}, r"also needs x: Tensor; give --arg x=@x\.safetensors"),
        (
            {"x": X, "timestep": 3, "prompt": 1},
            r"no argument 'prompt'; it takes x: Tensor, timestep: int \| Tensor, scale",
        ),
        ((X, 3, 1.0, 4), "4 arguments by position"),
        (Call((X,), {"x": X, "timestep": 3}), "x of the model's forward is given by position and by name"),
    ],
)
def test_what_forward_lacks_is_named_before_anything_runs(inputs: Any, message: str) -> None:
    model = Net()
    model.up.register_forward_hook(lambda *_: pytest.fail("it ran"))
    with pytest.raises(InputError, match=message):
        artifactlab.diagnose(model, inputs)


def test_hooks_may_give_what_is_missing() -> None:
    model = Net()
    with pytest.raises(InputError, match="timestep"):
        check_arguments(model, as_calls(X))
    model.register_forward_pre_hook(lambda module, args: (*args, 3))
    check_arguments(model, as_calls(X))


def failure(model: nn.Module, *inputs: Any) -> str:
    with pytest.raises(ModelError) as raised:
        artifactlab.diagnose(model, inputs)
    return str(raised.value)


def test_a_failure_gets_only_the_hint_that_it_speaks_for() -> None:
    assert "--size" in failure(Net(grid=33), X, 3)
    assert failure(Net(grid=33), X, 13).count("(") == 1 + 1  # the shape's, and the hint's
    assert "no such time" in failure(Net(), X, 13)
    assert not failure(Net(), X, 13).endswith(")")
    assert "--gray" in failure(Net(channels=1), X, 3)
    assert "leave out --gray" in failure(Net(), X[:, :1], 3)


def test_who_gives_a_picture_to_a_generator_is_told_what_codes_it_takes() -> None:
    assert "latents are --noise 1x16)" in failure(nn.Linear(16, 64), torch.rand(1, 3, 32, 32))
    assert "crop" not in failure(nn.Linear(16, 64), torch.rand(1, 3, 32, 32))


def test_latents_never_hear_of_crops() -> None:
    latents = torch.rand(1, 4, 32, 32)
    for text in (failure(Net(channels=4, grid=33), latents, 3), failure(Net(channels=8), latents, 3)):
        assert "crop" not in text
        assert "--size" not in text


def test_pixels_of_bytes_and_channels_at_the_end_get_what_to_write() -> None:
    assert "give x.float() / 255" in failure(Net(), (255 * X).byte(), 3)
    assert "give x.permute(0, 3, 1, 2)" in failure(Net(), X.permute(0, 2, 3, 1), 3)
    assert "give x.permute(2, 0, 1)[None].float() / 255" in failure(Net(), (255 * X[0]).permute(1, 2, 0).byte(), 3)


def test_what_lies_beside_the_input_is_not_taken_for_images() -> None:
    """A text (1, 7, 16) has a batch axis; the channels are what is wrong."""
    model = Net(channels=8)
    with pytest.raises(ModelError, match=r"\(it takes 8 channels"):
        artifactlab.diagnose(model, {"x": torch.rand(1, 4, 32, 32), "timestep": 3, "text": torch.rand(1, 7, 16)})


def test_a_video_for_a_net_of_images_gets_the_order_of_axes_that_it_takes() -> None:
    class OfFrames(Net):
        def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
            return self.up(x.flatten(0, 1)).unflatten(0, x.shape[:2])

    video = torch.rand(1, 3, 8, 32, 32)
    assert "give x.transpose(1, 2), (N, T, C, H, W); of files --input-layout NTCHW" in failure(OfFrames(), video)
    assert "give x[0].transpose(0, 1), a batch of its frames" in failure(nn.Sequential(Net().up), video)


def test_a_volume_that_does_not_halve_gets_a_size_that_does() -> None:
    class Skips(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.down, self.up = nn.Conv3d(1, 1, 3, 2, 1), nn.ConvTranspose3d(1, 1, 2, 2)

        def forward(self, x: Tensor) -> Tensor:
            return torch.cat([x, self.up(self.down(x))], 1)

    assert "crop: --size 16x32x32, or x[..., :16, :32, :32]" in failure(Skips(), torch.rand(1, 1, 31, 33, 35))


def test_signals_of_the_wrong_kind_are_not_taken_for_images() -> None:
    vocoder = nn.Sequential(nn.ConvTranspose1d(80, 1, 4, 2, 1))
    assert "it takes 80 channels" in failure(vocoder, torch.rand(1, 1, 512))
    assert "not torch.int16; give x.float()" in failure(vocoder, torch.zeros(1, 80, 64, dtype=torch.int16))


def test_a_signal_without_a_batch_axis_is_diagnosed_as_it_is() -> None:
    vocoder = nn.Sequential(nn.ConvTranspose1d(80, 1, 4, 2, 1))
    diagnosis = artifactlab.diagnose(vocoder, torch.rand(80, 640))
    assert diagnosis.sites[0].site.period == (2,)


def test_labels_get_an_example_that_can_be_typed() -> None:
    def forward(x: Tensor, labels: torch.LongTensor) -> Tensor:
        return x

    model = nn.Module()
    model.forward = forward  # type: ignore[method-assign]
    with pytest.raises(InputError, match=r'--arg labels="\[0\]"'):
        check_arguments(model, as_calls(X))
