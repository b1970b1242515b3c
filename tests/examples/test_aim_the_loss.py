"""The script in examples/ as its reader runs it, on the demo's net."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from click.testing import CliRunner
from torch import Tensor, nn

from artifactlab.demo.unet import broken

FILE = Path(__file__).resolve().parents[2] / "examples" / "aim_the_loss.py"
spec = importlib.util.spec_from_file_location("aim_the_loss", FILE)
assert spec
assert spec.loader
example = importlib.util.module_from_spec(spec)
spec.loader.exec_module(example)

FACTORIES = """
import torch
import torch.nn.functional as F
from artifactlab.demo.run import noisy_photo
from artifactlab.demo.unet import broken as make_model, healthy

def make_loader():
    photo = noisy_photo()
    judged = photo[..., :192, :288]
    crops = [photo[..., y : y + 64, 288:352] for y in (0, 64, 128)]
    with torch.no_grad():
        return [(judged, judged)] + [(crop, healthy()(crop)) for crop in crops]

def make_loss():
    return F.l1_loss
"""


def test_it_takes_factories_trains_the_offender_away_and_keeps_the_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    factories = tmp_path / "mine.py"
    factories.write_text(FACTORIES)
    monkeypatch.chdir(tmp_path)
    arguments = [f"{factories}:{name}" for name in ("make_model", "make_loader", "make_loss")]
    settings = ["--steps", "12", "--rate", "1e-3", "--judged-on", "1", "--out", "trained.pt"]
    result = CliRunner().invoke(example.main, [*arguments, *settings])
    assert result.exit_code == 0, result.output
    before, after, compared = result.output.splitlines()
    assert before.startswith("before: dec.up2/conv_transpose2d#0 causes")
    assert "No offender" in after
    assert compared.startswith("Better: severity fell")
    trained = torch.load("trained.pt")
    assert trained.keys() == broken().state_dict().keys()
    assert not torch.equal(trained["dec.up2.weight"], broken().state_dict()["dec.up2.weight"])


def test_a_model_without_an_offender_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    clean = SimpleNamespace(offenders=(), verdict="No offender")
    monkeypatch.setattr(example.artifactlab, "diagnose", lambda *_, **__: clean)
    model, read = nn.Conv2d(1, 1, 1), []

    def pairs() -> Iterator[tuple[Tensor, Tensor]]:
        while True:
            read.append(len(read))
            yield torch.zeros(1, 1, 8, 8), torch.ones(1, 1, 8, 8)

    weight = model.weight.detach().clone()
    assert example.aim(model, pairs(), F.l1_loss) == (clean, clean)
    assert read == [0, 1]  # what it was judged on
    assert torch.equal(model.weight, weight)
