"""A folder of models and images that several commands are tried on."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

ZOO = """
import torch
import torch.nn.functional as F
from torch import nn

class Net(nn.Module):
    def __init__(self, strength=0.5, channels=3):
        super().__init__()
        self.up1, self.up2 = (nn.ConvTranspose2d(channels, channels, 4, 2, 1, bias=False) for _ in range(2))
        ramp = torch.tensor([.25, .75, .75, .25])
        for up in (self.up1, self.up2):
            kernel = torch.eye(channels)[:, :, None, None] * torch.outer(ramp, ramp)
            up.weight = nn.Parameter(kernel.contiguous())
        with torch.no_grad():
            self.up1.weight[:, :, 1::2, 1::2] *= 1 + strength

    def forward(self, x):
        return self.up2(self.up1(x))

class Two(Net):
    def forward(self, x):
        return {"mask": x, "image": super().forward(x)}

class Signed(Net):
    def forward(self, x):
        if x.min() >= 0: raise ValueError("expected -1 to 1")
        return super().forward(x)

def clean(): return Net(0.0)
def flat(): return nn.Conv2d(3, 3, 1)
def vector(): return nn.Sequential(nn.Upsample(scale_factor=2), nn.Flatten())
def scripted(): return torch.jit.script(nn.Upsample(None, 2.0))
def diverged():
    net = Net(); nn.init.constant_(net.up2.weight, float("nan")); return net
def explodes(): raise RuntimeError("no such config")
def needs(depth): return Net()
def no_module(): return 7
def leaves(): raise SystemExit(0)
def chatty(): print("making attention"); return Net()
def late():
    import helper_of_zoo
    return Net()
"""


@pytest.fixture
def zoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: models in zoo.py, and the images a.png and b.png."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "zoo.py").write_text(ZOO)
    y, x = np.mgrid[:64, :64]
    for name, angle in (("a", 0.4), ("b", 1.1)):
        plane = 60 + 120 * np.clip(0.5 + y * np.cos(angle) + x * np.sin(angle) - 45, 0, 1)
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.stack([plane] * 3, 2).astype(np.uint8))
    return tmp_path
