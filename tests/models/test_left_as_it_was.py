"""A diagnosed model is the one it was: names, modules, attributes, hooks, gradients, whatever threads do."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import artifactlab
from artifactlab.errors import ModelError
from artifactlab.models.torch_internals import hook_tables

IMAGE = torch.rand(1, 3, 24, 24, generator=torch.Generator().manual_seed(0))


class Net(nn.Module):
    """An upsampler that does something to itself when it runs."""

    def __init__(self, act: Callable[[Net, Tensor], object]) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(3, 3, 4, 2, 1)
        self.drop = nn.Dropout()
        self.built, self.calls = False, 0
        self.cache: dict[Any, Any] = {"nested": {"deeper": set()}}
        self.latest: Tensor | None = None
        self.plain = torch.zeros(1)
        self.register_buffer("empty", None)
        self.act = act

    def forward(self, x: Tensor) -> Any:
        self.act(self, x)
        return self.up(x)


def a_lazy_buffer(net: Net, x: Tensor) -> None:
    if "pe" not in dict(net.named_buffers()):
        net.register_buffer("pe", torch.linspace(0, 1, x.shape[-1]))


def a_lazy_buffer_behind_a_flag(net: Net, x: Tensor) -> None:
    if not net.built:
        net.built = True
        net.register_buffer("pe", torch.ones(1), persistent=False)
    net.pe.add_(1)


def a_buffer_that_was_empty(net: Net, x: Tensor) -> None:
    net.empty = torch.ones(1) if net.empty is None else net.empty + 1


def a_parameter(net: Net, x: Tensor) -> None:
    net.scale = nn.Parameter(torch.ones(1))


def a_module(net: Net, x: Tensor) -> None:
    if not net.built:
        net.late, net.built = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)), True
    net.late(x)


def another_module(net: Net, x: Tensor) -> None:
    net.drop = nn.Identity()


def a_module_less(net: Net, x: Tensor) -> None:
    if "drop" in dict(net.named_children()):
        del net.drop


def hooks(net: Net, x: Tensor) -> None:
    net.up.register_forward_hook(lambda *_: None)
    net.register_forward_pre_hook(lambda *_: None, with_kwargs=True)
    net.register_full_backward_hook(lambda *_: None)
    net.register_state_dict_post_hook(lambda *_: None)


def attributes(net: Net, x: Tensor) -> None:
    net.calls += 1
    net.latest = x
    net.plain += 1
    net.plain = net.plain * 2
    net.cache[x.shape] = x
    net.cache["nested"]["late"] = x
    net.cache["nested"]["deeper"].add(x)


def an_attribute_less(net: Net, x: Tensor) -> None:
    if hasattr(net, "plain"):
        del net.plain


def modes_and_gradients(net: Net, x: Tensor) -> None:
    net.train()
    net.up.weight.requires_grad_(False)
    net.up.weight.grad = torch.ones_like(net.up.weight)


ACTS = [
    *(a_lazy_buffer, a_lazy_buffer_behind_a_flag, a_buffer_that_was_empty, a_parameter, a_module, another_module),
    *(a_module_less, hooks, attributes, an_attribute_less, modes_and_gradients),
]


def everything(model: nn.Module) -> list[Any]:
    """All that is assigned in a model, by identity, and the values of its tensors."""
    found: list[Any] = []
    for name, module in model.named_modules():
        found.append((name, id(module), module.training, [list(table) for table in hook_tables(module)]))
        found += [(key, id(value), repr(value)) for key, value in vars(module).items()]
        found += [(key, id(value), value.requires_grad, id(value.grad)) for key, value in module.named_parameters()]
    return [*found, *((key, value.tolist()) for key, value in model.state_dict().items())]


@pytest.mark.parametrize(
    ("act", "fast"),
    [*((act, False) for act in ACTS), *((act, True) for act in (a_parameter, hooks, attributes, modes_and_gradients))],
)
def test_a_diagnosis_leaves_nothing_behind(act: Callable[[Net, Tensor], object], fast: bool) -> None:
    model = Net(act)
    before = everything(model)
    artifactlab.diagnose(model, IMAGE, data_range=1.0, fast=fast)
    assert everything(model) == before
    model(IMAGE)  # still works as it did


def test_a_pass_that_fails_leaves_nothing_behind() -> None:
    def fails(net: Net, x: Tensor) -> None:
        for act in (hooks, attributes, a_parameter):
            act(net, x)
        raise ValueError("half way")

    model = Net(fails)
    before = everything(model)
    with pytest.raises(ModelError, match="half way"):
        artifactlab.diagnose(model, IMAGE, data_range=1.0)
    assert everything(model) == before


def test_a_hook_that_removes_itself_is_there_again() -> None:
    model, runs = nn.Sequential(nn.Upsample(scale_factor=2)), []
    handle = model.register_forward_pre_hook(lambda *_: (runs.append(1), handle.remove(), None)[-1])
    artifactlab.diagnose(model, IMAGE, data_range=1.0)
    runs.clear()
    model(IMAGE)
    model(IMAGE)
    assert len(runs) == 1


def test_a_weight_saved_after_a_diagnosis_loads_into_a_new_model() -> None:
    model = Net(a_lazy_buffer)
    artifactlab.diagnose(model, IMAGE, data_range=1.0)
    Net(a_lazy_buffer).load_state_dict(model.state_dict())


def test_a_lazy_model_is_told_to_run_first_and_is_left_alone() -> None:
    model = nn.Sequential(nn.LazyConv2d(3, 3, padding=1), nn.Upsample(scale_factor=2))
    with pytest.raises(ModelError, match=r"0\.weight is not initialised yet; run the lazy model once"):
        artifactlab.diagnose(model, IMAGE, data_range=1.0)
    assert isinstance(model[0], nn.LazyConv2d)
    with artifactlab.capture(model) as seen:
        model(IMAGE)
    assert [found.site.key for found in seen.sites] == ["1/interpolate#0"]


def threaded() -> nn.Sequential:
    torch.manual_seed(0)
    layers = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.Dropout(0.2), nn.ConvTranspose2d(8, 3, 3, 2, 1, 1)
    return nn.Sequential(*layers).train()


def test_threads_that_diagnose_one_model_take_turns() -> None:
    model = threaded()
    whole = nn.Sequential(model, nn.Upsample(scale_factor=2)).train()  # another one around it
    before = everything(whole)
    with ThreadPoolExecutor(4) as pool:
        jobs = [
            pool.submit(artifactlab.diagnose, each, IMAGE, data_range=1.0, fast=True)
            for each in (model, model, whole, model)
        ]
        verdicts = [job.result().verdict for job in jobs]
    assert len({verdicts[0], verdicts[1], verdicts[3]}) == 1
    assert everything(whole) == before


def test_a_capture_waits_for_the_diagnosis_of_another_thread() -> None:
    model, inside = threaded(), threading.Event()
    expected = copy.deepcopy(model)
    torch.manual_seed(1)
    wanted = expected(IMAGE)

    def captured() -> Tensor:
        inside.wait(10)
        with artifactlab.capture(model):
            torch.manual_seed(1)
            return model(IMAGE)

    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(captured)
        artifactlab.diagnose(model, IMAGE, data_range=1.0, progress=lambda *_: inside.set())
        assert torch.equal(job.result(30), wanted)  # in training mode, as it was


def test_a_model_that_another_thread_captures_is_not_diagnosed() -> None:
    model = threaded()
    before = everything(model)
    with ThreadPoolExecutor(1) as pool, artifactlab.capture(model):
        with pytest.raises(ModelError, match="captured in another thread; diagnose it when") as error:
            pool.submit(artifactlab.diagnose, model, IMAGE, data_range=1.0).result(30)
        assert "\n" not in str(error.value)
        artifactlab.diagnose(model, IMAGE, data_range=1.0, fast=True)  # this one may
    assert everything(model) == before


def test_threads_capture_one_model_at_once() -> None:
    model, together = threaded().eval(), threading.Barrier(2)
    before = everything(model)

    def captured(_: int) -> list[str]:
        with artifactlab.capture(model) as seen:
            together.wait(10)
            model(IMAGE)
            together.wait(10)
        return [found.site.key for found in seen.sites]

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(captured, range(2))) == [["3/conv_transpose2d#0"]] * 2
    assert everything(model) == before
