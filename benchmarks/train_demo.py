"""Train the two sets of weights that ship in `artifactlab/demo`: `python benchmarks/train_demo.py` (about ten minutes).

Phase 1 trains the whole U-Net to denoise crops of scikit-image's photos (the demo's own photo is left out). Phase 2
swaps `dec.up2` for a kernel-3 stride-2 transposed convolution, freezes everything else, and trains that layer on 8x8
block means of the output: a loss at an eighth of the resolution, blind to the period-4 grid as feature losses are.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import skimage
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

from artifactlab.demo.unet import SWAPPED_WEIGHTS, WEIGHTS, DemoUNet, healthy, swapped_up2

PHOTOS = ("astronaut", "coffee", "rocket", "retina", "immunohistochemistry", "hubble_deep_field", "cat")
NOISE = 0.05


def photos(held_out: str = "coffee") -> list[Tensor]:
    """The training photos as (3, H, W) tensors in [0, 1]."""
    names = [name for name in PHOTOS if name != held_out]
    images = [np.asarray(getattr(skimage.data, name)())[..., :3] for name in names]
    return [torch.from_numpy(image.copy()).permute(2, 0, 1).float() / 255 for image in images]


def batch(images: list[Tensor], size: int, count: int) -> Tensor:
    """`count` random crops, randomly flipped."""
    crops = []
    for _ in range(count):
        image = images[int(torch.randint(len(images), ()))]
        top = int(torch.randint(image.shape[1] - size, ()))
        left = int(torch.randint(image.shape[2] - size, ()))
        crop = image[:, top : top + size, left : left + size]
        crops.append(crop.flip(2) if torch.rand(()) < 0.5 else crop)
    return torch.stack(crops)


def train(model: DemoUNet, parameters: list[Tensor], images: list[Tensor], steps: int, rate: float, block: int) -> None:
    """L1 between `block`-pixel means of output and clean crop; block 1 is plain L1."""
    optimiser = torch.optim.Adam(parameters, lr=rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps)
    start = time.time()
    for step in range(steps):
        clean = batch(images, size=96, count=8)
        output = model(clean + NOISE * torch.randn_like(clean))
        loss = F.l1_loss(F.avg_pool2d(output, block), F.avg_pool2d(clean, block))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if step % 50 == 0 or step == steps - 1:
            print(f"step {step:5d}  L1 {loss.item():.4f}  {time.time() - start:5.0f} s", flush=True)


def start_even(model: DemoUNet) -> None:
    """Start the learned upsamplers without a grid: bilinear phases in `up2`, equal sub-kernels (ICNR) in `up3`."""
    with torch.no_grad():
        ramp = torch.tensor([0.25, 0.75, 0.75, 0.25])
        mixing = model.dec.up2.weight.mean((2, 3), keepdim=True) * 16
        model.dec.up2.weight.copy_(mixing * torch.outer(ramp, ramp))
        shuffle = model.dec.up3[0]
        for parameter in (shuffle.weight, shuffle.bias):
            parameter.copy_(parameter[::4].repeat_interleave(4, 0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=2500)
    parser.add_argument("--swap-steps", type=int, default=80)
    parser.add_argument("--only-swap", action="store_true", help="keep the healthy weights, train the swapped layer")
    options = parser.parse_args()
    torch.manual_seed(0)
    images = photos()
    if not options.only_swap:
        model = DemoUNet()
        start_even(model)
        train(model, list(model.parameters()), images, options.steps, rate=1e-3, block=1)
        save_file(model.state_dict(), WEIGHTS)
    model = healthy().train()
    model.requires_grad_(False)
    model.dec.up2 = swapped_up2()
    with torch.no_grad():
        model.dec.up2.weight *= 4  # a bold start: the loss will not take back what it cannot see
    train(model, list(model.dec.up2.parameters()), images, options.swap_steps, rate=4e-2, block=8)
    save_file(model.dec.up2.state_dict(), SWAPPED_WEIGHTS)


if __name__ == "__main__":
    main()
