"""What `fix` writes is opened where the user's model was: files of weights, folders of diffusers."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import torch
from click.testing import CliRunner

import artifactlab
from artifactlab.cli.main import main

PACKAGES = Path(__file__).parent.parent / "support" / "packages"
PROBE = ("--probe", "zone-plate", "--size", "32x32")
NET = "zoo.py:Net"


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A stand-in for diffusers, imported as the package."""
    monkeypatch.syspath_prepend(str(PACKAGES))
    before = sys.modules.pop("diffusers", None)
    import diffusers

    yield diffusers
    del sys.modules["diffusers"]
    if before is not None:
        sys.modules["diffusers"] = before


def run(*arguments: str, code: int | None = None) -> dict[str, Any]:
    """The JSON of a fix, which validates; what was said on stderr is `said`."""
    result = CliRunner(env={"COLUMNS": "120"}).invoke(main, ["fix", *arguments, "--format", "json"])
    assert result.exit_code in ((0, 1) if code is None else (code,)), result.stderr
    if result.exit_code == 2:
        return {"said": result.stderr}
    data = json.loads(result.stdout)
    jsonschema.validate(data, json.loads(resources.files("artifactlab").joinpath("schemas/fix.json").read_text()))
    return data | {"said": result.stderr}


def test_the_checkpoint_of_a_factory_comes_back_as_one(zoo: Path) -> None:
    weights = artifactlab.load_model(NET).state_dict()
    torch.save({"epoch": 3, "state_dict": {f"module.{key}": value for key, value in weights.items()}}, "net.ckpt")
    options = ("--options", '{"kernel_size": 1}')
    data = run(NET, "--checkpoint", "net.ckpt", *PROBE, "--site", "up1", "-o", "out.safetensors", *options)
    (back,) = data["back"]
    assert back["files"] == ["out.elsewhere.ckpt"]
    assert "wrote out.elsewhere.ckpt\n" in data["said"]
    assert "out.elsewhere.ckpt is for programs that load net.ckpt: the same; only the image's border" in data["said"]
    assert_alike(*(artifactlab.load_model(NET, checkpoint=Path(one)) for one in (*back["files"], "out.safetensors")))


def test_a_folder_comes_back_as_one_that_the_library_opens(zoo: Path, library: Any) -> None:
    library.AutoencoderKL().save_pretrained(zoo / "vae")
    before = {path.name: path.read_bytes() for path in (zoo / "vae").iterdir()}
    data = run("vae", *PROBE, "--site", "decoder.1", "-o", "out/", "--options", '{"kernel_size": 1}')
    assert sorted(path.name for path in (zoo / "out").iterdir()) == [
        "artifactlab.fix.png",
        "artifactlab.safetensors",
        "config.json",
        "diffusion_pytorch_model.safetensors",
    ]
    assert "out is opened like vae: the same; only the image's border differs" in data["said"]
    own = artifactlab.load_model("vae", checkpoint=Path("out/artifactlab.safetensors"))
    assert_alike(artifactlab.load_model("out"), own)
    assert {path.name: path.read_bytes() for path in (zoo / "vae").iterdir()} == before


def test_other_weights_for_the_layer_itself_are_a_folder_that_is_exactly_the_fix(zoo: Path, library: Any) -> None:
    library.AutoencoderKL().save_pretrained(zoo / "vae")
    data = run("vae", *PROBE, "--site", "decoder.1", "-o", "out/", "--with", "weights")
    assert "out is opened like vae: the same\n" in data["said"]
    own = artifactlab.load_model("vae", checkpoint=Path("out/artifactlab.safetensors"))
    image = artifactlab.make_probe("zone-plate", 64).expand(1, 3, -1, -1)
    with torch.no_grad():
        made, expected = artifactlab.load_model("out")(image), own(image)
    assert torch.equal(made, expected)


def assert_alike(model: Any, other: Any) -> None:
    """Away from the border."""
    image = artifactlab.make_probe("zone-plate", 64).expand(1, 3, -1, -1)
    made, expected = (one(image)[..., 16:-16, 16:-16] for one in (model, other))
    torch.testing.assert_close(made, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("out", ["vae", "full", "no/where"])
def test_a_folder_that_is_there_or_has_no_place_is_refused_before_any_work(zoo: Path, library: Any, out: str) -> None:
    library.AutoencoderKL().save_pretrained(zoo / "vae")
    (zoo / "full").mkdir()
    (zoo / "full" / "precious").touch()
    before = sorted(zoo.rglob("*"))
    said = run("vae", *PROBE, "--site", "decoder.1", "-o", out, code=2)["said"]
    assert "new or empty" in said or "make it first" in said
    assert sorted(zoo.rglob("*")) == before
