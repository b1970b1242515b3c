"""Images of dead leaves: in range, the same for the same seed, and with a photo's spectrum."""

from __future__ import annotations

import torch

from artifactlab.inputs.dead_leaves import dead_leaves
from artifactlab.scoring.severity import measure_severity


def made(rows: int, columns: int, channels: int, seed: int = 0) -> torch.Tensor:
    return dead_leaves(rows, columns, channels, torch.Generator().manual_seed(seed))


def test_they_are_in_range_in_all_channels_and_the_same_each_time() -> None:
    image = made(40, 56, 3)
    assert image.shape == (1, 3, 40, 56)
    assert 0 <= image.min() < 0.2 < 0.8 < image.max() <= 1
    assert torch.equal(image, made(40, 56, 3))
    assert not torch.equal(image, made(40, 56, 3, seed=1))
    assert not torch.equal(image[:, 0], image[:, 1])


def test_their_energy_falls_with_frequency_as_that_of_photos_does() -> None:
    """Photos' amplitude falls by a power of -1, give or take a third (D. J. Field, JOSA A 1987)."""
    size, energy = 128, torch.zeros(128, 65)
    for seed in range(4):
        energy += torch.fft.rfft2(made(size, size, 1, seed)[0, 0] - 0.5).abs().square()
    radius = (torch.fft.fftfreq(size)[:, None].square() + torch.fft.rfftfreq(size)[None].square()).sqrt() * size
    rings = torch.tensor([2.0, 3.0, 4.5, 6.0, 9.0, 13.0])
    amplitude = [float(energy[(radius >= r) & (radius < 1.5 * r)].mean()) ** 0.5 for r in rings]
    slope = float(
        torch.linalg.lstsq(
            torch.stack([rings.log(), torch.ones(6)], 1), torch.tensor(amplitude).log()[:, None]
        ).solution[0]
    )
    assert -1.6 < slope < -0.9


def test_they_have_no_lattice_of_their_own() -> None:
    for seed in range(3):
        for period in (2, 4):
            assert sum(measure_severity(made(96, 96, 1, seed), (period, period), 1.0).together()) < 0.5
