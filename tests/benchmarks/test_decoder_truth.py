"""The plain instruments that the real decoders' diagnoses are held against."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch

FILE = Path(__file__).resolve().parents[2] / "benchmarks" / "decoder_truth.py"
spec = importlib.util.spec_from_file_location("decoder_truth", FILE)
decoder_truth = importlib.util.module_from_spec(spec)
spec.loader.exec_module(decoder_truth)


def noise(*shape):
    return 0.05 * np.random.default_rng(0).standard_normal(shape)


@pytest.mark.parametrize(("space", "period"), [((4096,), (8,)), ((64, 64), (4, 4)), ((32, 32, 32), (2, 4, 4))])
def test_a_grid_is_read_with_its_rms(space, period):
    board = np.ones(space)
    for axis, p in enumerate(period):
        line = np.cos(2 * np.pi * np.arange(space[axis]) / p)
        board = board * line.reshape([-1 if k == axis else 1 for k in range(len(space))])
    board *= 0.02 / np.sqrt((board**2).mean())
    found = decoder_truth.lattice_rms(noise(1, *space) + board, period, (1,) * len(space))
    assert found == pytest.approx(0.02, rel=0.15)


def test_lines_of_a_finer_lattice_are_left_to_it():
    tone = np.cos(np.pi / 2 * np.arange(4096))[None]  # period 4
    assert decoder_truth.lattice_rms(tone, (4,), (2,)) > 0.5
    assert decoder_truth.lattice_rms(tone, (8,), (4,)) < 1e-6


def test_noise_has_no_lattice():
    error = noise(8, 32, 32)
    assert decoder_truth.lattice_rms(error, (4, 4), (1, 1)) < 0.1 * error.std()


@pytest.mark.parametrize("scale", [(2, 4, 4), (1, 2, 2), (2, 1, 8)])
def test_a_box_filter_takes_a_lattice_away_and_a_shade_not(scale):
    grid = torch.from_numpy(noise(*scale)).repeat(*(32 // size for size in scale))[None, None]
    smooth = decoder_truth.box_filtered(grid + 3.0, scale)
    inside = smooth[0, 0, 8:-8, 8:-8, 8:-8]
    torch.testing.assert_close(inside, torch.full_like(inside, float(grid.mean()) + 3.0))


def test_a_filtered_module_is_itself_again():
    module = torch.nn.Upsample(scale_factor=2.0)
    given = torch.rand(1, 1, 8, 8)

    def run():
        return module(given)

    smooth = decoder_truth.without(module, (2, 2), run)
    assert not torch.equal(smooth, run())
    assert torch.equal(run(), given.repeat_interleave(2, 2).repeat_interleave(2, 3))


@pytest.mark.parametrize("cut", [0, 1])
def test_bricks_step_between_each_other_and_noise_anywhere(cut):
    bricks = noise(1, 12, 12).repeat(4, 1).repeat(4, 2)[:, cut:]
    assert decoder_truth.step_ratio(bricks + 0.01 * noise(1, *bricks.shape[1:]), (4, 4)) > 30
    assert decoder_truth.step_ratio(noise(4, 48, 48), (4, 4)) < 1.1
