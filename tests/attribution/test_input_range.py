"""Pictures from 0 to 1 that come out from -1 to 1 were meant to be given from -1 to 1."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import artifactlab
from artifactlab.attribution.input_range import input_doubt
from artifactlab.models.calls import Call

IMAGE = F.interpolate(torch.rand(1, 3, 12, 12, generator=torch.Generator().manual_seed(0)), (48, 48)).clamp(0.05, 0.95)
SIGNED = 2 * IMAGE - 1


@pytest.mark.parametrize(
    ("given", "output", "asked"),
    [
        (IMAGE, SIGNED, True),
        (SIGNED, SIGNED, False),
        (SIGNED, IMAGE, False),  # inputs are normalised in many ways
        (IMAGE, IMAGE, False),
        (IMAGE, 40 * SIGNED, False),  # logits
        (IMAGE.mean(1, keepdim=True), SIGNED, True),
        (torch.randn(1, 16), SIGNED, False),  # no picture went in
    ],
)
def test_unsigned_pictures_are_doubted_where_signed_ones_come_out(given: Tensor, output: Tensor, asked: bool) -> None:
    doubt = input_doubt([Call((given,))], [output])
    assert bool(doubt) == asked
    assert not asked or "(2 * x - 1, --range -1,1)" in doubt


def test_a_verdict_begins_with_the_doubt() -> None:
    class Tanh(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return 2 * F.interpolate(x, scale_factor=2) - 1

    verdict = artifactlab.diagnose(Tanh(), IMAGE, fast=True).verdict
    assert verdict.startswith("Check the inputs first: they run from 0 to 1, and the output from -0.")
