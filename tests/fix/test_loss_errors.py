"""Arguments and images that `EdgeAwareLoss` cannot work with are refused by name."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from artifactlab import InputError
from artifactlab.fix import EdgeAwareLoss
from artifactlab.fix.loss import WEIGHTS


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"loss_weight": -1}, "loss_weight must be a number of at least 0, got -1"),
        ({"loss_weight": "1"}, "loss_weight must be a number of at least 0, got '1'"),
        ({"loss_weight": float("nan")}, "loss_weight .* got nan"),
        ({"data_range": 0}, "data_range must be a positive number, got 0"),
        ({"data_range": float("inf")}, "data_range must be a positive number, got inf"),
        ({"data_range": True}, "data_range must be a positive number, got True"),
        ({"reduction": "avg"}, "reduction must be one of mean, sum, none, got 'avg'"),
        ({"periods": 2}, r"periods must be a sequence of lattice spacings, such as \(2, 4\), got 2"),
        ({"periods": ()}, r"periods must be a sequence .* got \(\)"),
        ({"periods": "24"}, "periods must be a sequence .* got '24'"),
        ({"periods": [0]}, "each of periods must be a positive integer or one per axis, got 0"),
        ({"periods": [2.0]}, r"each of periods must be a positive integer or one per axis, got 2\.0"),
        ({"periods": [(2, 3, 4, 5)]}, r"each of periods must be .* got \(2, 3, 4, 5\)"),
        ({"periods": [2, 1]}, "a period of 1 is no lattice"),
        ({"weights": {"direction": 1}}, "weights has 'direction'; the terms are edges, grid, steps"),
        ({"weights": {"grid": -2}}, r"weights\['grid'\] must be a number of at least 0, got -2"),
        ({"weights": dict.fromkeys(WEIGHTS, 0)}, "all weights are 0"),
    ],
)
def test_wrong_arguments_are_refused_by_name(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        EdgeAwareLoss(**arguments)


IMAGE = torch.zeros(1, 3, 16, 16)


@pytest.mark.parametrize(
    ("output", "target", "message"),
    [
        ("image", IMAGE, r"output must be a real tensor of shape \(N, C, H, W\), .* got str"),
        (IMAGE, None, r"target must be a real tensor of shape \(N, C, H, W\), .* got NoneType"),
        (IMAGE[0, 0], IMAGE, r"output must .* got shape \(16, 16\), torch.float32"),
        (IMAGE, IMAGE.to(torch.complex64), r"target must .* got shape \(1, 3, 16, 16\), torch.complex64"),
        (IMAGE, IMAGE[:, :1], r"one shape and at least one pixel, got \(1, 3, 16, 16\) and \(1, 1, 16, 16\)"),
        (IMAGE[:0], IMAGE[:0], r"at least one pixel, got \(0, 3, 16, 16\)"),
        (IMAGE.to(torch.uint8), IMAGE, "output must be of a floating type, which gradients need, got torch.uint8"),
    ],
)
def test_wrong_images_are_refused_by_name(output: Any, target: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        EdgeAwareLoss()(output, target)
