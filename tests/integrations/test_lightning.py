"""The monitor logs what capture says of the training steps, and training does not notice."""

from __future__ import annotations

import pickle
from dataclasses import asdict
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning.pytorch
import pytest
import pytorch_lightning
import torch
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from lightning.pytorch.loggers.logger import DummyLogger
from lightning.pytorch.utilities.compile import from_compiled
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from torch.utils.data import DataLoader

import artifactlab
from artifactlab import InputError, ModelError
from artifactlab.integrations import lightning as integration
from artifactlab.integrations.lightning import ArtifactMonitor
from artifactlab.scoring.data_range import spread

PACKAGES = [lightning.pytorch, pytorch_lightning]


class Generator(nn.Module):
    """Two sites, one of them run twice, with batch norm and dropout; parts may be checkpointed."""

    def __init__(self, checkpointed: bool | None = None) -> None:
        super().__init__()
        self.reentrant = checkpointed
        self.head = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Dropout(0.2))
        self.up = nn.ConvTranspose2d(4, 4, 4, 2, 1)
        self.last = nn.Sequential(nn.Conv2d(4, 12, 3, padding=1), nn.PixelShuffle(2))

    def forward(self, x: Tensor) -> Tensor:
        up = self.up
        if self.reentrant is not None:
            up = partial(checkpoint, self.up, use_reentrant=self.reentrant)
        return self.last(up(torch.relu(up(self.head(x)))))


SITES = ["up/conv_transpose2d#0", "up/conv_transpose2d#1", "last.1/pixel_shuffle#0"]


def lit(package: Any = lightning.pytorch, generator: nn.Module | None = None, **replaced: Any) -> Any:
    """A LightningModule of the package that trains a generator; methods may be replaced."""

    class Painter(package.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.generator = generator or Generator()
            self.critic = nn.Conv2d(3, 1, 4, 4)

        def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
            return self.critic(self.generator(batch)).square().mean()

        def configure_optimizers(self) -> Any:
            return torch.optim.Adam(self.parameters())

    for name, method in replaced.items():
        setattr(Painter, name, method)
    return Painter()


class Recorder(DummyLogger):
    """A logger that remembers what the monitor logged, and at which step."""

    def __init__(self) -> None:
        super().__init__()
        self.logged: dict[int, dict[str, float]] = {}

    def log_metrics(self, metrics: dict[str, float], step: int) -> None:
        if any(name.startswith("artifacts/") for name in metrics):
            self.logged.setdefault(step, {}).update(metrics)


BATCHES = torch.rand(8, 3, 8, 8, generator=torch.Generator().manual_seed(5))


def fit(model: Any, *monitors: Any, package: Any = lightning.pytorch, **settings: Any) -> dict[int, dict[str, float]]:
    """Train for a few steps from a fixed seed; what was logged at which step."""
    torch.manual_seed(2)
    recorder = Recorder()
    settings = {"logger": recorder, "max_steps": 3, "max_epochs": -1} | settings
    trainer = package.Trainer(
        accelerator="cpu",
        callbacks=list(monitors),
        log_every_n_steps=1,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **settings,
    )
    trainer.fit(model, DataLoader(BATCHES, batch_size=2))
    return recorder.logged


def untouched(model: nn.Module) -> bool:
    """No hooks, no mode left on the stack."""
    hooks = [m._forward_hooks or m._forward_pre_hooks or m._forward_hooks_with_kwargs for m in model.modules()]
    return not any(hooks) and torch._C._len_torch_function_stack() == 0


def names(sites: list[str]) -> set[str]:
    scores = ("checkerboard_energy", "edge_jaggedness", "axis_excess")
    return {f"artifacts/generator.{site}/{score}" for site in sites for score in scores}


def monitor_warnings(warned: Any) -> list[str]:
    """What the monitor warned of, up to the semicolon."""
    texts = [str(w.message).split(";")[0] for w in warned]
    return [text for text in texts if text.startswith("ArtifactMonitor")]


# --- what is logged ---


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_trainers_of_both_packages_log_every_site_every_n_steps(package: Any) -> None:
    model = lit(package)
    logged = fit(model, ArtifactMonitor(every_n_steps=2), package=package)
    assert {step: set(metrics) for step, metrics in logged.items()} == dict.fromkeys((0, 2), names(SITES))
    assert untouched(model)


def test_what_is_logged_is_what_capture_says_of_the_training_steps() -> None:
    captured_metrics = []

    def captured_step(self: Any, batch: Tensor, batch_idx: int) -> Tensor:
        with artifactlab.capture(self.generator) as cap:
            image = self.generator(batch)
        evidence = {found.site.key: asdict(found.evidence) for found in cap.sites}
        captured_metrics.append(
            {f"artifacts/generator.{site}/{k}": v for site, scores in evidence.items() for k, v in scores.items()}
        )
        return self.critic(image).square().mean()

    torch.manual_seed(0)
    captured, monitored = lit(training_step=captured_step), lit()
    monitored.load_state_dict(captured.state_dict())
    fit(captured)
    assert list(fit(monitored, ArtifactMonitor(1)).values()) == captured_metrics
    assert len(captured_metrics) == 3
    assert max(captured_metrics[0].values()) > 0.1


def test_the_named_module_alone_is_watched_and_its_sites_keep_their_names() -> None:
    for module, sites in (("generator", SITES), ("generator.last", SITES[-1:])):
        assert set(fit(lit(), ArtifactMonitor(module=module), max_steps=1)[0]) == names(sites)


def test_batches_whose_gradients_are_accumulated_are_measured_once() -> None:
    assert list(fit(lit(), ArtifactMonitor(2), accumulate_grad_batches=2)) == [0, 2]


def alternate(self: Any, batch: Tensor, batch_idx: int) -> None:
    """A step of the critic, then one of the generator, which runs twice."""
    for optimizer, sign in zip(self.optimizers(), (1, -1), strict=True):
        optimizer.zero_grad()
        self.manual_backward(sign * self.critic(self.generator(batch)).mean())
        optimizer.step()


def two_optimizers(self: Any) -> Any:
    self.automatic_optimization = False
    return [torch.optim.Adam(part.parameters()) for part in (self.critic, self.generator)]


ALTERNATING = {"training_step": alternate, "configure_optimizers": two_optimizers}


def test_manual_optimisation_of_two_parts_counts_the_trainers_steps() -> None:
    assert list(fit(lit(**ALTERNATING), ArtifactMonitor(3), max_steps=8)) == [0, 4, 6]


@pytest.mark.parametrize("reentrant", [True, False])
def test_what_checkpointing_runs_again_is_not_measured_again(reentrant: bool) -> None:
    torch.manual_seed(0)
    plain, checkpointed = Generator(), Generator(reentrant)
    checkpointed.load_state_dict(plain.state_dict())
    expected = fit(lit(generator=plain), ArtifactMonitor(module="generator"), max_steps=1)
    assert fit(lit(generator=checkpointed), ArtifactMonitor(module="generator"), max_steps=1) == expected


def test_several_loggers_and_those_on_disk_get_the_numbers(tmp_path: Path) -> None:
    loggers = [CSVLogger(tmp_path, "csv", ""), TensorBoardLogger(tmp_path, "board", ""), Recorder()]
    fit(lit(), ArtifactMonitor(2), logger=loggers)
    expected = loggers[2].logged
    events = EventAccumulator(str(tmp_path / "board"))
    events.Reload()
    name = f"artifacts/generator.{SITES[0]}/checkerboard_energy"
    written = [(event.step, event.value) for event in events.Scalars(name)]
    assert written == [(step, pytest.approx(metrics[name])) for step, metrics in expected.items()] != []
    assert name in (tmp_path / "csv" / "metrics.csv").read_text()
    assert events.Tags()["images"] == []  # nobody asked for figures


def test_figures_go_to_loggers_that_take_them_if_asked_for(tmp_path: Path) -> None:
    fit(lit(), ArtifactMonitor(2, figures=True), logger=[TensorBoardLogger(tmp_path, "", ""), CSVLogger(tmp_path)])
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    assert [event.step for event in events.Images("artifacts/output")] == [0, 2]


def test_what_is_drawn_is_the_generators_image_not_the_critics(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []
    draw = integration.plot_comparison
    monkeypatch.setattr(integration, "plot_comparison", lambda image, **kw: drawn.append((image, kw)) or draw(image))
    images = []

    def keeps(self: Any, batch: Tensor, batch_idx: int) -> Tensor:
        images.append(self.generator(batch))
        return self.critic(images[-1]).square().mean()

    fit(lit(training_step=keeps), ArtifactMonitor(1, figures=True), max_steps=1)
    [(image, settings)] = drawn
    assert torch.equal(image, images[0][:1])
    assert settings == {"period": (8, 8), "data_range": spread(image)}


def test_ranks_other_than_zero_measure_nothing() -> None:
    model, monitor = lit(), ArtifactMonitor(1)
    for rank, watched in ((1, False), (0, True)):
        trainer = SimpleNamespace(is_global_zero=rank == 0, global_step=0, loggers=[])
        monitor.on_train_batch_start(trainer, model, None, 0)
        assert untouched(model) is not watched
    monitor.teardown(trainer, model, "fit")
    assert untouched(model)


# --- training does not notice ---


@pytest.mark.parametrize(
    ("settings", "replaced", "checkpointed"),
    [
        ({}, {}, None),
        ({"accumulate_grad_batches": 2, "gradient_clip_val": 0.1}, {}, True),
        ({"precision": "bf16-mixed"}, {}, False),
        ({"max_steps": 4}, ALTERNATING, None),
    ],
    ids=["plain", "accumulated reentrant", "bf16 checkpointed", "alternating"],
)
def test_weights_and_random_numbers_are_bit_identical_to_training_without(
    settings: dict[str, Any], replaced: dict[str, Any], checkpointed: bool | None
) -> None:
    results = []
    for monitors in ([], [ArtifactMonitor(1), ArtifactMonitor(2, module="generator", figures=not settings)]):
        torch.manual_seed(0)
        model = lit(generator=Generator(checkpointed), **replaced)
        start = {key: value.clone() for key, value in model.state_dict().items()}
        fit(model, *monitors, **({"max_steps": 2} | settings))
        results.append((model.state_dict(), torch.get_rng_state()))
        assert untouched(model)
    (plain, state), (watched, watched_state) = results
    assert torch.equal(state, watched_state)
    assert all(torch.equal(plain[key], watched[key]) for key in plain)
    assert not torch.equal(plain["generator.up.weight"], start["generator.up.weight"])


def test_the_parts_of_models_that_lightning_has_compiled_are_seen() -> None:
    model = lit()
    torch._dynamo.reset()
    logged = fit(torch.compile(model, backend="eager"), ArtifactMonitor(2, module="generator"))
    assert {step: set(metrics) for step, metrics in logged.items()} == dict.fromkeys((0, 2), names(SITES))
    assert untouched(model)


def test_capture_sees_models_that_lightning_has_compiled() -> None:
    model = from_compiled(torch.compile(lit(), backend="eager"))
    torch._dynamo.reset()
    with artifactlab.capture(model) as cap:
        model.training_step(BATCHES[:2], 0)
    assert [found.site.key for found in cap.sites] == [f"generator.{site}" for site in SITES]


# --- what may go wrong ---


class Interrupted(Exception):
    """What a test's own step raises."""


def test_an_exception_in_the_training_step_leaves_no_hooks() -> None:
    def fails(self: Any, batch: Tensor, batch_idx: int) -> Tensor:
        self.generator(batch)
        assert not untouched(self)
        raise Interrupted

    model = lit(training_step=fails)
    with pytest.raises(Interrupted):
        fit(model, ArtifactMonitor(1))
    assert untouched(model)


def test_a_batch_that_is_skipped_leaves_no_hooks() -> None:
    untouched_after = []

    def skip(self: Any, batch: Tensor, batch_idx: int) -> int:
        return -1

    def validates(self: Any) -> None:
        untouched_after.append(untouched(self))

    model = lit(on_train_batch_start=skip, on_train_epoch_end=validates)
    assert fit(model, ArtifactMonitor(1), max_epochs=2) == {}
    assert untouched_after == [True, True]


def test_a_step_in_which_nothing_grows_warns_once_and_trains_on() -> None:
    with pytest.warns(UserWarning, match="ArtifactMonitor") as warned:
        assert fit(lit(), ArtifactMonitor(1, module="critic")) == {}
    expected = "ArtifactMonitor, step 0: no upsampling was seen in this step, so nothing is logged"
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


NOT_FINITE = "ArtifactMonitor, step 0: the activation at generator.broken/conv_transpose2d holds NaN or Inf"


def test_a_site_with_nan_warns_once_and_is_left_out_and_the_others_are_logged() -> None:
    torch.manual_seed(0)
    plain, watched = lit(generator=Broken()), lit(generator=Broken())
    watched.load_state_dict(plain.state_dict())
    fit(plain)
    with pytest.warns(UserWarning, match=NOT_FINITE) as warned:
        logged = fit(watched, ArtifactMonitor(1))
    assert monitor_warnings(warned) == [NOT_FINITE]
    assert set(logged[2]) == names(["sound/conv_transpose2d#0"])
    assert all(map(torch.equal, plain.state_dict().values(), watched.state_dict().values()))


def test_where_no_site_is_finite_nothing_else_is_logged() -> None:
    class Hopeless(Broken):
        def forward(self, x: Tensor) -> Tensor:
            return self.broken(x)

    with pytest.warns(UserWarning, match=NOT_FINITE) as warned:
        assert fit(lit(generator=Hopeless()), ArtifactMonitor(1, figures=True)) == {}
    assert monitor_warnings(warned) == [NOT_FINITE]


def test_an_image_with_nan_is_not_drawn(tmp_path: Path) -> None:
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


def test_a_module_that_is_not_there_is_refused_before_training() -> None:
    model = lit(training_step=lambda *_: pytest.fail("trained"))
    with pytest.raises(InputError, match="has no such submodule; it has generator, critic"):
        fit(model, ArtifactMonitor(module="decoder"))


def test_a_module_that_cannot_be_watched_is_refused_before_training() -> None:
    model = lit(generator=torch.jit.ScriptModule(), training_step=lambda *_: pytest.fail("trained"))
    with pytest.raises(ModelError, match="ScriptModule"):
        fit(model, ArtifactMonitor(module="generator"))


def test_a_monitor_can_be_sent_to_another_process_and_used_again() -> None:
    monitor = pickle.loads(pickle.dumps(ArtifactMonitor(2, module="generator")))
    assert list(fit(lit(), monitor)) == list(fit(lit(), monitor)) == [0, 2]
