"""Patterns at the phases of a lattice, in one, two and three directions."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from artifactlab.attribution.findings.phase_patterns import foreign_part, height_in, phase_pattern, rms

LATTICES = [(4,), (2, 3), (2, 1, 4)]


def gridded(lattice: tuple[int, ...], side: int = 48) -> tuple[Tensor, Tensor]:
    """A flat image with a pattern of two channels at the phases of a lattice, and that pattern."""
    pattern = torch.rand(2, *lattice, generator=torch.Generator().manual_seed(0))
    pattern = pattern - pattern.mean(tuple(range(1, pattern.ndim)), keepdim=True)
    return 0.5 + pattern.repeat(1, *(side // period for period in lattice))[None], pattern


@pytest.mark.parametrize("lattice", LATTICES)
def test_a_pattern_is_read_in_any_number_of_directions(lattice: tuple[int, ...]) -> None:
    image, pattern = gridded(lattice)
    read = phase_pattern(image, lattice)
    assert torch.allclose(read, pattern, atol=0.02)
    assert height_in(read, pattern) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("lattice", [(6,), (6, 4), (2, 6, 4)])
def test_the_foreign_part_has_no_mean_at_any_phase_of_the_lattice_it_is_foreign_to(lattice: tuple[int, ...]) -> None:
    pattern = torch.rand(3, *lattice, generator=torch.Generator().manual_seed(1))
    rest = foreign_part(pattern, (2,) * len(lattice))
    for phase in itertools.product((0, 1), repeat=len(lattice)):
        at = rest[(slice(None), *(slice(start, None, 2) for start in phase))]
        assert torch.allclose(at.flatten(1).mean(1), torch.zeros(3), atol=1e-6)
    assert rms(foreign_part(pattern, lattice)) < 1e-6
