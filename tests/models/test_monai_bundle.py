"""MONAI bundles: networks of MONAI's, and nothing that would run. A stand-in takes the package's place."""

from __future__ import annotations

import json
import shutil
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from artifactlab import InputError, ModelError, load_model
from artifactlab.models.formats import format_of
from artifactlab.models.image_needs import ImageNeeds, needs_of

PACKAGES = Path(__file__).parent.parent / "support" / "packages"
UNET = {"_target_": "UNet", "spatial_dims": 2, "in_channels": 1, "out_channels": 2, "channels": [4]}


@pytest.fixture(autouse=True)
def package(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The stand-in, imported as the package."""
    monkeypatch.syspath_prepend(str(PACKAGES))
    before = {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] == "monai"}
    import monai.networks.nets

    yield monai.networks.nets
    for name in [name for name in sys.modules if name.partition(".")[0] == "monai"]:
        del sys.modules[name]
    sys.modules.update(before)


@pytest.fixture
def bundle(tmp_path: Path, package: Any) -> Path:
    folder = tmp_path / "bundle"
    (folder / "models").mkdir(parents=True)
    (folder / "configs").mkdir()
    net = package.UNet(2, 1, 2, [4], pretrained=False)
    torch.save(net.state_dict(), folder / "models" / "model.pt")
    written(folder)
    return folder


def written(folder: Path, network: Any = UNET, **beside: Any) -> str:
    (folder / "configs" / "inference.json").write_text(json.dumps({"network_def": network, **beside}))
    return str(folder)


def weights_of(model: Any) -> dict[str, Any]:
    return {name: value.tolist() for name, value in model.state_dict().items()}


def test_a_bundle_is_the_network_that_was_saved(bundle: Path) -> None:
    model = load_model(str(bundle))
    saved = torch.load(bundle / "models" / "model.pt", weights_only=True)
    assert weights_of(model) == {name: value.tolist() for name, value in saved.items()}
    assert type(model).__name__ == "UNet"
    assert not model.training
    assert needs_of(model) == ImageNeeds("UNet", 1)
    assert format_of(bundle) == "monai"


def test_a_zip_of_a_bundle_is_the_same(bundle: Path) -> None:
    shutil.make_archive(str(bundle), "zip", bundle.parent, "bundle")
    file = bundle.with_suffix(".zip").rename(bundle.parent / "download")
    assert weights_of(load_model(str(file))) == weights_of(load_model(str(bundle)))


@pytest.mark.parametrize("target", ["UNet", "monai.networks.nets.UNet", "monai.networks.nets.unet.UNet"])
def test_literals_and_references_to_them_are_taken(bundle: Path, target: str) -> None:
    network = {**UNET, "_target_": target, "in_channels": "@sizes::0", "channels": ["%width"], "norm": "$None"}
    assert load_model(written(bundle, network, sizes=[1, 2], width="$(4)")).state_dict().keys() == {
        *("down.weight", "down.bias", "up.weight", "up.bias")
    }


@pytest.mark.parametrize(
    "target",
    ["os.system", "torch.nn.Conv2d", "Conv2d", "Path", "scripts.net.UNet", "evil.UNet", None, ["UNet"], "monai.UNet"],
)
def test_what_is_no_network_of_monai_is_refused(bundle: Path, target: Any) -> None:
    with pytest.raises(ModelError, match=r"which is no class of monai\.networks\.nets and is never run"):
        load_model(written(bundle, {**UNET, "_target_": target}))


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("$__import__('os').system('true')", "which is never run"),
        ("$[" * 600, "which is never run"),
        ("@nowhere", "refers to '@nowhere', which is not in it"),
        ("@round", "or in a circle"),
        ({"_target_": "builtins.print"}, "makes an argument of 'builtins.print', which is never run"),
        (1 << 30, "asks for 1073741824 of something"),
        (1 << 22, "far larger than its"),
    ],
)
def test_arguments_that_run_or_fill_memory_are_refused(bundle: Path, value: Any, why: str) -> None:
    with pytest.raises(ModelError) as error:
        load_model(written(bundle, {**UNET, "out_channels": value}, round="@round"))
    assert why in str(error.value)
    assert "\n" not in str(error.value)


def test_nothing_is_fetched(bundle: Path) -> None:
    assert load_model(written(bundle, {**UNET, "pretrained": True}))
    with pytest.raises(ModelError, match=r"as pretrained_url, which is never fetched or read"):
        load_model(written(bundle, {**UNET, "pretrained_url": "somewhere"}))


def test_a_bundle_of_another_kind_of_network_says_what_was_expected(bundle: Path) -> None:
    with pytest.raises(ModelError, match="names no network: expected a _target_ under network_def or network or net"):
        load_model(written(bundle, "$import scripts"))


def test_a_zip_that_unpacks_to_far_more_is_refused(bundle: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as file:
        file.write(bundle / "configs" / "inference.json", "bundle/configs/inference.json")
        file.writestr("bundle/models/model.pt", bytes(1 << 20))
    with pytest.raises(ModelError, match="claims 1048576 bytes, more than weights are packed to"):
        load_model(str(tmp_path / "bomb.zip"))


def test_the_missing_package_is_named_with_what_installs_it(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "monai.networks.nets", None)
    monkeypatch.setitem(sys.modules, "monai", None)
    with pytest.raises(InputError, match=r"not installed: pip install 'artifactlab\[monai\]'"):
        load_model(str(bundle))
