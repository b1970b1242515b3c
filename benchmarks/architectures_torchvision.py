"""torchvision beside a torch that its own operators were not built for, as its wheel of PyPI is beside a CPU build.

What the architectures need of them is one: non-maximum suppression. Everything else has a fallback of torchvision's.
"""

from __future__ import annotations

import torch
from torch import Tensor

_library: torch.library.Library | None = None


def provide_operators() -> None:
    """Make `import torchvision` work, and its detectors; where its own operators load, they are left alone."""
    global _library
    try:
        import torchvision
    except RuntimeError:
        _library = torch.library.Library("torchvision", "DEF")
        _library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _library.impl("nms", _suppress, "CPU")
        import torchvision
        from torchvision.ops import boxes

        boxes._assert_has_ops = lambda: None
    del torchvision


def _suppress(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """Indices of boxes that overlap no better one by more than a threshold, best first."""
    kept: list[int] = []
    areas = (boxes[:, 2:] - boxes[:, :2]).clamp(min=0).prod(1)
    for index in scores.argsort(descending=True).tolist():
        low = torch.maximum(boxes[index, :2], boxes[kept, :2])
        high = torch.minimum(boxes[index, 2:], boxes[kept, 2:])
        shared = (high - low).clamp(min=0).prod(1)
        if not kept or bool((shared <= iou_threshold * (areas[index] + areas[kept] - shared)).all()):
            kept.append(index)
    return torch.tensor(kept, dtype=torch.int64)
