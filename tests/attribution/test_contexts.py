"""Capture and diagnose say the same whatever precision, layout, wrapper, context or thread the model runs in."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import astuple
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import artifactlab

Said = Callable[[nn.Module, Tensor], dict[str, Any]]


class Decoder(nn.Module):
    """Two sites, which draw a grid; optionally noise from every generator."""

    def __init__(self, seed: int = 0, noise: float = 0.0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.noise = noise
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.up = nn.ConvTranspose2d(8, 8, 4, 2, 1)
        self.tail = nn.Sequential(nn.Conv2d(8, 12, 3, padding=1), nn.PixelShuffle(2), nn.Conv2d(3, 3, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.norm(self.first(x)))
        if self.noise:
            x = x + self.noise * (torch.randn(x.shape) + np.random.rand() + random.random())
        return self.tail(torch.relu(self.up(x)))


class Autocasting(Decoder):
    """A model that chooses a low precision by itself."""

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return super().forward(x)


def quickly(model: nn.Module, image: Tensor) -> dict[str, Any]:
    return diagnosed(model, image, fast=True)


def diagnosed(model: nn.Module, image: Tensor, fast: bool = False) -> dict[str, Any]:
    diagnosis = artifactlab.diagnose(model, image, data_range=1.0, fast=fast)
    return {
        "verdict": diagnosis.verdict,
        "output": diagnosis.output,
        **{site.site.key: (site.verdict, astuple(site.evidence), astuple(site.effect)) for site in diagnosis.sites},
    }


def captured(model: nn.Module, image: Tensor) -> dict[str, Any]:
    with artifactlab.capture(model) as cap:
        model(image)
    return {found.site.key: astuple(found.evidence) for found in cap.sites}


_plain: dict[Any, dict[str, Any]] = {}


def plain(said: Said, image: Tensor, seed: int = 0) -> dict[str, Any]:
    """What is said of the decoder in no context at all, found once."""
    if (said, seed) not in _plain:
        _plain[said, seed] = said(Decoder(seed).eval(), image)
    return _plain[said, seed]


@pytest.fixture
def image(scene: Tensor) -> Tensor:
    return scene[..., 8:, 8:]


@pytest.fixture(params=[diagnosed, captured])
def said(request: pytest.FixtureRequest) -> Said:
    """Each function's answer, to be compared."""
    return request.param


with_gradients = pytest.mark.parametrize("said", [diagnosed, quickly, captured])
"""in contexts that are about gradients, those of the fast way, too; in others it runs the model as `diagnosed` does"""


@with_gradients
@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_grad_modes_change_nothing(context: Any, said: Said, image: Tensor) -> None:
    model, expected = Decoder().eval(), plain(said, image)
    with context():
        assert said(model, image) == expected


def test_a_model_made_in_inference_mode_is_diagnosed_outside(image: Tensor) -> None:
    expected = plain(diagnosed, image)
    with torch.inference_mode():
        model, fed = Decoder(), image.clone()
    assert diagnosed(model, fed) == expected


def test_what_is_found_in_inference_mode_can_be_drawn_and_written_outside(image: Tensor) -> None:
    with torch.inference_mode():
        diagnosis = artifactlab.diagnose(Decoder(), image)
    diagnosis.plot()
    assert diagnosis.to_json()


@with_gradients
def test_autocast_reaches_the_model_but_not_what_is_measured(said: Said, image: Tensor) -> None:
    expected = said(Autocasting().eval(), image)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert said(Decoder().eval(), image) == expected


def test_lint_is_the_same_under_autocast_and_in_inference_mode() -> None:
    expected = artifactlab.lint(Decoder(), trained=True)
    with torch.autocast("cpu", dtype=torch.bfloat16), torch.inference_mode():
        assert artifactlab.lint(Decoder(), trained=True) == expected


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_models_get_the_same_verdicts(dtype: torch.dtype, image: Tensor) -> None:
    full, half = plain(diagnosed, image), diagnosed(Decoder().to(dtype), image.to(dtype))
    assert half.keys() == full.keys()
    for key in full.keys() - {"verdict", "output"}:
        assert half[key][0] == full[key][0]
        assert half[key][1] == pytest.approx(full[key][1], abs=0.02)
        assert half[key][2][0] == pytest.approx(full[key][2][0], rel=0.05, abs=0.5)


def test_a_half_precision_diagnosis_can_be_drawn(image: Tensor) -> None:
    diagnosis = artifactlab.diagnose(Decoder().to(torch.bfloat16), image.to(torch.bfloat16))
    assert diagnosis.plot().axes
    assert diagnosis.plot_maps().axes


def test_channels_last_changes_rounding_alone(said: Said, image: Tensor) -> None:
    expected = plain(said, image)
    turned = said(Decoder().eval().to(memory_format=torch.channels_last), image.to(memory_format=torch.channels_last))
    assert turned.keys() == expected.keys()
    assert _flat(turned) == pytest.approx(_flat(expected), rel=1e-3, abs=1e-4)


def test_data_parallel_is_looked_through(said: Said, image: Tensor) -> None:
    assert said(nn.DataParallel(Decoder().eval()), image) == plain(said, image)


def test_compiled_models_run_as_python(said: Said, image: Tensor) -> None:
    expected = plain(said, image)
    assert said(torch.compile(Decoder().eval(), backend="eager"), image) == expected


@pytest.mark.parametrize("part", ["", "tail"])
def test_modules_compiled_in_place_run_as_python(part: str, said: Said, image: Tensor) -> None:
    model, expected = Decoder().eval(), plain(said, image)
    model.get_submodule(part).compile(backend="eager")
    assert said(model, image) == expected


def test_compiled_parts_keep_their_place(said: Said, image: Tensor) -> None:
    model, expected = Decoder().eval(), plain(said, image)
    model.tail = torch.compile(model.tail, backend="eager")
    assert _flat(said(model, image)) == _flat(expected)


# --- several at once ---


def in_threads(*works: Callable[[], Any]) -> list[Any]:
    """What each returns, all running at once."""
    results: dict[int, Any] = {}
    ready = threading.Barrier(len(works))

    def work(number: int) -> None:
        ready.wait()
        results[number] = works[number]()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [results[number] for number in range(len(works))]


def random_states() -> tuple[Any, ...]:
    return torch.get_rng_state().tolist(), random.getstate(), np.random.get_state()[1].tolist()


def test_two_threads_diagnose_two_noisy_models_as_one_after_the_other(image: Tensor) -> None:
    models = [Decoder(seed, noise=0.1) for seed in (1, 2)]
    expected = [quickly(model, image) for model in models]
    assert expected[0] != expected[1]
    before = random_states()
    assert in_threads(*(lambda model=model: quickly(model, image) for model in models)) == expected
    assert random_states() == before


def test_two_threads_capture_two_models_as_one_after_the_other(image: Tensor) -> None:
    models = [Decoder(seed).eval() for seed in (1, 2)]
    expected = [captured(model, image) for model in models]
    assert in_threads(*(lambda model=model: captured(model, image) for model in models)) == expected


def test_threads_with_compiled_models_leave_the_compilers_stance_alone(image: Tensor) -> None:
    from torch._dynamo import eval_frame

    stance = eval_frame._stance
    models = [torch.compile(Decoder(seed), backend="eager") for seed in (0, 1)] + [Decoder(0)]
    expected = [plain(quickly, image, seed) for seed in (0, 1, 0)]
    assert in_threads(*(lambda model=model: quickly(model, image) for model in models)) == expected
    assert eval_frame._stance is stance


def test_every_pass_draws_the_same_numbers_from_every_generator(image: Tensor) -> None:
    before = random_states()
    model = Decoder(noise=0.1)
    states = random_states()
    assert diagnosed(model, image) == diagnosed(model, image)
    assert random_states() == states
    assert states != before


def _flat(said: dict[str, Any]) -> list[float]:
    """The numbers in the order of sites, None left out."""
    numbers = []
    for value in said.values():
        for part in value.values() if isinstance(value, dict) else value if isinstance(value, tuple) else ():
            numbers += [n for n in (part if isinstance(part, tuple) else [part]) if isinstance(n, float)]
    return numbers
