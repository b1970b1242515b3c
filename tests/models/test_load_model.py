"""Models by name, weights by file; weights are data."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from artifactlab import ModelError, load_model
from artifactlab.models.checkpoint import fit, read_checkpoint

FACTORY = """
import torch
from torch import nn

class Up(nn.Sequential):
    def __init__(self, channels=3):
        super().__init__(nn.Conv2d(channels, 4, 1), nn.Upsample(scale_factor=2))

def needs(depth, width=2): return Up()
def explodes(): raise KeyError("weights")
def no_module(): return {"a": 1}
number = 3
made = Up()
"""


@pytest.fixture
def factory(tmp_path: Path) -> Path:
    path = tmp_path / "zoo.py"
    path.write_text(FACTORY)
    return path


@pytest.fixture
def weights(factory: Path) -> dict[str, torch.Tensor]:
    return {key: value + 1 for key, value in load_model(f"{factory}:Up").state_dict().items()}


def loaded(factory: Path, checkpoint: Path) -> dict[str, torch.Tensor]:
    return load_model(f"{factory}:Up", checkpoint=checkpoint).state_dict()


@pytest.mark.parametrize("wrap", ["plain", "state_dict", "params_ema", "module", "nested", "compiled"])
def test_every_usual_checkpoint_layout_is_read(factory: Path, weights: dict, tmp_path: Path, wrap: str) -> None:
    content = {
        "plain": weights,
        "state_dict": {"state_dict": weights, "epoch": 3},
        "params_ema": {"params": {k: v * 0 for k, v in weights.items()}, "params_ema": weights},
        "module": {f"module.{key}": value for key, value in weights.items()},
        "nested": {"model": {"state_dict": {f"module.{key}": value for key, value in weights.items()}}},
        "compiled": {f"_orig_mod.{key}": value for key, value in weights.items()},
    }[wrap]
    path = tmp_path / "weights.pth"
    torch.save(content, path)
    found = loaded(factory, path)
    assert all(torch.equal(found[key], weights[key]) for key in weights)


def test_safetensors_are_read(factory: Path, weights: dict, tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_file(weights, path)
    assert all(torch.equal(value, weights[key]) for key, value in loaded(factory, path).items())


class _Payload:
    ran = False

    def __reduce__(self) -> tuple:
        return setattr, (_Payload, "ran", True)


def test_a_checkpoint_that_needs_unpickling_is_refused_and_runs_nothing(tmp_path: Path) -> None:
    path = tmp_path / "evil.pth"
    torch.save({"state_dict": {}, "hook": _Payload()}, path)
    with pytest.raises(ModelError, match="refused: it needs unpickling, which runs code from the file"):
        read_checkpoint(path)
    assert not _Payload.ran


def test_a_whole_pickled_module_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "module.pth"
    torch.save(nn.Linear(1, 1), path)
    with pytest.raises(ModelError, match=r"torch\.nn\.modules\.linear\.Linear.*Save the weights alone"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("cut.safetensors", b"\x10\x00\x00\x00\x00\x00\x00\x00{", "no readable safetensors file"),
        ("cut.pth", b"PK\x03\x04 cut", "cannot be read"),
        ("text.pt", b"hello", "cannot be read|refused"),
        ("weights.onnx", b"", r"expected \.safetensors, \.pt.* got '\.onnx'"),
    ],
)
def test_a_damaged_or_unknown_file_is_named(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ModelError, match=message):
        read_checkpoint(path)


def test_a_checkpoint_without_weights_says_what_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "optimiser.pth"
    torch.save({"optimizer": {"lr": 0.1}, "epoch": 3}, path)
    with pytest.raises(ModelError, match=r"holds no state dict: .* got optimizer, epoch"):
        read_checkpoint(path)


def test_missing_extra_and_wrong_shaped_keys_are_all_named(factory: Path, weights: dict, tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_file({"0.weight": torch.zeros(4, 1, 1, 1), "head.bias": torch.zeros(2)}, path)
    with pytest.raises(ModelError) as error:
        loaded(factory, path)
    text = str(error.value)
    assert "1 missing: 0.bias" in text
    assert "1 extra: head.bias" in text
    assert "0.weight is (4, 1, 1, 1), the model's is (4, 3, 1, 1)" in text


def test_weights_that_have_diverged_are_refused(factory: Path, weights: dict, tmp_path: Path) -> None:
    weights["0.bias"][0] = float("nan")
    path = tmp_path / "nan.safetensors"
    save_file(weights, path)
    with pytest.raises(ModelError, match=r"NaN or Inf in 0\.bias"):
        loaded(factory, path)


@pytest.mark.parametrize(
    ("name", "kwargs", "message"),
    [
        ("Missing", {}, "has no 'Missing'; it has Up, needs, explodes, no_module"),
        ("number", {}, "is a int, not a function or class"),
        ("needs", {}, r"missing a required argument: 'depth'.*pass --kwargs '\{\"depth\": \"\.\.\.\"\}'"),
        ("Up", {"chanels": 3}, "unexpected keyword argument 'chanels'.*channels"),
        ("explodes", {}, "raised KeyError: 'weights'"),
        ("no_module", {}, r"returned a dict; expected a torch\.nn\.Module"),
    ],
)
def test_a_factory_that_makes_no_model_is_explained(factory: Path, name: str, kwargs: dict, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        load_model(f"{factory}:{name}", kwargs)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("zoo.py", "expected package.module:factory or path/to/file.py:factory, got 'zoo.py'"),
        ("nowhere.py:make", "nowhere.py: no such file"),
        ("no_such_package.models:make", "no module named 'no_such_package'"),
    ],
)
def test_a_target_that_cannot_be_found_is_named(target: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        load_model(target)


def test_a_file_with_a_syntax_error_is_named(tmp_path: Path) -> None:
    path = tmp_path / "broken.py"
    path.write_text("def make(:\n")
    with pytest.raises(ModelError, match="failed to import: SyntaxError"):
        load_model(f"{path}:make")


def test_a_file_may_import_its_neighbours_and_define_dataclasses(tmp_path: Path) -> None:
    (tmp_path / "blocks_of_mine.py").write_text("SCALE = 3")
    path = tmp_path / "net.py"
    path.write_text(
        "from __future__ import annotations\nfrom dataclasses import dataclass\nfrom torch import nn\n"
        "from blocks_of_mine import SCALE\n@dataclass\nclass Config:\n    scale: int = SCALE\n"
        "def make() -> nn.Module: return nn.Upsample(scale_factor=Config().scale)\n"
    )
    assert load_model(f"{path}:make").scale_factor == 3.0


def test_a_mask_may_hold_minus_infinity_and_a_weight_may_not(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Conv2d(1, 1, 1))
    model.register_buffer("mask", torch.tensor([0.0, -torch.inf]))
    path = tmp_path / "weights.pt"
    torch.save(model.state_dict(), path)
    fit(model, read_checkpoint(path), path)
    for broken in ("0.weight", "mask"):
        bad = dict(model.state_dict())
        bad[broken] = torch.full_like(bad[broken], torch.nan)
        with pytest.raises(ModelError, match=f"NaN or Inf in {broken}"):
            fit(model, bad, path)


@pytest.mark.parametrize("protocol", [4, 5])
def test_a_pickle_that_torch_does_not_read_says_which_protocol_it_is(tmp_path: Path, protocol: int) -> None:
    path = tmp_path / "weights.pt"
    torch.save({"w": torch.zeros(2)}, path, pickle_protocol=protocol)
    with pytest.raises(ModelError, match=f"its pickle is of protocol {protocol}"):
        read_checkpoint(path)


def test_a_target_that_is_a_model_already_is_taken_as_it_is(factory: Path) -> None:
    assert type(load_model(f"{factory}:made")).__name__ == "Up"
    with pytest.raises(ModelError, match="is a model already, which takes no --kwargs"):
        load_model(f"{factory}:made", {"channels": 1})
