"""The nodes for ComfyUI, linked into a folder of custom nodes and run as ComfyUI does it."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import comfyui
import pytest
import spandrel_stand_in
import torch
from torch import Tensor, nn

from artifactlab.errors import InputError

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDER = ROOT / "integrations" / "comfyui"
UPSCALER, VAE, SCORE = "ArtifactLabDiagnoseUpscaleModel", "ArtifactLabDiagnoseVae", "ArtifactLabScoreImage"


@pytest.fixture
def nodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """The nodes by their ids, of a link in `custom_nodes`."""
    for name, module in comfyui.modules().items():
        monkeypatch.setitem(sys.modules, name, module)
    link = tmp_path / "custom_nodes" / "artifactlab"
    link.parent.mkdir()
    link.symlink_to(FOLDER)
    before = set(sys.modules)
    yield comfyui.load(link)
    for name in set(sys.modules) - before:
        if "custom_nodes" in name:
            del sys.modules[name]


@pytest.fixture
def upscaler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A descriptor that was made in inference mode, as by the node before; its model draws a grid of period 2."""
    spandrel_stand_in.install(tmp_path, monkeypatch)
    from spandrel import MAIN_REGISTRY

    weight, bias = torch.zeros(12, 3, 3, 3), torch.zeros(12)
    weight[range(12), [i // 4 for i in range(12)], 1, 1] = 1  # each colour four times: nearest replication
    bias[::4] = 0.1
    with torch.inference_mode():
        return MAIN_REGISTRY.load({"conv.weight": weight.clone(), "conv.bias": bias.clone()})


class Replicating(nn.Module):
    """An autoencoder that takes every second pixel and writes it two by two, -1 to 1."""

    def __init__(self, smooth: bool) -> None:
        super().__init__()
        self.resize = nn.Upsample(scale_factor=2, mode="bilinear" if smooth else "nearest")
        self.mix = nn.Conv2d(3, 3, 1, bias=False)
        nn.init.dirac_(self.mix.weight)

    def decode(self, latents: Tensor) -> Tensor:
        return self.mix(self.resize(latents))


class StandInVae:
    """As much of `comfy.sd.VAE` as is used; `process_output` writes into what it is given, as there."""

    def __init__(self, smooth: bool = False) -> None:
        self.first_stage_model = Replicating(smooth)

    def encode(self, pixels: Tensor) -> Tensor:
        assert pixels.shape[-1] == 3
        with torch.inference_mode():
            return 2 * pixels.movedim(-1, 1)[..., ::2, ::2] - 1

    def process_output(self, image: Tensor) -> Tensor:
        return image.add_(1.0).div_(2.0).clamp_(0.0, 1.0)


def discs(side: int, count: int = 1) -> Tensor:
    """Smooth discs (B, H, W, 3), whose edges have all directions."""
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    rows = [
        ((y - 0.5 * side).hypot(x - (0.45 + 0.05 * i) * side) - 0.3 * side).div(-2.0).sigmoid() for i in range(count)
    ]
    return (0.25 + 0.5 * torch.stack(rows))[..., None].expand(-1, -1, -1, 3).contiguous()


def replicated(image: Tensor, factor: int) -> Tensor:
    return image.repeat_interleave(factor, 1).repeat_interleave(factor, 2)


def test_the_layer_of_an_upscale_model_that_draws_a_grid_is_named_and_the_cached_model_stays(
    nodes: dict[str, Any], upscaler: Any
) -> None:
    kind, weights = type(upscaler.model), {name: value.clone() for name, value in upscaler.model.state_dict().items()}
    verdict, picture, severity, passed = comfyui.run(nodes[UPSCALER], upscale_model=upscaler, image=discs(70, 2)).args
    assert verdict.startswith("shuffle/pixel_shuffle#0 causes the output's checkerboard")
    assert "Images are cropped to sides of multiples of 8" in verdict
    assert picture.shape == (2, 128, 128, 3)
    assert picture.max() > 0.9
    assert severity > 10
    assert not passed
    assert type(upscaler.model) is kind
    assert all(torch.equal(value, weights[name]) for name, value in upscaler.model.state_dict().items())


def test_only_the_middle_of_each_image_is_run_unless_all_is_wanted(nodes: dict[str, Any]) -> None:
    channels_first = sys.modules[nodes[UPSCALER].__module__].channels_first
    image = torch.rand(2, 20, 30, 4, generator=torch.Generator().manual_seed(0))  # the fourth is how opaque it is
    for crop, rows, columns in ((0, slice(0, 20), slice(0, 30)), (24, slice(0, 20), slice(3, 27))):
        middle = channels_first(image, crop)
        assert torch.equal(torch.cat(middle), image[:, rows, columns, :3].movedim(-1, 1))


def test_a_decoder_that_replicates_is_named_and_one_that_does_not_passes(nodes: dict[str, Any]) -> None:
    comfyui.ProgressBar.seen.clear()
    bad = comfyui.run(nodes[VAE], vae=StandInVae(), image=discs(128))
    verdict, picture, severity, passed = bad.args
    assert verdict.startswith("first_stage_model.resize/interpolate#0 causes the output's stair-steps")
    assert (severity > 1, passed) == (True, False)
    assert picture.max() > 0.9
    assert bad.ui.as_dict() == {"text": (verdict,)}
    done, wanted = comfyui.ProgressBar.seen[-1]
    assert done == wanted > 0

    verdict, picture, severity, passed = comfyui.run(nodes[VAE], vae=StandInVae(smooth=True), image=discs(96)).args
    assert verdict.startswith("No offender: the output is clean")
    assert (severity < 1, passed) == (True, True)
    assert picture.mean() < 0.05  # what repairing moves there is no artifact, and is not drawn as if it were


def test_images_are_scored_each_by_itself_and_the_worst_decides(nodes: dict[str, Any]) -> None:
    images = torch.cat([discs(96), replicated(discs(24), 4)])
    verdict, picture, severity, passed = comfyui.run(nodes[SCORE], image=images).args
    assert re.match(r"Image 1: Clean: .*\nImage 2: It shows stair-steps \(1\.\d+ px\).*lattice of 4 px", verdict)
    assert (severity > 100, passed) == (True, False)
    clean, bad = picture.amax((1, 2, 3))
    assert clean < 0.2 < bad
    _, _, severity, passed = comfyui.run(nodes[SCORE], image=images[:1]).args
    assert (severity < 1, passed) == (True, True)


def test_what_cannot_be_told_does_not_pass(nodes: dict[str, Any]) -> None:
    verdict, _, severity, passed = comfyui.run(nodes[SCORE], image=discs(24)).args
    assert verdict.startswith("Cannot tell")
    assert (severity, passed) == (0.0, False)
    vae = StandInVae(smooth=True)
    noise = 4 * torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    vae.first_stage_model.mix.register_forward_hook(lambda module, args, output: output + noise)
    verdict, _, _, passed = comfyui.run(nodes[VAE], vae=vae, image=discs(32)).args
    assert verdict.startswith("Cannot tell")
    assert not passed


@pytest.mark.parametrize(
    ("node", "given", "said"),
    [
        (UPSCALER, {"upscale_model": nn.Identity(), "image": discs(64), "crop": 0}, "expected an upscale model"),
        (
            VAE,
            {"vae": nn.Identity(), "image": discs(64), "crop": 0},
            "expected a VAE.*Identity has no first_stage_model",
        ),
        (SCORE, {"image": torch.rand(3, 64, 64)}, r"expected images \(B, H, W, C\).*\(3, 64, 64\)"),
    ],
)
def test_what_is_no_such_thing_is_refused(nodes: dict[str, Any], node: str, given: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        nodes[node].execute(**given)


def test_it_says_what_it_needs_where_artifactlab_is_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, module in comfyui.modules().items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match="these nodes need artifactlab in ComfyUI's own Python"):
        comfyui.load(FOLDER)


def test_the_registry_reads_the_version_of_the_package() -> None:
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    project = (FOLDER / "pyproject.toml").read_text()
    assert f'\nversion = "{setup["metadata"]["version"]}"\n' in project
    assert f'\nrequires-python = "{setup["options"]["python_requires"]}"\n' in project


def test_the_readme_describes_every_node_and_output(nodes: dict[str, Any]) -> None:
    readme = (FOLDER / "README.md").read_text()
    for node in nodes.values():
        schema = node.define_schema()
        assert f"| {schema.display_name} | " in readme
        assert all(f"`{socket.given['display_name']}`" in readme for socket in schema.outputs)
        assert all(f"`{socket.id}`" in readme for socket in schema.inputs)
