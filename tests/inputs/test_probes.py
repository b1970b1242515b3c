"""What probes promise: a size, a range, and one plane for all channels."""

from __future__ import annotations

import pytest
import torch

from artifactlab.errors import InputError
from artifactlab.inputs.probes import PROBES, make_probe


@pytest.mark.parametrize("name", PROBES)
@pytest.mark.parametrize("size", [16, 65])
def test_every_probe_is_of_its_size_and_in_zero_to_one(name: str, size: int) -> None:
    probe = make_probe(name, size, channels=2)
    assert probe.shape == (1, 2, size, size)
    assert 0 <= float(probe.min()) <= float(probe.max()) <= 1
    assert torch.equal(probe[:, 0], probe[:, 1])


def test_probes_are_listed_by_name() -> None:
    assert list(PROBES) == ["constant", "ramp", "slanted-edge", "zone-plate"]


def test_an_unknown_probe_is_an_error_that_lists_the_known_ones() -> None:
    with pytest.raises(InputError, match="no probe named 'edge'; there are constant, ramp, slanted-edge, zone-plate"):
        make_probe("edge")


def test_a_probe_too_small_to_measure_anything_is_an_error() -> None:
    with pytest.raises(InputError, match="at least 16 pixels per side, got 15"):
        make_probe("ramp", 15)
