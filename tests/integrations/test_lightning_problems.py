"""What may go wrong in a training that is monitored: the training goes on, and nothing is left behind."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.loggers import TensorBoardLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor, nn

from artifactlab import InputError, ModelError
from artifactlab.integrations.lightning import ArtifactMonitor

Lit = Callable[..., Any]
Fit = Callable[..., dict[int, dict[str, float]]]


def names(layers: list[str]) -> set[str]:
    scores = ("grid", "stair_steps", "axis_excess")
    return {f"artifactlab/generator.{layer}/{score}" for layer in layers for score in scores}


def monitor_warnings(warned: Any) -> list[str]:
    """What the monitor warned of, up to the semicolon."""
    texts = [str(w.message).split(";")[0] for w in warned]
    return [text for text in texts if text.startswith("Monitor")]


class Interrupted(Exception):
    """What a test's own step raises."""


def test_an_exception_in_the_training_step_leaves_no_hooks(
    lit: Lit, fit: Fit, untouched: Callable[[nn.Module], bool]
) -> None:
    def fails(self: Any, batch: Tensor, batch_idx: int) -> Tensor:
        self.generator(batch)
        assert not untouched(self)
        raise Interrupted

    model = lit(training_step=fails)
    with pytest.raises(Interrupted):
        fit(model, ArtifactMonitor(1))
    assert untouched(model)


def test_a_batch_that_is_skipped_leaves_no_hooks(lit: Lit, fit: Fit, untouched: Callable[[nn.Module], bool]) -> None:
    untouched_after = []

    def skip(self: Any, batch: Tensor, batch_idx: int) -> int:
        return -1

    def validates(self: Any) -> None:
        untouched_after.append(untouched(self))

    model = lit(on_train_batch_start=skip, on_train_epoch_end=validates)
    assert fit(model, ArtifactMonitor(1), max_epochs=2) == {}
    assert untouched_after == [True, True]


def test_a_step_in_which_nothing_grows_warns_once_and_trains_on(lit: Lit, fit: Fit) -> None:
    with pytest.warns(UserWarning, match="Monitor") as warned:
        assert fit(lit(), ArtifactMonitor(1, module="critic")) == {}
    expected = "Monitor, step 0: no upsampling was seen in this step, so nothing is logged"
    assert monitor_warnings(warned) == [expected]


class Broken(nn.Module):
    """A sound site, and one that multiplies by infinity; the image is the sound one's."""

    def __init__(self) -> None:
        super().__init__()
        self.sound, self.broken = nn.ConvTranspose2d(3, 3, 2, 2), nn.ConvTranspose2d(3, 3, 2, 2)
        nn.init.constant_(self.broken.weight, torch.inf)

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            self.broken(x)
        return self.sound(x)


NOT_FINITE = "Monitor, step 0: the activation at generator.broken/conv_transpose2d holds NaN or Inf"


def test_a_site_with_nan_warns_once_and_is_left_out_and_the_others_are_logged(lit: Lit, fit: Fit) -> None:
    torch.manual_seed(0)
    plain, watched = lit(generator=Broken()), lit(generator=Broken())
    watched.load_state_dict(plain.state_dict())
    fit(plain)
    with pytest.warns(UserWarning, match=NOT_FINITE) as warned:
        logged = fit(watched, ArtifactMonitor(1))
    assert monitor_warnings(warned) == [NOT_FINITE]
    assert set(logged[2]) == names(["sound"])
    assert all(map(torch.equal, plain.state_dict().values(), watched.state_dict().values()))


def test_where_no_site_is_finite_nothing_else_is_logged(lit: Lit, fit: Fit) -> None:
    class Hopeless(Broken):
        def forward(self, x: Tensor) -> Tensor:
            return self.broken(x)

    with pytest.warns(UserWarning, match=NOT_FINITE) as warned:
        assert fit(lit(generator=Hopeless()), ArtifactMonitor(1, figures=True)) == {}
    assert monitor_warnings(warned) == [NOT_FINITE]


def test_an_image_with_nan_is_not_drawn(tmp_path: Path, lit: Lit, fit: Fit) -> None:
    class Spoilt(Broken):
        def forward(self, x: Tensor) -> Tensor:
            return self.sound(x) * torch.nan

    fit(
        lit(generator=Spoilt()),
        ArtifactMonitor(4, figures=True),
        logger=TensorBoardLogger(tmp_path, "", ""),
        max_steps=1,
    )
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    assert events.Tags()["scalars"] != []
    assert events.Tags()["images"] == []


def test_a_module_that_is_not_there_is_refused_before_training(lit: Lit, fit: Fit) -> None:
    model = lit(training_step=lambda *_: pytest.fail("trained"))
    with pytest.raises(InputError, match="has no such submodule; it has generator, critic"):
        fit(model, ArtifactMonitor(module="decoder"))


def test_a_module_that_cannot_be_watched_is_refused_before_training(lit: Lit, fit: Fit) -> None:
    model = lit(generator=torch.jit.ScriptModule(), training_step=lambda *_: pytest.fail("trained"))
    with pytest.raises(ModelError, match="ScriptModule"):
        fit(model, ArtifactMonitor(module="generator"))


def test_a_monitor_can_be_sent_to_another_process_and_used_again(lit: Lit, fit: Fit) -> None:
    monitor = pickle.loads(pickle.dumps(ArtifactMonitor(2, module="generator")))
    assert list(fit(lit(), monitor)) == list(fit(lit(), monitor)) == [0, 2]
