"""Severity of signals: a tone is judged against what the signal itself has around its frequency."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from voices import enlarged, voice

from artifactlab import InputError, severity
from artifactlab.metrics.visible import visible_grid
from artifactlab.scoring.crops import crop_counts
from artifactlab.scoring.severity import Severity, measure_severity, pool

RANGE = 2.0
"""of samples between -1 and 1"""


def noise(deviation: float = 0.01, size: int = 2**15, seed: int = 0) -> Tensor:
    return deviation * torch.randn(1, 1, size, generator=torch.Generator().manual_seed(seed))


def tone(period: int, rms: float, size: int) -> Tensor:
    """A sinusoid, or at period 2, where that depends on its phase, a change of sign."""
    amplitude = rms * (1 if period == 2 else math.sqrt(2))
    return amplitude * torch.cos(2 * math.pi * torch.arange(size) / period + (0 if period == 2 else 0.3))


def masked_tone(period: int, deviation: float) -> float:
    """Rms of a tone that white noise just hides, by hand: 4 dB below the noise in a band .108 of its frequency wide."""
    density = 2 * deviation**2  # per cycle and sample, positive frequencies
    width = 0.108 / period / (2 if period == 2 else 1)  # half of the band is above all frequencies there are
    return math.sqrt(10 ** (-4 / 10) * density * width)


def total(x: Tensor, period: int) -> float:
    return sum(measure_severity(x, (period,), RANGE).together())


@pytest.mark.parametrize(("period", "level"), [(2, -3), (2, 20), (3, 0), (4, -3), (8, 20), (16, -3), (16, 0)])
def test_a_tone_in_white_noise_is_as_severe_as_it_is_over_the_masked_threshold(period: int, level: float) -> None:
    x = noise() + tone(period, 10 ** (level / 20) * masked_tone(period, 0.01), 2**15)
    assert total(x, period) == pytest.approx(10 ** (level / 10), rel=0.35)
    assert float(severity(x, period, RANGE)) == pytest.approx(10 ** (level / 10), rel=0.35)


def test_what_just_shows_is_said_of_signals_and_of_images() -> None:
    found = measure_severity(noise() + tone(4, 0.01, 2**15), (4,), RANGE)
    assert found.just_shows(4) == pytest.approx(masked_tone(4, 0.01) / RANGE, rel=0.1)
    assert measure_severity(torch.rand(1, 1, 64, 64), (4, 4), 1.0).just_shows(4) == pytest.approx(visible_grid(4))


@pytest.mark.parametrize("level", [-60, -40, -20])
def test_a_tone_far_below_the_threshold_is_none(level: float) -> None:
    for seed in range(4):
        x = voice(seed)
        assert total(x + tone(4, 10 ** (level / 20) * masked_tone(4, 0.003), x.shape[-1]), 4) < 0.1


@pytest.mark.parametrize("period", [2, 4, 8, 64])
def test_voices_have_no_tone(period: int) -> None:
    for seed in range(4):
        assert total(voice(seed), period) < 0.1
        assert float(severity(voice(seed), period, RANGE)) < 0.5


def test_what_is_loud_hides_more() -> None:
    plain = [total(noise(deviation) + tone(4, 0.004, 2**15), 4) for deviation in (0.01, 0.02)]
    assert plain[1] == pytest.approx(plain[0] / 4, rel=0.1)


@pytest.mark.parametrize("period", [2, 4, 8])
def test_a_signal_of_repeated_samples_is_told_from_a_resampled_one(period: int) -> None:
    samples = voice(1)
    repeated = measure_severity(samples.repeat_interleave(period, 2), (period,), RANGE)
    assert repeated.together()[1] > 2
    assert repeated.displacement == pytest.approx(math.sqrt((period**2 - 1) / 12), rel=0.1)
    assert total(enlarged(samples, period), period) == 0


def test_uneven_phases_of_a_transposed_convolution_show() -> None:
    gains = 1 + 0.03 * torch.tensor([1.0, -1.0, 0.5, -0.5])
    x = enlarged(voice(0), 4)
    grid, steps = measure_severity(x * gains.repeat(x.shape[-1] // 4), (4,), RANGE).together()
    assert grid > 1 > steps


def test_silence_has_neither_value_nor_gradient() -> None:
    x = torch.zeros(2, 1, 4096, requires_grad=True)
    value = severity(x, 4)
    value.sum().backward()
    assert torch.equal(value, torch.zeros(2))
    assert torch.equal(x.grad, torch.zeros_like(x))
    assert total(x.detach(), 4) == 0


def test_sums_pool_whatever_the_signals_are_cut_into() -> None:
    parts = [measure_severity(noise(seed=seed) + tone(4, 0.004, 2**15), (4,), RANGE) for seed in range(2)]
    both = pool(parts)
    assert both.crops == 18
    assert sum(both.together()) == pytest.approx(sum(sum(part.together()) for part in parts) / 2, rel=0.1)
    first = both.only(torch.arange(9))
    assert sum(first.together()) == pytest.approx(sum(parts[0].together()), rel=1e-4)
    halves = both.of(torch.eye(18)[:4]).severity
    assert bool(((halves > 0.3 * sum(both.together())) & (halves < 3 * sum(both.together()))).all())


def test_a_period_alone_keeps_what_surrounds_it() -> None:
    found = measure_severity(noise() + tone(2, 0.004, 2**15), (4,), RANGE)
    assert found.at(2).together() == pytest.approx(found.together())
    assert found.at(4).together() == (0, 0)


def test_long_signals_are_cut_into_enough_crops_for_halves() -> None:
    assert crop_counts((16_000,), (8,)) == (9,)
    assert crop_counts((1500,), (8,)) == (1,)


def test_how_much_more_signal_it_takes_is_said() -> None:
    def wanted(size: int) -> float:
        found: Severity = measure_severity(noise(size=size), (4,), RANGE)
        return found.content_wanted

    assert wanted(128) > 1 > 10 * wanted(2**15)


def test_its_gradient_is_that_of_finite_differences_along_the_tone() -> None:
    x = (noise() + tone(4, 0.004, 2**15)).double().requires_grad_()
    value = severity(x, 4, RANGE)
    (slope,) = torch.autograd.grad(value.sum(), x)
    along = tone(4, 1.0, 2**15).double()
    ahead, behind = (severity(x.detach() + h * along, 4, RANGE) for h in (1e-6, -1e-6))
    assert float((slope * along).sum()) == pytest.approx(float(ahead - behind) / 2e-6, rel=0.05)


def test_descent_takes_the_tone_away_and_nothing_else() -> None:
    clean = noise()
    x = clean + tone(4, 0.01, 2**15)
    for _ in range(10):
        leaf = x.clone().requires_grad_()
        value = severity(leaf, 4, RANGE).sum()
        (slope,) = torch.autograd.grad(value, leaf)
        value = value.detach()
        if value < 1e-3:
            break
        x = x - value / slope.square().sum() * slope
    assert float(severity(x, 4, RANGE)) < 0.05
    assert (x - clean).square().mean().sqrt() < 0.01 / 10


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_come_to_about_the_same_and_keep_theirs(dtype: torch.dtype) -> None:
    x = noise() + tone(4, 0.004, 2**15)
    leaf = x.to(dtype).requires_grad_()
    value = severity(leaf, 4, RANGE)
    value.sum().backward()
    assert float(value.detach()) == pytest.approx(float(severity(x, 4, RANGE)), rel=0.05)
    assert leaf.grad is not None
    assert leaf.grad.dtype == dtype


def test_a_signal_that_is_too_short_is_an_error_that_says_what_it_takes() -> None:
    with pytest.raises(InputError, match="of 40 pixels is too small to measure periods 8, which takes 48"):
        severity(torch.zeros(1, 1, 40))
