"""What an output's values stand for: numbers are measured as they are, labels as the classes that they name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from artifactlab.errors import CaptureError

Kind = Literal["numbers", "picture", "mask", "labels"]
MOST_LABELS = 64
"""Distinct integers in one channel up to which they are labels. A scene shows a few dozen of the 19 to 171 classes that
nets are trained on; an 8-bit gray photo has more than a hundred levels."""
MOST_CLASSES = 8
"""Classes that are judged, the most frequent ones: each costs as much as a channel, and the rest cover next to
nothing."""
SAMPLE = 1_000_000
"""Values that are looked at to tell labels from numbers; a class that is not among them covers nothing."""


@dataclass(frozen=True)
class Values:
    """What the values of an output stand for, told by the first one and the same for all of them."""

    kind: Kind = "numbers"
    """`picture`: pixels of 8 bits; `mask`: true and false; `labels`: a class per place; `numbers`: anything else."""
    labels: tuple[int, ...] = ()
    """The labels that are judged as a channel each, the most frequent first."""
    of: int = 0
    """Number of all labels."""

    @property
    def data_range(self) -> float | None:
        """Distance between the darkest and the brightest value, where the kind says it."""
        return {"numbers": None, "picture": 255.0, "mask": 1.0, "labels": 1.0}[self.kind]

    @property
    def text(self) -> str:
        """What is judged instead of the values themselves, as a sentence; empty where they are."""
        if self.kind == "mask":
            return " Its mask was judged as 0 and 1."
        if self.kind != "labels":
            return ""
        names = ", ".join(map(str, sorted(self.labels)))
        most = f"the {len(self.labels)} most frequent of {self.of}" if len(self.labels) < self.of else "one mask each"
        return f" Its integers are labels, judged as classes: {names} ({most})."

    def measurable(self, images: Tensor) -> Tensor:
        """(N, C, *space) as real numbers, of labels (N, classes, *space)."""
        if images.is_floating_point():
            return images
        if self.kind != "labels":
            return images.float()
        wide = images.long()  # the less usual integers know no comparison
        return torch.cat([wide == label for label in self.labels], 1).float()


def values_of(images: Tensor) -> Values:
    """What (N, C, *space) values stand for, by their type and by how many there are.

    Raises:
        CaptureError: if all of them are the same label, which has no edge.

    >>> values_of(torch.tensor([0, 7, 7, 7]).view(1, 1, 2, 2)).labels
    (7, 0)
    """
    if images.is_floating_point():
        return Values()
    if images.dtype == torch.bool:
        return Values("mask")
    flat = images.reshape(-1)
    labels, counts = flat[:: max(1, flat.numel() // SAMPLE) | 1].long().unique(return_counts=True)
    if images.shape[1] > 1 or len(labels) > MOST_LABELS:
        is_picture = images.dtype == torch.uint8 and int(labels.max()) > 1
        return Values("picture" if is_picture else "numbers")
    if len(labels) == 1:
        raise CaptureError(
            f"the model's output is a label map with nothing but {int(labels)}: nothing can be measured in it; give"
            " inputs in which classes meet, or name the logits with output=/--output"
        )
    frequent = labels[counts.argsort(descending=True, stable=True)][:MOST_CLASSES]
    return Values("labels", tuple(frequent.tolist()), len(labels))
