"""Integers are labels, masks, pictures or numbers; what they are is told once, and labels become classes."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from artifactlab.errors import CaptureError
from artifactlab.models.values import MOST_CLASSES, MOST_LABELS, Values, values_of

INTEGERS = [torch.uint8, torch.int8, torch.int16, torch.uint16, torch.int32, torch.int64]


def map_of(labels: Tensor, shape: tuple[int, ...] = (2, 1, 24, 24)) -> Tensor:
    picks = torch.randint(0, len(labels), shape, generator=torch.Generator().manual_seed(0))
    return labels[picks]


@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
@pytest.mark.parametrize("shape", [(2, 1, 24, 24), (1, 1, 9, 16, 16), (1, 1, 500)])
def test_a_label_map_is_judged_as_one_mask_per_class(dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    labels = map_of(torch.tensor([0, 3, 7, 100]), shape).to(dtype)
    values = values_of(labels)
    masks = values.measurable(labels)
    assert (values.kind, values.data_range, masks.dtype) == ("labels", 1.0, torch.float32)
    assert masks.shape == (shape[0], 4, *shape[2:])
    again = sum(label * masks[:, k : k + 1] for k, label in enumerate(values.labels))
    assert torch.equal(again, labels.float())
    assert values.text == " Its integers are labels, judged as classes: 0, 3, 7, 100 (one mask each)."


def test_of_many_labels_the_most_frequent_are_judged() -> None:
    labels = torch.cat([torch.full((10 * n,), n) for n in range(1, 21)]).view(1, 1, -1, 10)
    values = values_of(labels)
    assert values.labels == (20, 19, 18, 17, 16, 15, 14, 13)
    assert values.text.endswith("(the 8 most frequent of 20).")
    assert values.measurable(labels).shape[1] == MOST_CLASSES


def test_a_mask_is_zeros_and_ones() -> None:
    mask = torch.rand(1, 3, 16, 16) > 0.5
    values = values_of(mask)
    assert (values.kind, values.data_range) == ("mask", 1.0)
    assert torch.equal(values.measurable(mask), mask.float())


@pytest.mark.parametrize(
    ("integers", "kind", "data_range"),
    [
        (torch.randint(0, 256, (1, 3, 24, 24), dtype=torch.uint8), "picture", 255.0),
        (torch.randint(0, 256, (1, 1, 24, 24), dtype=torch.uint8), "picture", 255.0),
        (torch.randint(0, 2, (1, 5, 24, 24), dtype=torch.uint8), "numbers", None),
        (torch.randint(0, 5000, (1, 1, 99, 99), dtype=torch.int16), "numbers", None),
        (torch.rand(1, 1, 24, 24).round(), "numbers", None),
    ],
)
def test_what_is_no_label_map_keeps_its_values(integers: Tensor, kind: str, data_range: float | None) -> None:
    values = values_of(integers)
    assert (values.kind, values.data_range, values.text) == (kind, data_range, "")
    assert torch.equal(values.measurable(integers), integers.float())


def test_the_number_of_values_tells_labels_from_numbers() -> None:
    counts = {n: values_of(torch.arange(n).repeat(9).view(1, 1, 9, n)).kind for n in (MOST_LABELS, MOST_LABELS + 1)}
    assert counts == {MOST_LABELS: "labels", MOST_LABELS + 1: "numbers"}


def test_a_map_of_one_label_has_nothing_to_measure() -> None:
    with pytest.raises(CaptureError, match=r"nothing but 4: .*; give inputs in which classes meet, or name the logits"):
        values_of(torch.full((1, 1, 24, 24), 4))


def test_numbers_are_measured_as_they_are() -> None:
    values = torch.rand(1, 3, 4, 4, dtype=torch.float64)
    assert Values().measurable(values) is values
