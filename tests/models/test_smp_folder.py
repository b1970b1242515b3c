"""Folders of segmentation-models-pytorch. A stand-in takes the package's place."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from artifactlab import InputError, ModelError, load_model
from artifactlab.models.formats import format_of
from artifactlab.models.image_needs import ImageNeeds, needs_of

PACKAGES = Path(__file__).parent.parent / "support" / "packages"
NAME = "segmentation_models_pytorch"


@pytest.fixture(autouse=True)
def package(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The stand-in, imported as the package."""
    monkeypatch.syspath_prepend(str(PACKAGES))
    before = sys.modules.pop(NAME, None)
    import segmentation_models_pytorch

    yield segmentation_models_pytorch
    del sys.modules[NAME]
    if before is not None:
        sys.modules[NAME] = before


@pytest.fixture
def folder(tmp_path: Path, package: Any) -> Path:
    package.Unet(encoder_weights=None, in_channels=1).save_pretrained(tmp_path / "unet")
    return tmp_path / "unet"


def changed(folder: Path, **values: Any) -> str:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **values}))
    return str(folder)


def test_a_folder_is_the_model_that_was_saved_and_its_encoder_is_not_fetched(folder: Path, package: Any) -> None:
    model = load_model(str(folder))
    x = torch.rand(1, 1, 32, 32)
    saved = package.Unet(encoder_weights=None, in_channels=1)
    saved.load_state_dict(model.state_dict())
    assert torch.equal(model(x), saved(x))
    assert not model.training
    assert format_of(folder) == "smp"


def test_what_its_encoder_takes_is_known(folder: Path) -> None:
    assert needs_of(load_model(str(folder))) == ImageNeeds("Unet", 1, minimum=16, multiple_of=16)


@pytest.mark.parametrize("name", ["os.system", "Path", "json", None, ["my", "Unet"]])
def test_what_is_no_model_of_the_package_is_refused(folder: Path, name: Any) -> None:
    with pytest.raises(ModelError, match=r"which is no model of segmentation_models_pytorch 0\.6\.0"):
        load_model(changed(folder, _model_class=name))


def test_a_model_that_its_weights_do_not_fill_is_refused(folder: Path) -> None:
    with pytest.raises(ModelError, match=r"does not fit the model: 1 wrong shape: encoder\.weight"):
        load_model(changed(folder, in_channels=2))
    with pytest.raises(ModelError, match="far larger than its"):
        load_model(changed(folder, in_channels=1 << 20))
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"has no weights: expected model\.safetensors beside config\.json"):
        load_model(str(folder))


def test_the_missing_package_is_named_with_what_installs_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, NAME, None)
    with pytest.raises(InputError, match=r"not installed: pip install 'artifactlab\[smp\]'"):
        load_model(str(folder))
