"""Evidence looks at some channels of wide activations, at all of narrow ones, and at every value for NaN."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from artifactlab import CaptureError
from artifactlab.attribution.sites.evidence import LATTICE_CHANNELS, SIDE, SPREAD_SAMPLE, check_finite, measure_evidence
from artifactlab.metrics import checkerboard_energy
from artifactlab.scoring.data_range import spread


def gridded(channels: int, side: int = 64, strength: float = 0.3) -> Tensor:
    """Noise, with a checkerboard of a strength of its own in each channel."""
    board = (-1.0) ** (torch.arange(side)[:, None] + torch.arange(side))
    return torch.randn(1, channels, side, side) + strength * torch.rand(channels, 1, 1) * board


def test_narrow_activations_are_measured_in_all_their_channels() -> None:
    activation = gridded(LATTICE_CHANNELS)
    found = measure_evidence(activation, (2.0, 2.0)).checkerboard_energy
    assert found == float(checkerboard_energy(activation, 2, data_range=spread(activation, SPREAD_SAMPLE)))


def test_wide_activations_read_about_what_all_their_channels_do() -> None:
    activation = gridded(8 * LATTICE_CHANNELS)
    found = measure_evidence(activation, (2.0, 2.0)).checkerboard_energy
    everything = float(checkerboard_energy(activation, 2, data_range=spread(activation)))
    assert found == pytest.approx(everything, rel=0.25)
    assert everything > 0.01


@pytest.mark.parametrize("side", [2 * SIDE, 2 * SIDE + 3])
def test_of_large_activations_the_middle_is_measured_in_step_with_the_lattice(side: int) -> None:
    """Three rows bright, one dark: the middle must begin with the lattice, lest the phases be another's."""
    rows = 1.0 * (torch.arange(side) % 4 != 3)
    ramps = torch.linspace(0, 3, side).repeat(1, 1, side, 1)
    found = measure_evidence(ramps + 0.2 * rows[:, None], (4.0, 4.0))
    first = (side - SIDE) // 8 * 4
    middle = (ramps + 0.2 * rows[:, None])[..., first : first + SIDE, first : first + SIDE]
    assert found == measure_evidence(middle, (4.0, 4.0))
    assert found.checkerboard_energy > 0.5


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_single_bad_value_is_found_in_channels_that_are_not_measured(bad: float, dtype: torch.dtype) -> None:
    activation = gridded(2 * LATTICE_CHANNELS).to(dtype)
    activation[0, 1, 5, 7] = bad
    with pytest.raises(CaptureError, match="up holds NaN or Inf"):
        check_finite(activation, "up")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_autocast_to_another_precision_than_the_activations_changes_nothing(dtype: torch.dtype) -> None:
    activation = gridded(2 * LATTICE_CHANNELS).to(dtype)
    expected = measure_evidence(activation, (2.0, 2.0))
    for precision in (torch.float16, torch.bfloat16):
        with torch.autocast("cpu", dtype=precision):
            assert measure_evidence(activation, (2.0, 2.0)) == expected


def test_the_spread_is_that_of_quantiles_and_zero() -> None:
    values = torch.randn(1, 1, 300, 300)
    low, high = torch.quantile(values.flatten(), torch.tensor([0.005, 0.995])).tolist()
    assert spread(values) == pytest.approx(high - low, rel=1e-3)
    assert spread(values.abs() + 2) == pytest.approx(torch.quantile(values.abs(), 0.995).item() + 2, rel=1e-3)
    assert spread(torch.zeros(1, 1, 4, 4)) == 0


@pytest.mark.parametrize(("scale", "shape"), [((4.0,), (5000,)), ((4.0, 4.0, 4.0), (48, 48, 48))])
def test_signals_and_volumes_have_evidence_of_steps_and_grids(scale: tuple[float, ...], shape: tuple[int, ...]) -> None:
    content = torch.randn(1, 4, *[size // 4 for size in shape])
    steps = content
    for axis in range(2, content.ndim):
        steps = steps.repeat_interleave(4, axis)
    assert measure_evidence(steps, scale).edge_jaggedness > 0.5
    pattern = torch.randn(*[4] * len(shape)).repeat(*[size // 4 for size in shape])
    assert measure_evidence(torch.randn(1, 4, *shape) + 0.5 * pattern, scale).checkerboard_energy > 0.05
    assert measure_evidence(torch.randn(1, 4, *shape), scale).checkerboard_energy < 0.01


def test_of_large_volumes_and_long_signals_the_middle_is_measured() -> None:
    signal = torch.rand(1, 1, SIDE**2 + 8)
    assert measure_evidence(signal, (4.0,)) == measure_evidence(signal[..., 4 : SIDE**2 + 4], (4.0,))
    volume = torch.rand(1, 1, 8, SIDE // 4 + 8, 40)
    middle = volume[:, :, :, 4 : SIDE // 4 + 4]
    assert measure_evidence(volume, (1.0, 2.0, 2.0)) == measure_evidence(middle, (1.0, 2.0, 2.0))
