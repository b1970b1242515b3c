"""A file of weights with other values is laid out as it was: names, nesting, precision, notes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load, save_file

from artifactlab.errors import ModelError
from artifactlab.models.checkpoint import read_weights
from artifactlab.models.weight_layout import WeightLayout, read_layout

WEIGHTS = {"up.weight": torch.arange(4.0), "up.bias": torch.zeros(2), "head.bias": torch.zeros(2)}


def test_nesting_prefixes_and_what_was_not_asked_for_stay(tmp_path: Path) -> None:
    wrapped = {f"module.{name}": value for name, value in WEIGHTS.items()}
    torch.save({"step": 7, "gen": 1, "params_ema": wrapped}, tmp_path / "old.pth")
    layout = read_layout([tmp_path / "old.pth"])
    assert layout.names({"up.bias": torch.zeros(2)}) == {"up.bias": "module.up.bias"}
    (tmp_path / "new.pth").write_bytes(layout.replaced({"module.up.bias": torch.ones(2)}).to_bytes())
    content = torch.load(tmp_path / "new.pth", weights_only=True)
    assert list(content) == ["params_ema"]
    assert list(content["params_ema"]) == list(wrapped)
    assert read_weights(tmp_path / "new.pth")["up.bias"].eq(1).all()
    assert read_weights(tmp_path / "new.pth")["head.bias"].eq(0).all()


def test_safetensors_keep_precision_and_notes(tmp_path: Path) -> None:
    halves = {name: value.half() for name, value in WEIGHTS.items()}
    save_file(halves, tmp_path / "old.safetensors", {"modelspec.title": "foo"})
    content = read_layout([tmp_path / "old.safetensors"]).replaced({"up.bias": torch.ones(2)}).to_bytes()
    assert load(content)["up.bias"].equal(torch.ones(2).half())
    (tmp_path / "new.safetensors").write_bytes(content)
    with safe_open(tmp_path / "new.safetensors", framework="pt") as file:
        assert file.metadata() == {"format": "pt", "modelspec.title": "foo"}


def test_weights_that_the_library_renames_are_known_by_their_values_and_equal_ones_by_their_layer() -> None:
    layout = WeightLayout(
        {"model.3.weight": torch.arange(4.0), "model.3.bias": torch.zeros(2), "model.8.bias": torch.zeros(2)}
    )
    assert layout.names({"up.weight": torch.arange(4.0), "up.bias": torch.zeros(2)}) == {
        "up.weight": "model.3.weight",
        "up.bias": "model.3.bias",
    }


@pytest.mark.parametrize("value", [torch.zeros(2), torch.ones(2)], ids=["twice there", "nowhere"])
def test_weights_that_cannot_be_told_in_the_file_are_an_error(value: torch.Tensor) -> None:
    layout = WeightLayout({"model.3.bias": torch.zeros(2), "model.8.bias": torch.zeros(2)})
    with pytest.raises(ModelError, match=r"up\.bias is nowhere in the file as it is in the model, or several times"):
        layout.names({"up.bias": value})


def test_a_weight_of_the_same_name_and_another_value_was_computed_and_is_not_overwritten() -> None:
    with pytest.raises(ModelError, match=r"up\.bias is nowhere"):
        WeightLayout({"up.bias": torch.zeros(2)}).names({"up.bias": torch.ones(2)})


def test_several_files_are_one(tmp_path: Path) -> None:
    for number, name in enumerate(WEIGHTS):
        save_file({name: WEIGHTS[name]}, tmp_path / f"{number}.safetensors")
    assert read_layout(sorted(tmp_path.iterdir())).tensors.keys() == WEIGHTS.keys()
