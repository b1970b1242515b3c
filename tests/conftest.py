"""Small models and images that several tests use; seeds are fixed for every test."""

from __future__ import annotations

import gc
import inspect
import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

# one thread for every worker and for all that tests start (kernels, ranks): more of them wait for each other's cores
os.environ["OMP_NUM_THREADS"] = "1"

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor, nn

# nothing that is collected is garbage: looking for it among a million objects took a seventh of the time
gc.disable()


def pytest_collection_finish() -> None:
    """What there is by now stays to the end."""
    gc.freeze()
    # tensors come and go without cycles: at Python's own pace, which is 700, a thirtieth of the time went to looking
    gc.set_threshold(20_000, 20, 20)
    gc.enable()


@pytest.fixture(autouse=True)
def _seed() -> None:
    # not torch.manual_seed, which takes half a millisecond to note the stack for each kind of device that is not there
    torch.default_generator.manual_seed(0)
    torch.set_num_threads(1)


class ThreeSites(nn.Module):
    """A colour image through three transposed convolutions: bilinear kernels, so no phase is favoured."""

    def __init__(self) -> None:
        super().__init__()
        self.up1, self.up2, self.up3 = (nn.ConvTranspose2d(3, 3, 4, 2, 1, bias=False) for _ in range(3))
        ramp = torch.tensor([0.25, 0.75, 0.75, 0.25])
        for up in (self.up1, self.up2, self.up3):
            kernel = torch.eye(3)[:, :, None, None] * torch.outer(ramp, ramp)
            up.weight = nn.Parameter(kernel.contiguous())

    def forward(self, x: Tensor) -> Tensor:
        return self.up3(self.up2(self.up1(x)))

    def plant(self, site: str, strength: float = 0.15) -> ThreeSites:
        """Make one pixel phase of a site brighter than the other three."""
        with torch.no_grad():
            getattr(self, site).weight[:, :, 1::2, 1::2] *= 1 + strength
        return self


@pytest.fixture
def three_sites() -> ThreeSites:
    return ThreeSites().eval()


@pytest.fixture
def scene() -> Tensor:
    """A smooth scene with slanted edges and discs, (1, 3, 32, 32) in [0, 1]."""
    t = torch.arange(32.0)
    y, x = t[:, None], t[None, :]
    edge = (0.5 + (y * math.cos(0.4) + x * math.sin(0.4) - 20)).clamp(0, 1)
    disc = (0.5 + 8 - torch.hypot(y - 11, x - 20)).clamp(0, 1)
    plane = 0.25 + 0.3 * edge + 0.25 * disc
    return torch.stack([plane, 0.9 * plane, 0.2 + 0.6 * plane])[None]


@pytest.fixture
def save(tmp_path: Path) -> Callable[[str, np.ndarray], Path]:
    """Write an image into the test's folder, in the format of its name."""

    def write(name: str, image: np.ndarray) -> Path:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_bytes(cv2.imencode(path.suffix, image)[1])
        return path

    return write


IN_RANK_1 = """
import importlib.util, sys
file, function, folder = sys.argv[1:]
spec = importlib.util.spec_from_file_location("tested", file)
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
getattr(module, function)(1, folder)
"""


@pytest.fixture
def in_two_ranks(tmp_path: Path) -> Callable[[Callable[[int, str], None]], Path]:
    """Run a test file's function of (rank, folder) as rank 0 here, where all is imported, and as rank 1 in a fresh
    process, as a forked one may hang; the folder. A function gives its group a timeout, for a rank that never comes."""

    def run(function: Callable[[int, str], None]) -> Path:
        command = [sys.executable, "-c", IN_RANK_1, inspect.getfile(function), function.__name__, str(tmp_path)]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as other:
            try:
                function(0, str(tmp_path))
                errors = other.communicate(timeout=60)[1]
            finally:
                other.kill()
                if torch.distributed.is_initialized():
                    torch.distributed.destroy_process_group()
        assert other.returncode == 0, errors
        return tmp_path

    return run
