"""The power spectrum against a plain sum over pixels, and against waves whose power is known."""

from __future__ import annotations

import cmath
import math

import pytest
import torch

from artifactlab.errors import InputError
from artifactlab.metrics.spectrum import SIDE, lattice_frequencies, power_spectrum


def wave(amplitude: float, vertical: float, horizontal: float, size: tuple[int, int]) -> torch.Tensor:
    rows, columns = torch.meshgrid(*(torch.arange(n, dtype=torch.float64) for n in size), indexing="ij")
    return (amplitude * torch.cos(2 * math.pi * (vertical * rows + horizontal * columns) + 0.3))[None, None]


def test_it_is_the_windowed_fourier_sum_of_the_pixels() -> None:
    image = torch.rand(1, 1, 6, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    values = image[0, 0] - image.mean()
    weights = [[math.sin(math.pi * (k + 0.5) / n) ** 2 for k in range(n)] for n in (6, 8)]
    weight = sum(weights[0]) * sum(weights[1])
    power = power_spectrum(image)[0]
    for i, j in ((0, 0), (2, 5), (3, 4), (5, 1)):
        total = sum(
            float(values[r, c])
            * weights[0][r]
            * weights[1][c]
            * cmath.exp(-2j * math.pi * ((i - 3) * r / 6 + (j - 4) * c / 8))
            for r in range(6)
            for c in range(8)
        )
        assert float(power[i, j]) == pytest.approx(abs(total / weight) ** 2, rel=1e-9, abs=1e-15)


@pytest.mark.parametrize("size", [(64, 64), (280, 300), (97, 128)])
def test_a_wave_stands_at_its_frequency_with_a_quarter_of_its_squared_amplitude(size: tuple[int, int]) -> None:
    power = power_spectrum(wave(0.1, 0.25, -0.125, size), 8)[0]
    h, w = power.shape
    assert float(power[h // 2 + h // 4, w // 2 - w // 8]) == pytest.approx(0.1**2 / 4, rel=0.01)
    assert power.max() <= 0.1**2 / 4 * 1.01


def test_sides_are_multiples_of_the_period_and_bounded() -> None:
    assert power_spectrum(torch.rand(2, 3, 500, 70), (3, 8)).shape == (2, SIDE // 3 * 3, 64)
    assert power_spectrum(torch.rand(1, 1, 500, 70), 3, side=40).shape == (1, 39, 39)


def test_powers_are_averaged_over_channels_and_batch() -> None:
    x = torch.rand(2, 3, 32, 32, dtype=torch.float64)
    alone = torch.stack([power_spectrum(x[n : n + 1, c : c + 1])[0] for n in range(2) for c in range(3)])
    torch.testing.assert_close(power_spectrum(x, reduction="mean"), alone.mean(0))


def test_pieces_overlap_by_half_and_are_averaged() -> None:
    x = torch.rand(1, 1, 64, 128, dtype=torch.float64)
    x -= x.mean()
    pieces = [power_spectrum(x[..., start : start + 64])[0] for start in (0, 32, 64)]
    torch.testing.assert_close(power_spectrum(x, side=64)[0], torch.stack(pieces).mean(0))


def test_the_data_range_divides_amplitudes() -> None:
    x = torch.rand(1, 1, 32, 32, dtype=torch.float64)
    torch.testing.assert_close(power_spectrum(255 * x, data_range=255.0), power_spectrum(x))


@pytest.mark.parametrize(("period", "count"), [(1, 0), (2, 3), (3, 8), (4, 15), ((1, 2), 1), ((2, 4), 7)])
def test_a_lattice_has_all_multiples_of_its_frequency_but_zero(period: int | tuple[int, int], count: int) -> None:
    found = lattice_frequencies(period)
    pair = period if isinstance(period, tuple) else (period, period)
    assert len(set(found)) == len(found) == count
    for frequencies in found:
        assert all(-0.5 <= f < 0.5 for f in frequencies)
        assert all(abs(f * p - round(f * p)) < 1e-12 for f, p in zip(frequencies, pair, strict=True))


def test_an_image_smaller_than_the_period_is_refused() -> None:
    with pytest.raises(InputError, match="needs pieces that hold it"):
        power_spectrum(torch.rand(1, 1, 7, 20), 8)
