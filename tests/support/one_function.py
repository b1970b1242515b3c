"""A model that is one function, and the sites that are seen in it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

import artifactlab


class AnyForward(nn.Module):
    """A model that is one function."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Any:
        return self.function(x)


def keys(model: nn.Module, x: Tensor) -> list[str]:
    with artifactlab.capture(model) as cap, torch.no_grad():
        model(x)
    return [found.site.key for found in cap.sites]


IMAGE = torch.rand(1, 4, 32, 32, generator=torch.Generator().manual_seed(1))
