"""Whatever a forward pass writes to comes back bit-identical, and what nothing writes to is not copied."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import artifactlab
from artifactlab.models.state import ModelState


def times_two(net: Net) -> None:
    net.weight.mul_(2)


def times_two_behind_the_version_counter(net: Net) -> None:
    net.weight.data.mul_(2)


def one_row_of_a_view(net: Net) -> None:
    net.weight.detach()[0, 0].t()[1].fill_(7)


def other_memory(net: Net) -> None:
    net.weight.data = torch.full_like(net.weight, 3.0)


def other_storage(net: Net) -> None:
    net.weight.set_(torch.full_like(net.weight, 3.0))


def other_shape(net: Net) -> None:
    net.weight.data = net.weight.data[:, :1]


def upside_down(net: Net) -> None:
    net.weight.data.transpose_(2, 3)
    net.weight.transpose_(2, 3)


def several_at_once(net: Net) -> None:
    torch._foreach_mul_([net.weight.data, net.steps], 1.5)


def into_an_out_argument(net: Net) -> None:
    torch.add(net.weight.detach(), 1, out=net.weight.data)


def another_parameter(net: Net) -> None:
    net.weight = nn.Parameter(torch.zeros_like(net.weight))


def the_tied_one(net: Net) -> None:
    net.tied.data.zero_()


def a_new_buffer_in_its_place(net: Net) -> None:
    net.steps = net.steps + 1


def running_statistics(net: Net) -> None:
    F.batch_norm(torch.rand(2, 3, 4, 4), net.mean, net.var, training=True)


WRITES = [
    times_two,
    times_two_behind_the_version_counter,
    one_row_of_a_view,
    other_memory,
    other_storage,
    other_shape,
    upside_down,
    several_at_once,
    into_an_out_argument,
    another_parameter,
    the_tied_one,
    a_new_buffer_in_its_place,
    running_statistics,
]


class Net(nn.Module):
    """An upsampler that writes to itself after it has run."""

    def __init__(self, write: Callable[[Net], None]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(3, 3, 2, 2))
        self.tied = self.weight
        self.register_buffer("steps", torch.zeros(1))
        self.register_buffer("mean", torch.zeros(3))
        self.register_buffer("var", torch.ones(3))
        self.write = write

    def forward(self, x: Tensor) -> Tensor:
        y = F.conv_transpose2d(x, self.weight, stride=2)
        with torch.no_grad():
            self.write(self)
        return y


@pytest.mark.parametrize("write", WRITES)
def test_what_a_pass_writes_to_comes_back_bit_identical(write: Callable[[Net], None]) -> None:
    model = Net(write)
    tensors = [model.weight, model.steps, model.mean, model.var]
    values = [tensor.detach().clone() for tensor in tensors]
    layout = (model.weight.shape, model.weight.stride(), model.weight.data_ptr())
    artifactlab.diagnose(model, torch.rand(1, 3, 48, 48), data_range=1.0)
    after = [model.weight, model.steps, model.mean, model.var]
    assert all(a is b for a, b in zip(tensors, after, strict=True))
    assert all(map(torch.equal, values, after))
    assert layout == (model.weight.shape, model.weight.stride(), model.weight.data_ptr())
    assert model.tied is model.weight


@pytest.mark.parametrize("write", WRITES)
def test_every_pass_begins_with_the_same_weights(write: Callable[[Net], None]) -> None:
    model, image = Net(write), torch.rand(1, 3, 48, 48)
    state = ModelState(model)
    outputs = []
    for _ in range(2):
        with state.guarded():
            outputs.append(model(image).detach())
        state.restore()
    assert torch.equal(*outputs)


def test_only_what_is_written_to_is_copied() -> None:
    model = nn.Sequential(*(nn.Conv2d(3, 3, 3, padding=1) for _ in range(4)), nn.BatchNorm2d(3), nn.Upsample(None, 2))
    model.eval()
    bias = model[2].bias.detach().clone()
    state = ModelState(model)
    with state.guarded(), torch.no_grad():
        model(torch.rand(1, 3, 16, 16))
        model[2].bias.data += 1
    copied = [saved.tensor for saved in state._saved if saved.values is not None]
    parameters = [tensor for tensor in copied if isinstance(tensor, nn.Parameter)]
    assert [tensor is model[2].bias for tensor in parameters] == [True]
    state.restore()
    assert torch.equal(model[2].bias, bias)


def test_an_exception_in_the_middle_of_a_pass_keeps_nothing_back() -> None:
    model = Net(times_two)
    before = model.weight.detach().clone()
    state = ModelState(model)
    model.register_forward_hook(lambda *_: torch.zeros(0).reshape(7))
    with state.guarded(), pytest.raises(RuntimeError, match="invalid"):
        model(torch.rand(1, 3, 8, 8))
    assert not torch.equal(model.weight, before)
    state.restore()
    assert torch.equal(model.weight, before)
