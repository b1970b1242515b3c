"""A path that a message prints leads back to the tensor it was printed for; nothing that is typed is run."""

from __future__ import annotations

from collections import namedtuple
from dataclasses import dataclass
from enum import Enum
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from artifactlab.errors import ModelError
from artifactlab.models.output_paths import follow, steps_of
from artifactlab.models.outputs import pick_named, tensors

Pair = namedtuple("Pair", "coarse fine")


class Head(Enum):
    MASK = 1


@dataclass
class Result:
    depth: Any
    aux: Any = None


def image() -> Tensor:
    return torch.zeros(2, 2)


keys = st.one_of(
    st.text(max_size=6),
    st.sampled_from(["output", "0", "-1", "a.b", "a[0]", "it's", 'say "x"', "\\", "line\nbreak", "output['a']"]),
    st.integers(-3, 3),
    st.tuples(st.integers(0, 2)),
    st.sampled_from(Head),
)
trees: st.SearchStrategy[Any] = st.recursive(
    st.builds(image),
    lambda inner: st.one_of(
        st.dictionaries(keys, inner, max_size=3),
        st.lists(inner, max_size=3),
        st.builds(Pair, inner, inner),
        st.builds(Result, inner, inner),
    ),
    max_leaves=6,
)


@settings(max_examples=40)
@given(trees)
def test_every_path_that_a_message_prints_is_accepted_back(tree: Any) -> None:
    for path, tensor in tensors(tree):
        found, picked = pick_named(tree, "output" + path)
        assert picked is tensor
        assert pick_named(tree, found)[1] is tensor


@pytest.mark.parametrize(
    "path",
    ['aux[0]["mask"]', "aux[0]['mask']", "aux[0].mask", "aux.0.mask", ".aux[-1].mask", "output.aux[0]['mask']"],
)
def test_a_path_may_be_written_as_people_write_python(path: str) -> None:
    mask = image()
    assert follow(Result(image(), [{"mask": mask}]), path) is mask
    assert follow({"depth": image(), "aux": ({"mask": mask},)}, path) is mask


@pytest.mark.parametrize(("choice", "place"), [(1, 1), ("1", 1), (-1, 1), ("-2", 0), ("fine", 1), (".coarse", 0)])
def test_a_plain_key_or_index_is_a_path(choice: str | int, place: int) -> None:
    pair = Pair(image(), image())
    assert follow(pair, choice) is pair[place]


def test_a_key_that_looks_like_a_path_is_a_key_first() -> None:
    both = {"a.b": image(), "a": {"b": image()}}
    assert follow(both, "a.b") is both["a.b"]
    assert follow(both, "a['b']") is both["a"]["b"]


@pytest.mark.parametrize(
    "path",
    [
        *("", "aux[", "aux[0", "aux[0]]", "aux[0]mask", "aux['mask", "aux[1:2]", "aux[x]", "aux()", "a b", "[f'{1}']"),
        *("['\\x']", "__import__('os')", "aux[" + "9" * 5000 + "]", "9" * 5000, "aux.__class__", "count"),
    ],
)
def test_what_is_no_path_leads_nowhere(path: str) -> None:
    output = Pair({"aux": [image()]}, image())
    assert not isinstance(follow(output, path), Tensor)
    with pytest.raises(ModelError):
        pick_named(output, path)


def test_steps_are_keys_attributes_and_indices() -> None:
    assert steps_of(r"""output.aux[-1]["it's"]['\n']""") == ["output", "aux", "-1", "it's", "\n"]


@pytest.mark.parametrize("path", ["aux[0", "mask]", "aux..mask", "", "aux[0].", "a b"])
def test_what_is_no_path_leads_nowhere_though_the_whole_is_a_tensor(path: str) -> None:
    assert follow(torch.zeros(1, 3, 8, 8), path) is None
    with pytest.raises(ModelError, match="has no "):
        pick_named(torch.zeros(1, 3, 8, 8), path)


@pytest.mark.parametrize(
    ("typed", "meant"), [("logit", "output['logits']"), ("output.logts", "output['logits']"), ("xx", None)]
)
def test_a_mistyped_name_gets_the_one_that_was_meant(typed: str, meant: str | None) -> None:
    with pytest.raises(ModelError) as caught:
        pick_named({"logits": torch.zeros(1, 3, 8, 8), "boxes": torch.zeros(4)}, typed)
    assert ("did you mean" in str(caught.value)) == (meant is not None)
    assert str(caught.value).endswith(f"; did you mean {meant}?" if meant else "torch.float32")
