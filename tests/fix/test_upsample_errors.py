"""What a mode refuses, and with which words."""

from __future__ import annotations

import math

import pytest
import torch

from artifactlab.errors import InputError
from artifactlab.fix.upsample import (
    MODES,
    CarafeUpsample,
    DySampleUpsample,
    GatedUpsample,
    HybridUpsample,
    MetaUpsample,
    ResizeConvUpsample,
    TransposedConvUpsample,
)


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode != "meta"])
@pytest.mark.parametrize("scale", [1, 0, -2, 2.0, True, "2"])
def test_a_scale_that_is_no_integer_of_two_or_more_is_refused(mode: str, scale: object) -> None:
    with pytest.raises(InputError, match="scale is"):
        MODES[mode](4, 3, scale=scale)


@pytest.mark.parametrize("scale", [0.5, math.nan, math.inf, True, "2"])
def test_meta_refuses_what_is_no_scale(scale: object) -> None:
    with pytest.raises(InputError, match="expected a number of 1 or more"):
        MetaUpsample(4, 3, scale=scale)
    with pytest.raises(InputError, match="expected a number of 1 or more"):
        MetaUpsample(4, 3)(torch.rand(1, 4, 4, 4), scale=scale)


def test_options_that_displace_or_overlap_unevenly_are_refused() -> None:
    with pytest.raises(InputError, match="multiple of the scale"):
        TransposedConvUpsample(4, 3, scale=2, kernel_size=3)
    with pytest.raises(InputError, match="expected one of 'bilinear', 'bicubic', 'nearest'"):
        ResizeConvUpsample(4, 3, resample="area")
    with pytest.raises(InputError, match="odd size"):
        ResizeConvUpsample(4, 3, kernel_size=4)
    for even in ({"kernel_size": 4}, {"encoder_kernel": 2}):
        with pytest.raises(InputError, match="odd size"):
            CarafeUpsample(4, 3, **even)
    for groups in (3, 0):
        with pytest.raises(InputError, match="divisor of the channels"):
            DySampleUpsample(4, 3, groups=groups)
    with pytest.raises(InputError, match="expected one of 'mix', 'image'"):
        HybridUpsample(4, 3, choice="best")


def test_gated_refuses_a_missing_skip_and_one_that_does_not_fit() -> None:
    up, x = GatedUpsample(4, 3), torch.rand(1, 4, 5, 5)
    with pytest.raises(InputError, match="got no skip"):
        up(x)
    with pytest.raises(InputError, match=r"skip has shape \(1, 4, 10, 10\); expected \(N, 3, H, W\)"):
        up(x, torch.rand(1, 4, 10, 10))
    with pytest.raises(InputError, match="skip is 12x10 where the upsampled features are 10x10"):
        up(x, torch.rand(1, 3, 12, 10))
    assert up(x, torch.rand(1, 3, 11, 9)).shape == (1, 3, 10, 10)
