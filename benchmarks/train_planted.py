"""Train the decoders of the planted suite: `python benchmarks/train_planted.py` (about half an hour on two cores).

Each learns to give back a clean crop of the development photos and scenes from a noisy or shrunken one. Besides L1
there is a penalty on what the error has in step with an 8x8 lattice, so that the nets start out clean.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch
import torch.nn.functional as F
from content import PHOTOS, periodic_scene, photo, scenes
from planted_nets import COMPENSATED, NETS, WEIGHTS, Upsampler, weights_path
from safetensors.torch import save_file
from torch import Tensor, nn

SIDE, BATCH = 64, 8
NOISE = 0.04
RATE = 3e-3
LATTICE_WEIGHT = 30.0


def training_images() -> list[Tensor]:
    """Photos and scenes of the development split, (H, W) in [0, 1]."""
    images = [photo(name) for name in PHOTOS["development"]]
    images += [scene.render() for _, scene in scenes("development", 40)]
    images += [periodic_scene(kind, k) for k, kind in enumerate(("cloth", "screen", "fence", "masonry", "text"))]
    return [torch.from_numpy(image) for image in images]


def batch(images: list[Tensor], rng: np.random.Generator) -> Tensor:
    """Random crops, turned and flipped, some darker or flatter."""
    crops = []
    for _ in range(BATCH):
        image = images[int(rng.integers(len(images)))]
        top, left = (int(rng.integers(size - SIDE + 1)) for size in image.shape)
        crop = torch.rot90(image[top : top + SIDE, left : left + SIDE], int(rng.integers(4)))
        contrast = float(rng.choice([1.0, 1.0, rng.uniform(0, 1)]))
        crops.append(crop * contrast + (1 - contrast) * float(rng.uniform(0, 1)))
    return torch.stack(crops)[:, None]


def lattice_penalty(error: Tensor) -> Tensor:
    """Energy of the mean error at each of the 8x8 phases."""
    n, _, h, w = error.shape
    phases = error.view(n, h // 8, 8, w // 8, 8).mean((1, 3))
    return (phases - phases.mean((1, 2), keepdim=True)).square().mean()


def train(model: nn.Module, images: list[Tensor], name: str, steps: int, seed: int) -> None:
    """Adam, one cycle."""
    rng = np.random.default_rng(seed)
    optimiser = torch.optim.Adam(model.parameters(), RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps)
    start = time.time()
    for step in range(steps):
        clean = batch(images, rng)
        given = F.avg_pool2d(clean, 8) if name.startswith("sr8") else clean + NOISE * torch.randn_like(clean)
        error = model(given) - clean
        loss = error.abs().mean() + LATTICE_WEIGHT * lattice_penalty(error)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimiser.step()
        schedule.step()
        if step % 350 == 349:
            print(f"{name} {step + 1} L1 {error.abs().mean():.4f} {time.time() - start:.0f} s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=700)
    parser.add_argument("--only", nargs="*", help="SPLIT-NAME of those to train")
    options = parser.parse_args()
    torch.set_num_threads(1)
    images = training_images()
    WEIGHTS.mkdir(exist_ok=True)
    wanted = [(split, name) for nets in (NETS, COMPENSATED) for split in nets for name in nets[split]]
    for number, (split, name) in enumerate(wanted):
        if options.only and f"{split}-{name}" not in options.only:
            continue
        torch.manual_seed(number)
        model = (NETS[split] | COMPENSATED[split])[name]()
        for module in model.modules():
            if isinstance(module, Upsampler):
                module.start_even()
        train(model, images, name, options.steps, number)
        save_file({key: value.half() for key, value in model.state_dict().items()}, weights_path(split, name))


if __name__ == "__main__":
    main()
