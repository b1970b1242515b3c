"""Score reports of given columns, and diagnoses of a decoder with a grid of given strength."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
from score_settings import settings
from torch import Tensor, nn

import artifactlab
from artifactlab import Diagnosis
from artifactlab.scoring import ImageScore, ScoreReport


def _report(folder: str = "a", errors: Sequence[str] = (), **scores: Sequence[float | None]) -> ScoreReport:
    """A score report with these columns; images are 0.png, 1.png, ..."""
    rows = [
        ImageScore(f"{folder}/{n}.png", dict(zip(scores, row, strict=True)), "unreadable" if str(n) in errors else None)
        for n, row in enumerate(zip(*scores.values(), strict=True))
    ]
    return ScoreReport(tuple(rows), {}, None, settings(folder, list(scores)))


@pytest.fixture(scope="session")
def report() -> Callable[..., ScoreReport]:
    """A function of columns, `metric=[scores]`, that gives a score report."""
    return _report


class Grid(nn.Module):
    """Bilinear x2 as a transposed convolution; one of its four phases is brighter by `strength`."""

    def __init__(self, strength: float) -> None:
        super().__init__()
        ramp = torch.tensor([0.25, 0.75, 0.75, 0.25])
        self.up = nn.ConvTranspose2d(1, 1, 4, 2, 1, bias=False)
        self.up.weight = nn.Parameter(torch.outer(ramp, ramp)[None, None].contiguous())
        with torch.no_grad():
            self.up.weight[..., 1::2, 1::2] *= 1 + strength

    def forward(self, x: Tensor) -> Tensor:
        return self.up(x)


def _diagnosed(strength: float, side: int = 128, seed: int = 0, content: int = 0) -> Diagnosis:
    image = torch.rand(1, 1, 8, 8, generator=torch.Generator().manual_seed(content))
    image = nn.functional.interpolate(image, size=(side, side), mode="bicubic").clamp(0, 1)
    return artifactlab.diagnose(Grid(strength), image, data_range=1.0, seed=seed)


@pytest.fixture(scope="session")
def diagnosed() -> Callable[..., Diagnosis]:
    """A function of the grid's strength that gives a diagnosis."""
    return _diagnosed


@pytest.fixture(scope="session")
def bad() -> Diagnosis:
    return _diagnosed(0.1)


@pytest.fixture(scope="session")
def healthy() -> Diagnosis:
    return _diagnosed(0.0)
