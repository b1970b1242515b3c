"""What is used of torch's own workings does what it says, and is used in one place."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

import artifactlab
from artifactlab.models import torch_internals as internals

ROOT = Path(artifactlab.__file__).parent
OURS = {path for path in ROOT.rglob("*.py") if path != Path(internals.__file__)}
PRIVATE = {name for name in vars(nn.Module()) if name.startswith("_")} | {"_base", "_version", "_schema"}
"""attributes of modules, tensors and operators"""


def private_uses(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            of_torch = re.match(r"(torch|nn|F|Tensor)\b", ast.unparse(node.value)) and re.match("_(?!_)", node.attr)
            if of_torch or node.attr in PRIVATE:
                yield node.attr
        elif isinstance(node, ast.ImportFrom) and re.match(r"torch\b.*\._", node.module or ""):
            yield str(node.module)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and "_orig_mod" in node.value:
            yield "_orig_mod"


def test_no_other_file_uses_what_torch_keeps_to_itself() -> None:
    uses = {str(path.relative_to(ROOT)): list(private_uses(ast.parse(path.read_text()))) for path in sorted(OURS)}
    assert {path: used for path, used in uses.items() if used} == {}


@pytest.mark.parametrize(
    "code", ["torch._C.x", "module._modules", "from torch.utils._python_dispatch import y", "'a._orig_mod'", "t._base"]
)
def test_a_private_use_is_recognised(code: str) -> None:
    assert list(private_uses(ast.parse(code)))


class Counting(TorchFunctionMode):
    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.calls += 1
        return func(*args, **(kwargs or {}))


def test_without_function_modes_no_mode_sees_a_call() -> None:
    with Counting() as mode:
        with internals.without_function_modes():
            torch.relu(torch.ones(1))
        assert mode.calls == 0
        torch.relu(torch.ones(1))
    assert mode.calls > 0


class CountingKernels(internals.TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.append(internals.operator_schema(func).name)
        return func(*args, **(kwargs or {}))


def test_without_dispatch_modes_no_mode_sees_a_kernel() -> None:
    x = torch.ones(1)
    with CountingKernels() as mode:
        with internals.without_dispatch_modes():
            torch.relu(x)
        torch.neg(x)
    assert mode.names == ["aten::neg"]


def test_a_schema_says_which_arguments_are_written_to() -> None:
    arguments = internals.operator_schema(torch.ops.aten.copy_.default).arguments
    assert [argument.name for argument in arguments if argument.alias_info and argument.alias_info.is_write] == ["self"]


def test_backward_is_known_from_the_inside_only() -> None:
    seen: list[bool] = []
    x = torch.ones(1, requires_grad=True)
    y = x * 2
    y.register_hook(lambda gradient: seen.append(internals.is_in_backward()))
    torch.autograd.backward(y)
    assert (seen, internals.is_in_backward()) == ([True], False)


@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")
def test_compiled_modules_hold_the_original_and_compiled_in_place_ones_are_marked() -> None:
    layer = nn.Conv2d(1, 1, 1)
    assert internals.own_children(torch.compile(layer))[internals.COMPILED_CHILD] is layer  # type: ignore[arg-type]
    assert not internals.is_compiled_in_place(layer)
    layer.compile()
    assert internals.is_compiled_in_place(layer)


def test_a_view_of_a_view_is_based_on_the_first_tensor() -> None:
    first = torch.zeros(4, 4)
    assert internals.view_base(first[1:][:, 1:]) is first
    assert internals.view_base(first) is None


def test_own_tensors_and_children_come_under_every_name_and_can_be_replaced() -> None:
    layer = nn.BatchNorm2d(2)
    model = nn.Sequential(layer, layer)
    model.register_parameter("none", None)
    assert list(internals.own_children(model)) == ["0", "1"]
    assert internals.own_parameters(model) == {"none": None}
    assert "running_mean" in internals.own_buffers(layer)
    internals.own_parameters(layer)["bias"] = None
    assert layer.bias is None


def test_hooks_are_listed_and_can_be_cleared() -> None:
    layer, ran = nn.Identity(), []
    layer.register_forward_hook(lambda *_: ran.append("after"))
    layer.register_forward_pre_hook(lambda *_: ran.append("before"))
    assert (len(internals.forward_hooks(layer)), len(internals.forward_pre_hooks(layer))) == (1, 1)
    internals.forward_hooks(layer).clear()
    layer(torch.ones(1))
    assert ran == ["before"]
