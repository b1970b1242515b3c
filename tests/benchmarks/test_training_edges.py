"""The instrument that judges trained nets by edges whose place is known, on outputs worked out by hand."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def edges():
    sys.path.insert(0, str(BENCHMARKS))
    try:
        yield importlib.import_module("training_edges")
    finally:
        sys.path.remove(str(BENCHMARKS))


@pytest.fixture(scope="module")
def shapes(edges):
    clean, lines = edges._shapes("validation")
    return edges._placed(edges.Pairs(clean[:16], clean[:16]), lines[:16])


def test_rendered_edges_lie_where_their_formulas_say(edges, shapes):
    moved = edges.displacements(shapes, shapes.pairs.wanted)
    assert np.isfinite(moved).all()
    assert np.sqrt(np.mean(moved**2)) < 0.06  # of pixels: cubic interpolation of area coverage
    assert edges.in_step(shapes, moved, 4) < 0.01


def test_a_contour_that_is_moved_is_read_as_moved_but_not_as_in_step(edges, shapes):
    """Shifted by a pixel to the right: by the cosine of the normal's angle, whatever the phase."""
    shifted = torch.roll(shapes.pairs.wanted, 1, 3)
    inside = (shapes.place[:, 0] > 12) & (shapes.place[:, 0] < 84)
    moved = edges.displacements(shapes, shifted)
    assert np.abs(moved - shapes.normal[:, 0])[inside].mean() < 0.06
    assert edges.in_step(shapes, moved, 4) < 0.06


def test_what_keeps_step_is_read_at_its_own_rms_and_noise_is_not(edges, shapes):
    """Displacements of 1, -1 in turn along x, period 2; then the same size at random."""
    turn = 1.0 - 2 * (np.floor(shapes.place[:, 0]) % 2)
    assert edges.in_step(shapes, turn, 2) == pytest.approx(1, abs=0.02)
    noise = np.random.default_rng(0).choice([-1.0, 1.0], len(turn))
    assert edges.in_step(shapes, turn + noise, 2) == pytest.approx(1, abs=0.05)
    assert edges.in_step(shapes, noise, 2) < 0.1


def test_replication_reads_many_times_what_bilinear_interpolation_does(edges, shapes):
    small = torch.nn.functional.avg_pool2d(shapes.pairs.wanted, 4)
    nearest, bilinear = (
        edges.in_step(
            shapes, edges.displacements(shapes, torch.nn.functional.interpolate(small, scale_factor=4, mode=mode)), 4
        )
        for mode in ("nearest", "bilinear")
    )
    assert nearest > 3 * bilinear


def test_no_contour_is_no_clean_contour(edges, shapes):
    moved = edges.displacements(shapes, torch.zeros_like(shapes.pairs.wanted))
    assert not np.isfinite(moved).any()
    assert edges.in_step(shapes, moved, 4) == float("inf")


def test_a_grid_on_flat_places_is_read_at_its_own_rms_and_noise_is_not(edges, shapes):
    wanted = shapes.pairs.wanted
    board = torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).repeat(48, 48) / 255
    assert edges.flat_grid(wanted + board, wanted, 2) == pytest.approx(1 / 255, rel=1e-3)
    noise = torch.randn(wanted.shape, generator=torch.Generator().manual_seed(0)) / 255
    assert edges.flat_grid(wanted + noise, wanted, 2) < 0.1 / 255
    assert edges.flat_grid(wanted + 0.1, wanted, 2) < 1e-6
