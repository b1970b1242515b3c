"""Folders of diffusers: what is taken, what goes in, and what is refused. A stand-in takes the package's place."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import save_file

import artifactlab
from artifactlab import InputError, ModelError, load_model
from artifactlab.cli.main import main
from artifactlab.models.diffusers_folder import is_diffusers_folder
from artifactlab.models.formats import format_of

PACKAGES = Path(__file__).parent.parent / "support" / "packages"


@pytest.fixture(autouse=True)
def library(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The stand-in, imported as the package."""
    monkeypatch.syspath_prepend(str(PACKAGES))
    before = sys.modules.pop("diffusers", None)
    import diffusers

    yield diffusers
    del sys.modules["diffusers"]
    if before is not None:
        sys.modules["diffusers"] = before


@pytest.fixture
def folder(tmp_path: Path, library: Any) -> Path:
    """A saved autoencoder of images."""
    library.AutoencoderKL().save_pretrained(tmp_path / "vae")
    return tmp_path / "vae"


def changed(folder: Path, **values: Any) -> str:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **values}))
    return str(folder)


def refusal(target: str | Path, **kwargs: Any) -> str:
    with pytest.raises(ModelError) as error:
        load_model(str(target), kwargs)
    return str(error.value)


def sites(model: Any, given: torch.Tensor) -> list[str]:
    with artifactlab.capture(model) as found:
        model(given)
    return [one.site.key for one in found.sites]


def test_images_are_encoded_and_decoded_as_the_likeliest_latents_say(folder: Path) -> None:
    model: Any = load_model(str(folder))
    pixels = torch.rand(1, 3, 32, 32)
    expected = model.decoder(model.encoder(2 * pixels - 1)) / 2 + 0.5
    assert torch.allclose(model(pixels), expected, atol=1e-6)


def test_latents_are_decoded(folder: Path) -> None:
    model: Any = load_model(str(folder))
    latents = torch.randn(1, 4, 16, 16)
    assert torch.allclose(model(latents), model.decoder(latents) / 2 + 0.5, atol=1e-6)


def test_sites_have_the_names_of_the_model_itself(folder: Path) -> None:
    model: Any = load_model(str(folder))
    assert sites(model, torch.rand(1, 3, 32, 32)) == ["decoder.1/interpolate#0"]
    assert type(model).__name__ == "AutoencoderKL"


def test_latents_of_as_many_channels_as_images_are_told_by_kwargs(tmp_path: Path, library: Any) -> None:
    library.AutoencoderKL(latent_channels=3).save_pretrained(tmp_path / "vae")
    given = torch.randn(1, 3, 32, 32)
    target = str(tmp_path / "vae")
    assert load_model(target)(given).shape == (1, 3, 32, 32)
    assert load_model(target, {"input": "latents"})(given).shape == (1, 3, 64, 64)


def test_an_image_is_a_video_of_one_frame_to_a_model_of_videos(tmp_path: Path, library: Any) -> None:
    library.AutoencoderKL(frames=True).save_pretrained(tmp_path / "vae")
    model = load_model(str(tmp_path / "vae"))
    image = torch.rand(1, 3, 32, 32)
    assert model(image).shape == (1, 3, 32, 32)
    assert torch.equal(model(image), model(image[:, :, None])[:, :, 0])
    assert model(torch.randn(1, 4, 3, 16, 16)).shape == (1, 3, 3, 32, 32)


def test_sides_that_are_no_multiple_are_refused_with_the_size_to_give(folder: Path) -> None:
    with pytest.raises(ModelError, match=r"multiples of 2, got 33x40; give --size 32x40"):
        load_model(str(folder))(torch.rand(1, 3, 33, 40))


def test_the_decoder_of_a_pipeline_is_taken_and_said(
    folder: Path, library: Any, caplog: pytest.LogCaptureFixture
) -> None:
    library.UNet().save_pretrained(folder.parent / "unet")
    index = {"_class_name": "Pipeline", "vae": ["diffusers", "AutoencoderKL"], "unet": ["diffusers", "UNet"]}
    (folder.parent / "model_index.json").write_text(json.dumps(index))
    assert type(load_model(str(folder.parent))).__name__ == "AutoencoderKL"
    assert "is a pipeline: its vae is taken; --kwargs names another (unet)" in caplog.text
    assert type(load_model(str(folder.parent), {"component": "unet"})) is library.UNet
    assert "no component 'text'; choose with --kwargs" in refusal(folder.parent, component="text")
    assert "no component '../x'" in refusal(folder.parent, component="../x")


def test_a_component_outside_its_pipeline_is_none(folder: Path) -> None:
    pipeline = folder.parent / "pipeline"
    pipeline.mkdir()
    shutil.copytree(folder, pipeline / "vae")  # the same name inside makes the one outside no component
    (pipeline / "config.json").write_text((folder / "config.json").read_text())
    names = {name: ["diffusers", "X"] for name in ("../vae", str(folder), ".")}
    (pipeline / "model_index.json").write_text(json.dumps({"_class_name": "Pipeline", **names}))
    assert "it has no models of diffusers" in refusal(pipeline)


def test_a_variant_is_found(tmp_path: Path, library: Any) -> None:
    library.AutoencoderKL().half().save_pretrained(tmp_path / "vae", variant="fp16")
    assert {value.dtype for value in load_model(str(tmp_path / "vae")).parameters()} == {torch.float32}


def test_pickled_weights_are_read_as_data(folder: Path, library: Any) -> None:
    model = library.AutoencoderKL()
    (folder / "diffusion_pytorch_model.safetensors").unlink()
    torch.save(model.state_dict(), folder / "diffusion_pytorch_model.bin")
    assert load_model(str(folder)).state_dict().keys() == model.state_dict().keys()


class _Runs:
    """A pickle that raises if it is run."""

    def __reduce__(self) -> Any:
        return (exec, ("raise SystemExit('code has run')",))


def test_pickled_code_is_refused(folder: Path) -> None:
    (folder / "diffusion_pytorch_model.safetensors").unlink()
    torch.save({"encoder.0.weight": _Runs()}, folder / "diffusion_pytorch_model.bin")
    assert "was refused: it needs unpickling" in refusal(folder)


@pytest.mark.parametrize("name", ["os.system", "Scheduler", "torch", "STEM", "Missing", ["my", "Vae"], None, 3])
def test_what_is_no_model_of_the_library_is_refused(folder: Path, name: Any) -> None:
    assert "which is no model of diffusers" in refusal(changed(folder, _class_name=name))


def test_code_in_the_folder_is_never_run(folder: Path) -> None:
    (folder / "mine.py").write_text("raise SystemExit('code has run')")
    assert "brings its own code (auto_map" in refusal(changed(folder, auto_map={"AutoModel": "mine.Vae"}))


def test_an_adapter_is_refused(folder: Path) -> None:
    (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "elsewhere"}')
    assert "holds an adapter of another model" in refusal(folder)


@pytest.mark.parametrize("size", [{"width": 1 << 14, "layers": 2}, {"width": 1 << 23}, {"layers": 10**6}])
def test_a_model_far_larger_than_its_weights_is_refused_while_it_is_built(folder: Path, size: dict[str, int]) -> None:
    assert "asks for a model far larger than its" in refusal(changed(folder, **size))


def test_numbers_that_no_model_has_are_refused_before_anything_is_built(folder: Path) -> None:
    assert "asks for 1000000000 of something" in refusal(changed(folder, blocks=[{"layers": 10**9}]))


def test_missing_weights_are_refused(folder: Path, library: Any) -> None:
    weights = library.AutoencoderKL().state_dict()
    del weights["decoder.2.weight"], weights["decoder.2.bias"]
    save_file(weights, folder / "diffusion_pytorch_model.safetensors")
    assert "2 missing keys, 'decoder.2.bias' first" in refusal(folder)
    assert "do not fit its config.json: Error(s) in loading state_dict" in refusal(changed(folder, width=16))
    (folder / "diffusion_pytorch_model.safetensors").unlink()
    assert "has no weights: expected diffusion_pytorch_model.safetensors" in refusal(folder)


def test_an_index_that_leads_elsewhere_is_refused(folder: Path) -> None:
    index = {"weight_map": {"encoder.0.weight": "../other.safetensors"}}
    (folder / "diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps(index))
    assert "names '../other.safetensors', which is not in the folder" in refusal(folder)


def test_arguments_that_do_not_fit_are_refused(folder: Path, tmp_path: Path, library: Any) -> None:
    assert "takes only component and input in --kwargs, got 'size'" in refusal(folder, size=3)
    assert "is a model and no pipeline" in refusal(folder, component="vae")
    assert "input is 'text'; expected one of images, latents" in refusal(folder, input="text")
    library.UNet().save_pretrained(tmp_path / "unet")
    assert "holds a UNet, which has one kind of input" in refusal(tmp_path / "unet", input="latents")


def test_the_missing_package_is_named_with_what_installs_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "diffusers", None)
    with pytest.raises(InputError, match=r"diffusers, which is not installed: pip install 'artifactlab\[diffusers\]'"):
        load_model(str(folder))


def test_folders_of_something_else_are_none(tmp_path: Path) -> None:
    assert not is_diffusers_folder(tmp_path)
    for text in ("{}", "[1]", "not JSON", '{"model_type": "dpt"}', "[" * 100_000):
        (tmp_path / "config.json").write_text(text)
        assert format_of(tmp_path) is None


def test_the_network_is_shut_while_a_folder_is_opened(
    folder: Path, library: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub, seen, init = SimpleNamespace(HF_HUB_OFFLINE=False), [], library.AutoencoderKL.__init__

    def watched(self: Any, **config: Any) -> None:
        seen.append(hub.HF_HUB_OFFLINE)
        init(self, **config)

    monkeypatch.setitem(sys.modules, "huggingface_hub.constants", hub)
    monkeypatch.setattr(library.AutoencoderKL, "__init__", watched)
    load_model(str(folder))
    assert (seen, hub.HF_HUB_OFFLINE) == ([True], False)


class OfflineModeIsEnabled(ConnectionError):
    """As huggingface_hub raises it."""


def test_what_lies_on_the_network_is_named_without_advice_to_fetch_it(
    folder: Path, library: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetching(self: Any, **config: Any) -> None:
        raise OfflineModeIsEnabled("Cannot reach https://example.org/x: offline mode is enabled. To disable it, ...")

    monkeypatch.setitem(sys.modules, "huggingface_hub.constants", SimpleNamespace(HF_HUB_OFFLINE=False))
    monkeypatch.setattr(library.AutoencoderKL, "__init__", fetching)
    assert refusal(folder).endswith("on the network, which is never fetched: Cannot reach https://example.org/x")


@pytest.mark.parametrize("quiet", [False, True])
def test_the_commands_open_a_folder(folder: Path, quiet: bool, caplog: pytest.LogCaptureFixture) -> None:
    options = ["--quiet"] if quiet else []
    noise = ["--noise", "1x4x16x16", "--count", "2", "--format", "json"]
    linted = CliRunner().invoke(main, ["lint", str(folder), *options])
    found = CliRunner().invoke(main, ["diagnose", str(folder), *noise, *options])
    assert (linted.exit_code, found.exit_code) == (0, 0), found.output
    assert [site["name"] for site in json.loads(found.stdout)["sites"]] == ["decoder.1"]
    assert ("pixels, 0 to 1" in caplog.text) == (not quiet)


def test_quiet_ends_with_its_command(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert CliRunner().invoke(main, ["lint", str(folder), "--quiet", "--format", "none"]).exit_code == 2
    load_model(str(folder))
    assert "pixels, 0 to 1" in caplog.text


def test_arguments_reach_the_decoder(folder: Path) -> None:
    model: Any = load_model(str(folder))
    given: dict[str, Any] = {}

    def decode(latents: torch.Tensor, strength: float = 1.0) -> Any:
        given["strength"] = strength
        return type(model).decode(model, latents)

    model.decode = decode
    made = model(torch.randn(1, 4, 16, 16), strength=0.5)
    assert made.shape == (1, 3, 32, 32)
    assert given == {"strength": 0.5}
    with pytest.raises(ModelError, match="decode of AutoencoderKL has no argument 'width'; it takes latents"):
        model(torch.randn(1, 4, 16, 16), width=3)


@pytest.mark.parametrize("typed", [["--noise", "1x4x16x16"], ["--probe", "slanted-edge", "--size", "32x32"]])
def test_another_range_than_the_one_it_is_opened_with_is_refused(folder: Path, typed: list[str]) -> None:
    result = CliRunner().invoke(main, ["diagnose", str(folder), *typed, "--range", "-1,1"])
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1] == (
        "Error: AutoencoderKL is opened so that black and white are 0,1, whatever they are inside; give --range 0,1 and"
        " not -1,1, or leave it out"
    )
