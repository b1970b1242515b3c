"""Files and folders that hold a model are opened by the format that recognises them, whatever they are called."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import save_file
from torch import nn

from artifactlab import ModelError, load_model
from artifactlab.errors import RegistryError
from artifactlab.models import MODEL_FORMATS, ModelFormat

MARK = b"UPSAMPLE"


def is_upsample(path: Path) -> bool:
    """A file that starts with the mark, or a folder of such a file."""
    file = path / "net" if path.is_dir() else path
    return file.is_file() and file.read_bytes().startswith(MARK)


def load_upsample(path: Path, kwargs: Mapping[str, Any]) -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 3, 1), nn.Upsample(**kwargs))


def load_nothing(path: Path, kwargs: Mapping[str, Any]) -> nn.Module:
    return {"weights": path}  # type: ignore[return-value]


def load_damaged(path: Path, kwargs: Mapping[str, Any]) -> nn.Module:
    raise KeyError("weights")


@pytest.fixture
def plant() -> Iterator[Any]:
    """Adds a format for the time of a test."""
    planted: list[str] = []

    def add(name: str, load: Any) -> None:
        MODEL_FORMATS.register(name, ModelFormat(is_upsample, load), owner="a test")
        planted.append(name)

    yield add
    for name in planted:
        del MODEL_FORMATS._things[name], MODEL_FORMATS._owners[name]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "weights.txt"
    path.write_bytes(MARK + b" and more")
    return path


def test_a_file_is_opened_by_what_it_holds_with_the_users_arguments(plant: Any, file: Path) -> None:
    plant("upsample", load_upsample)
    assert load_model(str(file), {"scale_factor": 3})[1].scale_factor == 3.0


def test_a_folder_is_opened_by_what_it_holds(plant: Any, tmp_path: Path) -> None:
    (tmp_path / "net").write_bytes(MARK)
    plant("upsample", load_upsample)
    assert isinstance(load_model(str(tmp_path), {"scale_factor": 2}), nn.Sequential)


def test_a_checkpoint_is_loaded_into_what_was_opened(plant: Any, file: Path, tmp_path: Path) -> None:
    plant("upsample", load_upsample)
    weights = {key: value + 1 for key, value in load_upsample(file, {}).state_dict().items()}
    save_file(weights, tmp_path / "more.safetensors")
    model = load_model(str(file), {"scale_factor": 2}, tmp_path / "more.safetensors")
    assert all(value.equal(weights[key]) for key, value in model.state_dict().items())


def test_a_target_with_a_factory_is_no_file_to_open(plant: Any, tmp_path: Path) -> None:
    plant("upsample", load_damaged)
    path = tmp_path / "zoo.py"
    path.write_bytes(b"# " + MARK + b"\nfrom torch.nn import Identity as make\n")
    assert isinstance(load_model(f"{path}:make"), nn.Identity)


@pytest.mark.parametrize("formats", [0, 1])
def test_what_no_format_recognises_is_refused_as_ever(plant: Any, tmp_path: Path, formats: int) -> None:
    if formats:
        plant("upsample", load_upsample)
    path = tmp_path / "zoo.py"
    path.write_text("hello")
    for target in (str(path), str(tmp_path)):
        with pytest.raises(ModelError) as error:
            load_model(target)
        assert str(error.value) == f"expected package.module:factory or path/to/file.py:factory, got {target!r}"


def test_a_file_of_two_formats_is_refused_with_both_names(plant: Any, file: Path) -> None:
    plant("upsample", load_upsample)
    plant("other", load_nothing)
    with pytest.raises(ModelError, match="of the formats 'upsample' and 'other' alike; uninstall"):
        load_model(str(file))


@pytest.mark.parametrize(
    ("load", "message"),
    [(load_damaged, "raised KeyError: 'weights'"), (load_nothing, r"returned a dict; expected a torch\.nn\.Module")],
)
def test_a_format_that_makes_no_model_is_named(plant: Any, file: Path, load: Any, message: str) -> None:
    plant("upsample", load)
    with pytest.raises(ModelError, match=rf"weights\.txt, opened as 'upsample', {message}"):
        load_model(str(file))


def test_what_is_no_format_is_refused_with_its_type() -> None:
    with pytest.raises(RegistryError, match="'function' of artifactlab is a function, expected a ModelFormat"):
        MODEL_FORMATS.register("function", load_upsample)  # type: ignore[arg-type]


def test_a_file_that_may_not_be_read_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def locked(path: Path, *args: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    (tmp_path / "x.pth").write_bytes(b"PK\x03\x04")
    monkeypatch.setattr(Path, "open", locked)
    with pytest.raises(ModelError, match=r"x\.pth cannot be read: Permission denied"):
        load_model(str(tmp_path / "x.pth"))
