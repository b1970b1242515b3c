"""Folders of transformers: pixels go in, a picture comes out. A stand-in takes the package's place."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import artifactlab
from artifactlab import InputError, ModelError, load_model
from artifactlab.models.image_processors import Processor, processor_of

PACKAGES = Path(__file__).parent.parent / "support" / "packages"
NORMALISED = {"do_rescale": True, "do_normalize": True, "image_mean": [0.5, 0.4, 0.3], "image_std": [0.1, 0.2, 0.5]}


@pytest.fixture(autouse=True)
def library(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The stand-in, imported as the package."""
    monkeypatch.syspath_prepend(str(PACKAGES))
    before = sys.modules.pop("transformers", None)
    import transformers

    yield transformers
    del sys.modules["transformers"]
    if before is not None:
        sys.modules["transformers"] = before


@pytest.fixture
def folder(tmp_path: Path, library: Any) -> Path:
    """A saved model of depth."""
    library.DPTForDepthEstimation().save_pretrained(tmp_path)
    return tmp_path


def test_depth_is_an_image_of_one_channel(folder: Path) -> None:
    model: Any = load_model(str(folder))
    pixels = torch.rand(1, 3, 32, 32)
    assert list(model(pixels)) == ["predicted_depth"]
    assert torch.equal(model(pixels)["predicted_depth"], model.up(model.down(pixels)))


def test_sites_have_the_names_of_the_model_itself(folder: Path) -> None:
    model: Any = load_model(str(folder))
    with artifactlab.capture(model) as found:
        model(torch.rand(1, 3, 32, 32))
    assert [one.site.key for one in found.sites] == ["up/conv_transpose2d#0"]
    assert type(model).__name__ == "DPTForDepthEstimation"


def test_pixels_are_normalised_as_its_processor_does(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    (folder / "preprocessor_config.json").write_text(json.dumps(NORMALISED))
    model: Any = load_model(str(folder))
    pixels = torch.rand(1, 3, 32, 32)
    mean, std = (torch.tensor(NORMALISED[name])[:, None, None] for name in ("image_mean", "image_std"))
    expected = model.up(model.down((pixels - mean) / std))
    assert torch.allclose(model(pixels)["predicted_depth"], expected, atol=1e-5)
    assert "pixels, 0 to 1, are normalised, as its processor does" in caplog.text


def test_a_model_of_something_else_is_left_as_it_is(tmp_path: Path, library: Any) -> None:
    library.HifiGan().save_pretrained(tmp_path)
    assert type(load_model(str(tmp_path))) is library.HifiGan


@pytest.mark.parametrize("name", ["os.system", "Path", "nn", None, [], [None], ["my", "Dpt"]])
def test_what_is_no_model_of_the_library_is_refused(tmp_path: Path, library: Any, name: Any) -> None:
    library.DPTForDepthEstimation().save_pretrained(tmp_path, architectures=name)
    with pytest.raises(ModelError, match="which is no model of transformers"):
        load_model(str(tmp_path))


def test_code_and_arguments_are_refused(tmp_path: Path, library: Any) -> None:
    library.DPTForDepthEstimation().save_pretrained(tmp_path, auto_map={"AutoModel": "mine.Dpt"})
    with pytest.raises(ModelError, match="brings its own code"):
        load_model(str(tmp_path))
    with pytest.raises(ModelError, match="takes no --kwargs, got"):
        load_model(str(tmp_path), {"trust_remote_code": True})


def test_the_missing_package_is_named_with_what_installs_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(InputError, match=r"not installed: pip install 'artifactlab\[transformers\]'"):
        load_model(str(folder))


@pytest.mark.parametrize(
    ("config", "sides"),
    [
        ({"do_resize": False, "size": {"height": 32, "width": 32}}, (48, 96)),
        ({"size": {"height": 32, "width": 40}}, (32, 40)),
        ({"size": 24}, (24, 24)),
        ({"size": {"shortest_edge": 24}}, (24, 48)),
        ({"size": {"height": 44, "width": 32}, "keep_aspect_ratio": True, "ensure_multiple_of": 14}, (42, 84)),
        ({"do_resize": True, "size_divisor": 32}, (64, 96)),
        ({}, (48, 96)),
    ],
)
def test_images_are_resized_as_the_description_asks(config: dict[str, Any], sides: tuple[int, int]) -> None:
    assert processor_of(config)(torch.rand(1, 3, 48, 96)).shape[-2:] == sides


def test_models_of_bytes_get_bytes() -> None:
    assert float(processor_of({"do_rescale": False})(torch.ones(1, 3, 16, 16)).max()) == 255.0


def test_gradients_pass() -> None:
    pixels = torch.rand(1, 3, 32, 32, requires_grad=True)
    processor_of({**NORMALISED, "size": 16})(pixels).sum().backward()
    assert pixels.grad is not None
    assert bool((pixels.grad > 0).all())


@pytest.mark.parametrize(
    "config",
    [
        {"size": {"height": 10**9, "width": 16}},
        {"size": {"width": 16}},
        {"size": {"shortest_edge": 0}},
        {"image_mean": [0.5]},
        {"image_mean": [0.5], "image_std": [0]},
        {"image_mean": ["x"], "image_std": [1]},
        {"image_mean": [0.5], "image_std": [float("inf")]},
    ],
)
def test_absurd_descriptions_are_refused(config: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match=r"preprocessor_config\.json cannot be read"):
        processor_of(config)


def test_a_model_without_a_description_gets_its_pixels() -> None:
    assert processor_of(None) == Processor()
