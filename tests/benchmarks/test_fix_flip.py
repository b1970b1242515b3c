"""FLIP beside PSNR: each image of each output is compared with its healthy twin, gray and in colours."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def fix_flip():
    sys.path.insert(0, str(BENCHMARKS))
    try:
        yield importlib.import_module("fix_flip")
    finally:
        sys.path.remove(str(BENCHMARKS))


@pytest.mark.parametrize(("channels", "shape"), [(1, (8, 9)), (3, (8, 9, 3))])
def test_every_image_is_compared_with_its_twin_as_the_model_of_seeing_takes_it(fix_flip, channels, shape):
    def number(good: np.ndarray, made: np.ndarray) -> float:
        assert good.shape == made.shape == shape
        return float(made.mean() - good.mean())

    healthy = [torch.zeros(2, channels, 8, 9), torch.zeros(1, channels, 8, 9)]
    outputs = [torch.full((2, channels, 8, 9), 0.25), torch.ones(1, channels, 8, 9)]
    assert fix_flip.looks_off(outputs, healthy, number) == pytest.approx(0.5)


def test_without_the_package_there_is_no_column(fix_flip, monkeypatch):
    monkeypatch.setattr(fix_flip, "find_spec", lambda name: None)
    assert fix_flip.flip_or_none() is None
