"""More inputs are drawn until the verdict is sure, and no pass begins when the time is over."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import artifactlab
from artifactlab import Diagnosis, InputError
from artifactlab.attribution import until_sure
from artifactlab.attribution.diagnosis import OUTPUT_NAMES
from artifactlab.attribution.investigation import Investigation
from artifactlab.inputs.model_inputs import load_inputs


class Clock:
    """Moves on by a second with every forward pass."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, model: nn.Module) -> None:
        self.seconds = 0.0
        monkeypatch.setattr(until_sure, "now", lambda: self.seconds)
        model.register_forward_hook(self._tick)

    def _tick(self, *_: object) -> None:
        self.seconds += 1


class Generator(nn.Module):
    """Makes a noisy image of a latent vector, enlarged by a transposed convolution."""

    def __init__(self, strength: float) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(1, 1, 4, 2, 1, bias=False)
        ramp = torch.tensor([0.25, 0.75, 0.75, 0.25])
        self.up.weight.data = torch.outer(ramp, ramp)[None, None].clone()
        self.up.weight.data[..., 1::2, 1::2] *= 1 + strength

    def forward(self, z: Tensor) -> Tensor:
        rough = F.interpolate(z.view(1, 1, 8, 8), size=(32, 32), mode="bicubic")
        return self.up(0.5 + 0.1 * rough) + 0.05 * z[:, :1, None, None] * _texture(z)


def _texture(z: Tensor) -> Tensor:
    """Fine texture that is another one for every latent vector."""
    noise = torch.Generator().manual_seed(int(1e6 * float(z.abs().sum())) % 2**31)
    return torch.randn(1, 1, 64, 64, generator=noise)


def latents() -> Iterator[Tensor]:
    drawn = torch.Generator().manual_seed(0)
    while True:
        yield torch.randn(1, 64, generator=drawn)


class Run(NamedTuple):
    """Diagnoses of one faint grid: of one input, and until sure; each with the passes it took."""

    once: Diagnosis
    passes_of_once: float
    sure: Diagnosis
    passes_of_sure: float


@pytest.fixture(scope="module")
def run() -> Run:
    model = Generator(0.12)
    with pytest.MonkeyPatch.context() as patch:
        clock = Clock(patch, model)
        once = artifactlab.diagnose(model, next(latents()), data_range=1.0)
        passes, clock.seconds = clock.seconds, 0.0
        sure = artifactlab.diagnose(model, latents(), data_range=1.0, until_sure=1000)
    return Run(once, passes, sure, clock.seconds)


def test_a_faint_grid_in_noise_takes_several_inputs_and_is_then_found(run: Run) -> None:
    assert run.once.offenders == ()
    assert [site.site.name for site in run.sure.offenders] == ["up"]
    drawn = run.sure.config.inputs
    assert 1 < drawn < 300
    assert run.sure.verdict.endswith(f" {drawn} inputs were taken until the verdict was sure.")
    assert len(run.sure.per_input) == drawn


def test_it_says_the_same_as_a_diagnosis_of_the_inputs_that_it_took(run: Run) -> None:
    same = list(itertools.islice(latents(), run.sure.config.inputs))
    whole = artifactlab.diagnose(Generator(0.12), same, data_range=1.0)
    numbers = [{name: one.output[name] for name in OUTPUT_NAMES} for one in (run.sure, whole)]
    assert numbers[0] == pytest.approx(numbers[1], rel=1e-4)
    for one, other in zip(run.sure.sites, whole.sites, strict=True):
        assert one.effect.value == pytest.approx(other.effect.value, rel=1e-4)
        assert one.verdict == other.verdict
    assert run.sure.config.inputs_sha256 == whole.config.inputs_sha256


def test_no_input_is_run_twice(run: Run) -> None:
    drawn = run.sure.config.inputs
    assert drawn > 1
    # of the first it is also asked what is displaced, and what its input brings; each further one runs as it is, and
    # with either layer repaired
    assert run.passes_of_sure == run.passes_of_once + 3 * (drawn - 1)


@pytest.mark.parametrize("seconds", [4, 8.5])
def test_no_pass_begins_when_the_time_is_over(seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    model = Generator(0.0)
    clock = Clock(monkeypatch, model)
    diagnosis = artifactlab.diagnose(model, latents(), data_range=1.0, until_sure=seconds)
    assert clock.seconds < seconds + 1
    drawn = diagnosis.config.inputs
    assert len(diagnosis.per_input) == drawn
    taken = "1 input was" if drawn == 1 else f"{drawn} inputs were"
    assert diagnosis.verdict.startswith("Cannot tell")
    assert diagnosis.verdict.endswith(f"{taken} taken; the {seconds:g} s were over before the verdict was sure.")


def test_where_inputs_run_out_it_says_what_it_cannot_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Generator(0.0)
    Clock(monkeypatch, model)
    diagnosis = artifactlab.diagnose(model, list(itertools.islice(latents(), 3)), data_range=1.0, until_sure=1000)
    assert diagnosis.config.inputs == 3
    assert diagnosis.verdict.startswith("Cannot tell")
    assert diagnosis.verdict.endswith("3 inputs were taken; there were no more, and the verdict is not sure.")


def test_a_plain_case_takes_one_input(two_sites, scene: Tensor) -> None:
    diagnosis = artifactlab.diagnose(two_sites, [scene, scene.flip(3)], data_range=1.0, until_sure=1000)
    assert diagnosis.config.inputs == 1
    assert diagnosis.verdict.endswith("1 input was taken until the verdict was sure.")
    alone = artifactlab.diagnose(two_sites, scene, data_range=1.0, until_sure=1000)
    assert alone.sites == diagnosis.sites


def test_more_inputs_serve_a_fast_diagnosis_and_a_screened_one_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Generator(0.12)
    Clock(monkeypatch, model)
    fast = artifactlab.diagnose(model, latents(), data_range=1.0, until_sure=1000, fast=True)
    assert [site.site.name for site in fast.offenders] == ["up"]
    assert fast.config.inputs > 1


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf"), "60"])
def test_seconds_must_be_a_positive_number(seconds: Any, three_sites, scene: Tensor) -> None:
    with pytest.raises(InputError, match="positive number of seconds"):
        artifactlab.diagnose(three_sites, scene, until_sure=seconds)


def test_an_empty_iterator_is_an_error(three_sites) -> None:
    with pytest.raises(InputError, match="is empty"):
        artifactlab.diagnose(three_sites, iter(()), until_sure=1)


def test_an_iterator_without_a_limit_is_told_how(three_sites) -> None:
    with pytest.raises(InputError, match="until_sure"):
        artifactlab.diagnose(three_sites, latents())


def test_crops_beside_the_centred_ones_come_after_those_of_all_images_and_do_not_overlap(
    save: Callable[[str, np.ndarray], Path],
) -> None:
    rows, columns = np.mgrid[:100, :70]
    path = save("a.png", np.stack([rows, columns, 0 * rows], 2).astype(np.uint8))
    other = save("b.png", np.full((32, 32, 3), 200, np.uint8))
    crops = load_inputs([path, other], crop=32, every_crop=True)
    assert [tuple(crop.shape) for crop in crops] == [(1, 3, 32, 32)] * 4
    assert float(crops[1].min()) == pytest.approx(200 / 255)
    corners = {tuple((255 * crop[0, [2, 1], 0, 0]).round().int().tolist()) for k, crop in enumerate(crops) if k != 1}
    assert corners == {(2, 19), (34, 19), (66, 19)}
    assert len(load_inputs([path, other], crop=32)) == 2


def test_inputs_of_two_sizes_that_are_drawn_together_are_no_batch_with_its_targets() -> None:
    drawn: list[Tensor] = []
    trials = SimpleNamespace(add=lambda call, _: drawn.append(call.args[0]))
    survey = SimpleNamespace(add=lambda call: call.args[0])
    investigation: Any = SimpleNamespace(_trials=trials, _survey=survey, _judged=lambda: None)
    Investigation.add(investigation, [torch.rand(2, 3, 48, 48), torch.rand(2, 3, 64, 64)])
    assert [tuple(image.shape) for image in drawn] == [(2, 3, 48, 48), (2, 3, 64, 64)]
