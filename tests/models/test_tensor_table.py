"""What is known of tensors goes by identity and dies with them; the tensors in arguments are found."""

from __future__ import annotations

import gc
from collections import OrderedDict
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from artifactlab.models.outputs import tensors
from artifactlab.models.tensor_table import TensorTable, given_tensors


@dataclass
class _Record:
    image: Tensor
    name: str = "a record"


def test_equal_tensors_are_told_apart() -> None:
    known: TensorTable[str] = TensorTable()
    first, second = torch.ones(2), torch.ones(2)
    known[first] = "first"
    assert second not in known
    assert known.get(second) is None
    assert first in known
    assert known.get(first) == "first"
    known[first] = "again"
    assert known.get(first) == "again"
    assert len(known) == 1
    del known[first]
    assert first not in known


def test_a_tensor_that_dies_takes_its_value_along_and_leaves_nothing_to_the_next_of_its_number() -> None:
    known: TensorTable[int] = TensorTable()
    for count in range(50):  # the next tensor is likely to be given the same number
        tensor = torch.ones(2)
        assert tensor not in known
        known[tensor] = count
        known[tensor] = -count
        del tensor
        assert len(known) == 0


def test_a_tensor_in_a_circle_is_forgotten_once_the_circle_is_collected() -> None:
    known: TensorTable[str] = TensorTable()
    tensor = torch.ones(2)
    tensor.itself = tensor  # type: ignore[attr-defined]
    known[tensor] = "round"
    del tensor
    gc.collect()
    assert len(known) == 0


def test_a_tensor_that_only_torch_holds_for_a_while_is_still_known() -> None:
    known: TensorTable[str] = TensorTable()
    factor = torch.ones(2)
    known[factor] = "factor"
    product = factor * torch.ones(2, requires_grad=True)
    del factor
    gc.collect()
    held = product.grad_fn._saved_self  # type: ignore[union-attr]
    assert known.get(held) == "factor"
    del held, product
    gc.collect()
    assert len(known) == 0


@pytest.mark.parametrize(
    "value",
    [
        torch.ones(1),
        [torch.ones(1), (2, "x", torch.ones(2))],
        OrderedDict(a=torch.ones(1), b={"c": [torch.ones(2)], 3: None}),
        {"record": _Record(torch.ones(1)), "kind": _Record, "dtype": torch.float32},
        [[[[[[torch.ones(1)]]]]], slice(1, 2)],
    ],
)
def test_given_tensors_are_those_that_outputs_are_searched_for(value: object) -> None:
    found = [id(tensor) for _, tensor in tensors(((value,), {"other": value}))]
    assert [id(tensor) for tensor in given_tensors((value,), {"other": value})] == found != []


def test_a_list_that_holds_itself_twice_is_entered_once() -> None:
    value: list[object] = [torch.ones(1)]
    value += [value, value]
    assert len(given_tensors((value,), {})) == 1
