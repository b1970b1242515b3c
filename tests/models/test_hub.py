"""Ids of models: nothing is fetched unless that is said, and then weights and descriptions alone."""

from __future__ import annotations

import fnmatch
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner, Result

from artifactlab.cli.main import main
from artifactlab.errors import InputError
from artifactlab.models.hub import downloaded, is_id

PACKAGES = Path(__file__).parent.parent / "support" / "packages"
PROBE = ("--probe", "slanted-edge", "--size", "32x32")


class Hub:
    """Repositories in a folder, served as huggingface_hub's function does; what was asked for is kept."""

    def __init__(self, folder: Path) -> None:
        self.there, self.here = folder / "there", folder / "here"
        self.asked: list[tuple[str, str | None, list[str]]] = []

    def snapshot_download(self, name: str, *, revision: str | None, allow_patterns: list[str]) -> str:
        self.asked.append((name, revision, allow_patterns))
        if not (self.there / name).is_dir():
            raise ConnectionError("no route to host\n(details over many lines)")
        for path in (self.there / name).rglob("*"):
            inside = str(path.relative_to(self.there / name))
            if path.is_file() and any(fnmatch.fnmatch(inside, pattern) for pattern in allow_patterns):
                (self.here / inside).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, self.here / inside)
        return str(self.here)

    def fetched(self) -> set[str]:
        return {str(path.relative_to(self.here)) for path in self.here.rglob("*") if path.is_file()}


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    """A hub with one autoencoder, alone and in a pipeline, beside what is not to be fetched."""
    monkeypatch.syspath_prepend(str(PACKAGES))
    monkeypatch.delitem(sys.modules, "diffusers", raising=False)
    import diffusers

    made = Hub(tmp_path)
    monkeypatch.setitem(sys.modules, "huggingface_hub", SimpleNamespace(snapshot_download=made.snapshot_download))
    diffusers.AutoencoderKL().save_pretrained(made.there / "owner" / "vae")
    for name in ("vae", "unet"):
        diffusers.AutoencoderKL().save_pretrained(made.there / "owner" / "pipeline" / name)
    (made.there / "owner" / "pipeline" / "model_index.json").write_text(
        '{"_class_name": "Pipeline", "vae": ["diffusers", "AutoencoderKL"], "unet": ["diffusers", "AutoencoderKL"]}'
    )
    for name in ("model.py", "model.bin", "README.md"):
        (made.there / "owner" / "vae" / name).write_text("not fetched")
    monkeypatch.chdir(tmp_path)
    yield made
    del sys.modules["diffusers"]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


@pytest.mark.parametrize("command", [["diagnose"], ["lint"], ["fix", "-o", "fixed.safetensors"]])
def test_nothing_is_fetched_without_the_flag_and_it_is_said_what_to_add(hub: Hub, command: list[str]) -> None:
    given = () if command == ["lint"] else PROBE
    result = run(*command, "owner/vae", *given)
    assert result.exit_code == 2
    assert result.stderr.endswith(
        "got 'owner/vae'; if it is the id of a model on the Hugging Face Hub, add --download\n"
    )
    assert hub.asked == []


def test_two_ids_are_compared_and_not_without_the_flag(hub: Hub) -> None:
    pair = ("compare", "owner/vae", "owner/vae@v2", *PROBE, "--format", "json")
    refused = run(*pair)
    assert refused.exit_code == 2
    assert "owner/vae: no such file or folder; if it is the id of a model" in refused.stderr
    assert hub.asked == []
    result = run(*pair, "--download")
    assert result.exit_code == 0, result.stderr
    assert [revision for _, revision, _ in hub.asked] == [None, None, "v2", "v2"]


def test_weights_and_descriptions_are_fetched_and_nothing_else(hub: Hub) -> None:
    result = run("diagnose", "owner/vae@v1", "--download", *PROBE, "--format", "json")
    assert result.exit_code == 0, result.stderr
    assert '"source": "owner/vae@v1"' in result.stdout
    assert hub.fetched() == {"config.json", "diffusion_pytorch_model.safetensors"}
    assert hub.asked == [("owner/vae", "v1", ["*.json"]), ("owner/vae", "v1", ["*.json", "*.safetensors"])]


@pytest.mark.parametrize(("kwargs", "component"), [({}, "vae"), ({"component": "unet"}, "unet")])
def test_of_a_pipeline_the_component_that_is_judged_is_fetched(hub: Hub, kwargs: Any, component: str) -> None:
    downloaded("owner/pipeline", kwargs)
    assert {name for name in hub.fetched() if name.endswith(".safetensors")} == {
        f"{component}/diffusion_pytorch_model.safetensors"
    }


@pytest.mark.parametrize("component", ["../vae", "*", 3, "text"])
def test_a_component_that_is_not_there_is_not_asked_for(hub: Hub, component: Any) -> None:
    with pytest.raises(InputError, match=r"is a pipeline without .*; give component in --kwargs: vae, unet"):
        downloaded("owner/pipeline", {"component": component})
    assert len(hub.asked) == 1


def test_a_network_that_fails_is_one_line(hub: Hub) -> None:
    result = run("lint", "owner/other", "--download")
    assert result.exit_code == 2
    assert result.stderr == (
        "Error: owner/other cannot be fetched from the Hugging Face Hub (ConnectionError: no route to host)\n"
    )


def test_what_is_here_is_not_fetched(hub: Hub) -> None:
    (hub.here.parent / "owner" / "vae").mkdir(parents=True)
    for target, why in (("owner/vae", "there is a file or folder of that name"), ("nets.py:make", "another target")):
        with pytest.raises(InputError, match=why):
            downloaded(target, {})
    assert hub.asked == []


@pytest.mark.parametrize("text", ["a/b/c", "../x", "a/b@", "https://host/a/b", "a/b.pth", "a", "/a/b", "a/", "a /b"])
def test_what_is_no_id(text: str) -> None:
    assert not is_id(text)


def test_the_missing_package_is_named_with_what_installs_it(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(InputError, match=r"not installed: pip install 'artifactlab\[hub\]'"):
        downloaded("owner/vae", {})
