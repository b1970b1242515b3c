"""Weights are found in what trainers write: under prefixes, beside other networks, in Lightning's checkpoints."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest
import spandrel_stand_in
import torch
from click.testing import CliRunner
from safetensors.torch import save_file
from torch import Tensor

from artifactlab import ModelError, load_model
from artifactlab.cli.main import main
from artifactlab.models.checkpoint_parts import networks_in

NET = """
from torch import nn
class Net(nn.Sequential):
    def __init__(self, width=2):
        super().__init__(nn.Conv2d(3, width, 3, padding=1), nn.ConvTranspose2d(width, 3, 4, 2, 1))
"""


@pytest.fixture
def net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "nets.py").write_text(NET)
    monkeypatch.chdir(tmp_path)
    return "nets.py:Net"


def weights(prefix: str = "", fill: float = 1.0, width: int = 2) -> dict[str, Tensor]:
    shapes = {"0.weight": (width, 3, 3, 3), "0.bias": (width,), "1.weight": (width, 3, 4, 4), "1.bias": (3,)}
    return {prefix + name: torch.full(shape, fill) for name, shape in shapes.items()}


def lightning(state: dict[str, Tensor], **hyper_parameters: Any) -> str:
    """A file as Lightning 2 writes it."""
    written = {"epoch": 1, "pytorch-lightning_version": "2.6.6", "state_dict": state, "loops": {}, "callbacks": {}}
    torch.save({**written, "hyper_parameters": hyper_parameters}, "x.ckpt")
    return "x.ckpt"


def loaded(net: str, file: str, key: str | None = None) -> float:
    return float(load_model(net, checkpoint=Path(file), checkpoint_key=key).get_parameter("1.bias").detach()[0])


@pytest.mark.parametrize("prefix", ["model.", "generator.", "netG.", "anything.at_all."])
def test_a_prefix_is_found_by_the_models_own_names(net: str, prefix: str, caplog: pytest.LogCaptureFixture) -> None:
    others = {"discriminator.0.weight": torch.zeros(1), "loss.scale": torch.zeros(1)}
    assert loaded(net, lightning(weights(prefix) | others)) == 1
    assert f"of x.ckpt, the weights under '{prefix[:-1]}' are taken, and 2 others are not" in caplog.text


def test_a_prefix_of_all_weights_is_nothing_to_talk_about(net: str, caplog: pytest.LogCaptureFixture) -> None:
    assert loaded(net, lightning(weights("model."))) == 1
    assert caplog.text == ""


def test_two_networks_of_the_same_names_are_told_apart_by_the_user(net: str) -> None:
    file = lightning(weights("net.", 1) | weights("ema.net.", 2))
    with pytest.raises(ModelError, match=r"under ema\.net, net; choose one of them, as --checkpoint-key ema\.net$"):
        load_model(net, checkpoint=Path(file))
    for key in ("ema.net", "state_dict.ema.net", "state_dict.ema", "ema"):
        assert loaded(net, file, key) == 2
    assert loaded(net, file, "net") == 1


def test_a_key_leads_through_dicts_and_names_that_have_dots(net: str) -> None:
    torch.save({"best": {"net.g": weights(fill=3)}, "state_dict": weights()}, "x.pt")
    assert loaded(net, "x.pt") == 1
    assert loaded(net, "x.pt", "best.net.g") == 3
    save_file(weights("g.", 4) | weights("d.", 5), "x.safetensors")
    assert loaded(net, "x.safetensors", "g") == 4


@pytest.mark.parametrize("key", ["nothing", "state_dict.nothing", "g.0", "."])
def test_a_key_that_leads_nowhere_is_refused(net: str, key: str) -> None:
    with pytest.raises(ModelError, match=r"has nothing under .*; it has g$|does not fit the model"):
        loaded(net, lightning(weights("g.")), key)


def test_a_key_without_a_checkpoint_is_refused(net: str) -> None:
    with pytest.raises(ModelError, match="--checkpoint-key ema names weights in a checkpoint; give that with"):
        load_model(net, checkpoint_key="ema")


def test_names_that_do_not_fit_are_said_as_they_are(net: str) -> None:
    with pytest.raises(ModelError, match=r"4 missing: 0\.bias.*extra: g\.0\.weight"):
        loaded(net, lightning({"g.0.weight": torch.zeros(1)}))


@pytest.fixture
def spandrel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spandrel_stand_in.install(tmp_path, monkeypatch)


def known(prefix: str, fill: float = 1.0) -> dict[str, Tensor]:
    shapes = {"conv.weight": (12, 3, 3, 3), "conv.bias": (12,), "body.0.weight": (3, 3, 1, 1), "body.0.bias": (3,)}
    return {prefix + name: torch.full(shape, fill) for name, shape in shapes.items()}


@pytest.mark.parametrize("prefix", ["net_g.", "model.", "model.generator.", "netG.module."])
def test_a_checkpoint_of_lightning_is_opened_where_spandrel_knows_its_network(
    net: str, spandrel: None, prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    file = lightning(known(prefix) | {"net_d.conv.bias": torch.zeros(1)})
    assert type(load_model(file)).__name__ == "Tiny"
    assert f"the weights under '{prefix[:-1]}' are taken, and 1 others are not" in caplog.text


def test_the_mean_over_the_training_is_taken_first(net: str, spandrel: None) -> None:
    file = lightning(known("net_g.", 1) | known("net_g_ema.", 2))
    assert float(load_model(file).get_parameter("conv.bias").detach()[0]) == 2


def test_prefixes_are_those_of_trainers_alone() -> None:
    names = ["model.generator.up.weight", "generator.weight", "decoder.net.weight", "weight"]
    assert networks_in(dict.fromkeys(names, torch.zeros(1))) == ["generator", "model", "model.generator"]


def test_what_helps_with_a_checkpoint_of_lightning_is_said_and_works(net: str, spandrel: None) -> None:
    file = lightning(weights("model.", width=3), width=3)
    with pytest.raises(ModelError) as error:
        load_model(file)
    command = str(error.value).partition("it is a checkpoint of Lightning: artifactlab ")[2]
    assert command == (
        "diagnose package.module:Class --checkpoint x.ckpt --checkpoint-key state_dict --kwargs '{\"width\": 3}'"
    )
    typed = shlex.split(command.replace("package.module:Class", net))
    result = CliRunner().invoke(main, [*typed, "--probe", "slanted-edge", "--size", "32x32", "--format", "json"])
    assert result.exit_code == 0, result.output


def test_arguments_that_json_has_no_words_for_are_left_out(net: str, spandrel: None) -> None:
    for odd in (torch.zeros(1), "x" * 1000):
        with pytest.raises(ModelError, match=r"--checkpoint-key state_dict$"):
            load_model(lightning(weights("model."), odd=odd))


def test_of_several_networks_the_one_with_the_model_s_names_is_taken_whatever_they_are_called(net: str) -> None:
    torch.save({"net_g": weights(fill=2.0), "net_d": {"a": torch.zeros(3)}, "optim": {"step": 1}}, "gan.pth")
    assert loaded(net, "gan.pth") == 2.0
    torch.save({"g_a": weights("module.", fill=3.0), "epoch": 4}, "one.pth")
    assert loaded(net, "one.pth") == 3.0


def test_of_two_networks_that_both_fit_one_is_to_be_chosen(net: str) -> None:
    torch.save({"g_a": weights(fill=2.0), "g_b": weights(fill=3.0)}, "cycle.pth")
    with pytest.raises(ModelError, match="choose one of them, as --checkpoint-key g_a"):
        loaded(net, "cycle.pth")
    assert loaded(net, "cycle.pth", "g_b") == 3.0
