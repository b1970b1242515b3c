"""Letters say what axes are, and a shape suggests letters where nobody says."""

from __future__ import annotations

import pytest
import torch

from artifactlab.errors import InputError
from artifactlab.models.layout import LAYOUTS, Layout, layout_by_shape


@pytest.mark.parametrize("axes", LAYOUTS)
def test_what_was_brought_into_order_is_restored(axes: str) -> None:
    tensor = torch.rand(torch.arange(2, 2 + len(axes)).tolist())
    images = Layout(axes).images(tensor)
    assert images.ndim == 2 + len(Layout(axes).names)
    assert torch.equal(Layout(axes).restore(images), tensor)


@pytest.mark.parametrize("axes", ["", "NC", "NCHWQ", "NCHH", "NCTDHW", "nchw", "NCLW "])
def test_no_such_layout_is_an_error_that_lists_layouts(axes: str) -> None:
    with pytest.raises(InputError, match=f"no such layout '{axes}': expected one such as NCHW, NHWC"):
        Layout(axes)


@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((1, 16000), "NL"),
        ((8, 128), "NL"),
        ((480, 640), "HW"),
        ((1, 480, 640), "NHW"),
        ((2, 192, 1248), "NHW"),  # a frame of KITTI
        ((1, 1, 24000), "NCL"),
        ((1, 64, 16000), "NCL"),
        ((1, 16000, 64), "NLC"),
        ((1, 8, 100), "NCL"),
        ((1, 3, 64, 64), "NCHW"),
        ((1, 64, 64, 3), "NHWC"),
        ((1, 64, 8, 4), "NCHW"),
        ((1, 256, 4, 4), "NCHW"),
        ((1, 3, 9, 64, 64), "NCTHW"),
        ((1, 9, 3, 64, 64), "NTCHW"),
        ((1, 2, 3, 64, 64), "NTCHW"),
        ((1, 9, 64, 64, 3), "NTHWC"),
        ((1, 32, 64, 64, 1), "NDHWC"),
        ((1, 14, 96, 96, 96), "NCDHW"),
        ((1, 1, 1, 64, 64), "NCDHW"),
    ],
)
def test_a_shape_suggests_a_layout(shape: tuple[int, ...], axes: str) -> None:
    assert layout_by_shape(shape).axes == axes


@pytest.mark.parametrize("shape", [(5,), (), (1, 1, 1, 1, 1, 1)])
def test_other_shapes_suggest_none(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="expected 2 to 5 axes"):
        layout_by_shape(shape)
