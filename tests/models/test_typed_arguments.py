"""Arguments as they are typed: JSON, text or a file, in the type that forward's annotation asks for."""

from __future__ import annotations

from inspect import Parameter, signature
from pathlib import Path
from typing import Any, List, Optional, Tuple, Union  # noqa: UP035  # annotations as they stand in libraries

import numpy as np
import pytest
import torch
from torch import Tensor

from artifactlab.errors import InputError
from artifactlab.models.typed_arguments import parse_argument


def parameter(annotation: Any) -> Parameter:
    return Parameter("a", Parameter.KEYWORD_ONLY, annotation=annotation)


ANY = Parameter.empty


@pytest.mark.parametrize(
    ("text", "annotation", "wanted"),
    [
        ("500", ANY, 500),
        ("500", Union[Tensor, float, int], 500),  # noqa: UP007
        ("500", "int | torch.Tensor", 500),
        ("3", Optional[torch.LongTensor], torch.tensor([3])),  # noqa: UP045
        ("3", Tensor, torch.tensor([3])),
        ("0.5", float, 0.5),
        ("[3]", ANY, torch.tensor([3])),
        ("[[1, 2.5], [3, 4]]", ANY, torch.tensor([[1, 2.5], [3, 4]])),
        ("[64, 64]", List[int], [64, 64]),  # noqa: UP006
        ("[64, 64]", Tuple[int, int], (64, 64)),  # noqa: UP006
        ("[1]", "list[int] | Tensor", torch.tensor([1])),
        ('["a", "b"]', ANY, ["a", "b"]),
        ("[[1], [2, 3]]", ANY, [[1], [2, 3]]),
        ("true", Tensor, True),
        ("False", ANY, False),
        ("null", Tensor, None),
        ("None", ANY, None),
        ("bilinear", ANY, "bilinear"),
        ('"500"', ANY, "500"),
        ('{"a": [1], "b": 2}', ANY, {"a": torch.tensor([1]), "b": 2}),
        ("", ANY, ""),
        ("a=b", ANY, "a=b"),
    ],
)
def test_a_value_is_what_its_text_and_the_annotation_say(text: str, annotation: Any, wanted: Any) -> None:
    argument = parse_argument(f"a={text}")
    assert (argument.name, str(argument)) == ("a", f"a={text}")
    same(argument.value_for(parameter(annotation)), wanted)


def same(found: Any, wanted: Any) -> None:
    assert type(found) is type(wanted)
    if isinstance(wanted, dict):
        assert list(found) == list(wanted)
        for key in wanted:
            same(found[key], wanted[key])
    elif isinstance(wanted, Tensor):
        assert found.dtype == wanted.dtype
        assert torch.equal(found, wanted)
    else:
        assert found == wanted


def test_a_file_is_its_tensor_or_its_tensors_by_name(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.arange(3.0))
    np.savez(tmp_path / "one.npz", x=np.arange(3.0))
    np.savez(tmp_path / "two.npz", x=np.arange(3.0), y=np.arange(2))
    for name in ("a.npy", "one.npz"):
        assert parse_argument(f"a=@{tmp_path / name}").value.tolist() == [0, 1, 2]
    assert list(parse_argument(f"a=@{tmp_path / 'two.npz'}").value) == ["x", "y"]


@pytest.mark.parametrize("text", ["500", "=3", "a-b=3", "", "a=[1", "a={", "a=@no_such_file.npy"])
def test_what_cannot_be_read_is_one_clear_line(text: str) -> None:
    with pytest.raises(InputError):
        parse_argument(text)


def test_annotations_of_functions_are_read_as_they_are_written() -> None:
    def forward(x: Tensor, size: list[int]) -> None: ...

    assert parse_argument("size=[1, 2]").value_for(signature(forward).parameters["size"]) == [1, 2]
