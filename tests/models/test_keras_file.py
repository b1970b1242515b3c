"""`.keras` files: channels first outside, layers by their names, nothing that runs. Stand-ins take the packages' place.

`benchmarks/model_files_saved.py` opens real files with the real ones.
"""

from __future__ import annotations

import json
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import artifactlab
from artifactlab import InputError, ModelError, load_model
from artifactlab.models.formats import format_of
from artifactlab.models.image_needs import ImageNeeds, needs_of

PACKAGES = Path(__file__).parent.parent / "support" / "packages"
NAMES = ("keras", "h5py")
DENSE = {"module": "keras.layers", "class_name": "Dense", "registered_name": None, "config": {"name": "dense"}}


@pytest.fixture(autouse=True)
def packages(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The stand-ins, to be imported as the packages."""
    monkeypatch.syspath_prepend(str(PACKAGES))
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    before = {name: sys.modules.pop(name) for name in NAMES if name in sys.modules}
    yield
    for name in NAMES:
        sys.modules.pop(name, None)
    sys.modules.update(before)


def saved(folder: Path, *layers: Any, shape: Any = (None, None, None, 3), weights: Any = None) -> str:
    config = {"module": "keras", "class_name": "Sequential", "config": {"batch_shape": shape, "layers": layers}}
    with zipfile.ZipFile(folder / "net", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("metadata.json", "{}")
        file.writestr("config.json", json.dumps(config))
        file.writestr("model.weights.h5", json.dumps({"layers": {"kernel": 36}} if weights is None else weights))
    return str(folder / "net")


def refusal(*given: Any, **how: Any) -> str:
    with pytest.raises(ModelError) as error:
        load_model(saved(*given, **how))
    return str(error.value)


def test_images_are_channels_first_and_layers_have_their_names(tmp_path: Path) -> None:
    model: Any = load_model(saved(tmp_path, DENSE))
    image = torch.rand(1, 3, 8, 8)
    with artifactlab.capture(model) as found:
        made = model(image)
    assert [one.site.key for one in found.sites] == ["up/interpolate#0"]
    assert [name for name, _ in model.named_parameters()] == ["dense.kernel"]
    mixed = (0.1 * image.sum(1, keepdim=True)).expand(-1, 3, -1, -1)
    torch.testing.assert_close(made, torch.nn.functional.interpolate(mixed, scale_factor=2, mode="bilinear"))
    assert format_of(tmp_path / "net") == "keras"


def test_its_weights_are_those_it_computes_with(tmp_path: Path) -> None:
    model: Any = load_model(saved(tmp_path, DENSE))
    torch.nn.init.zeros_(model.get_parameter("dense.kernel"))
    assert not model(torch.rand(1, 3, 8, 8)).any()


def test_channels_and_a_size_that_is_fixed_are_said(tmp_path: Path) -> None:
    model = load_model(saved(tmp_path, DENSE, shape=(None, 16, 24, 1)))
    assert needs_of(model) == ImageNeeds("net", 1)
    with pytest.raises(ModelError, match="net takes images of 16x24 alone; give --size 16x24"):
        model(torch.rand(1, 1, 16, 16))


@pytest.mark.parametrize(
    "layer",
    [
        {"class_name": "Lambda"},
        {"class_name": "TorchModuleWrapper"},
        {"class_name": "StringLookup"},
        {"class_name": "system", "module": "os"},
        {"class_name": "run_command", "module": "keras.src.utils"},
        {"class_name": "Mine", "module": None, "registered_name": "package>Mine"},
        {"class_name": "Dense", "registered_name": "package>Mine"},
        {"class_name": "__lambda__", "module": None},
        {"class_name": ["Dense"]},
    ],
)
def test_what_runs_code_or_reads_files_is_refused_before_keras_sees_it(tmp_path: Path, layer: Any) -> None:
    assert "which is no layer of Keras's own or may run code" in refusal(tmp_path, {"deep": [{**DENSE, **layer}]})
    assert "keras" not in sys.modules


@pytest.mark.parametrize(
    ("weights", "why"),
    [
        ({"a": {"kernel": "other.h5"}}, "said to lie elsewhere: 'kernel'"),
        ({"a": {"kernel": -36}}, "said to lie elsewhere: 'kernel'"),
        ({"a": {"kernel": 1 << 40}}, "claims more weights than its bytes can hold"),
        ({"a": {"kernel": 36}, "padding": " " * (1 << 22)}, "claims more weights than its bytes can hold"),
        ([], "cannot be opened by Keras: AttributeError"),
    ],
)
def test_weights_elsewhere_or_more_than_there_are_are_refused(tmp_path: Path, weights: Any, why: str) -> None:
    assert why in refusal(tmp_path, DENSE, weights=weights)


def test_a_damaged_file_is_said(tmp_path: Path) -> None:
    path = Path(saved(tmp_path, DENSE))
    path.write_bytes(path.read_bytes().replace(b"Sequential", b"sequential", 1)[: path.stat().st_size])
    content = bytearray(path.read_bytes())
    content[content.index(b"config.json") + 12] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(ModelError, match="it is damaged"):
        load_model(str(path))


def test_keras_on_something_else_than_torch_says_what_to_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import keras

    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    assert "Keras runs on jax here; set KERAS_BACKEND=torch" in refusal(tmp_path, DENSE)


@pytest.mark.parametrize("name", NAMES)
def test_the_missing_package_is_named_with_what_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(InputError, match=r"not installed: pip install 'artifactlab\[keras\]'"):
        load_model(saved(tmp_path, DENSE))
