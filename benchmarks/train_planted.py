"""Train the decoders of the planted suite: `python benchmarks/train_planted.py` (about an hour on one core).

Each learns to give back a clean crop of the development photos and scenes from a noisy or shrunken one, or from what
its own encoder makes of it; a generator is fitted to some crops and their codes. Besides L1 there is a penalty on what
the error has in step with a lattice, so that the nets start out clean.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch
import torch.nn.functional as F
from content import PHOTOS, periodic_scene, photo, scenes, tinted
from planted_kinds import CODES, GRID, KINDS, PATCH, Generator, Latents, Tokens
from planted_nets import COMPENSATED, NETS, WEIGHTS, Upsampler, weights_path
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim.lr_scheduler import OneCycleLR

SIDE, BATCH = 64, 8
WHOLE = GRID * PATCH
"""side of what nets learn that know no other size"""
NOISE = 0.04
LATENT_NOISE = 0.05
"""added to latents, so that near ones give like images"""
RATE = 3e-3
LATTICE_WEIGHT = 30.0
FIT_RATE, CODE_RATE = 5e-3, 0.1
"""of a generator's weights and of its codes, which learn faster, as each sees its own image only"""
STEPS = {"colour": 1400, "windows": 350, "generator": 1050, "many": 450, "latents": 500, "tokens": 500}
"""of some nets, by what one step costs and how soon they draw what they should; 700 of the others"""


def training_images(colour: bool = False) -> list[Tensor]:
    """Photos and scenes of the development split, (C, H, W) in [0, 1]."""
    images = [scene.render() for _, scene in scenes("development", 40)]
    images += [periodic_scene(kind, k) for k, kind in enumerate(("cloth", "screen", "fence", "masonry", "text"))]
    if colour:
        rng = np.random.default_rng(0)
        images = [tinted(image, rng) for image in images]
    images = [photo(name, colour) for name in PHOTOS["development"]] + images
    return [torch.from_numpy(np.atleast_3d(image)).permute(2, 0, 1) for image in images]


def batch(images: list[Tensor], rng: np.random.Generator, side: int = SIDE, count: int = BATCH) -> Tensor:
    """Random crops, turned and flipped, some darker or flatter."""
    crops = []
    for _ in range(count):
        image = images[int(rng.integers(len(images)))]
        top, left = (int(rng.integers(size - side + 1)) for size in image.shape[1:])
        crop = torch.rot90(image[:, top : top + side, left : left + side], int(rng.integers(4)), (1, 2))
        contrast = float(rng.choice([1.0, 1.0, rng.uniform(0, 1)]))
        crops.append(crop * contrast + (1 - contrast) * float(rng.uniform(0, 1)))
    return torch.stack(crops)


def lattice_penalty(error: Tensor, period: int = 8) -> Tensor:
    """Energy of the mean error at each of a lattice's phases, which are 8x8 for a period of 8."""
    n, c, h, w = error.shape
    phases = error.view(n, c, h // period, period, w // period, period).mean((2, 4))
    return (phases - phases.mean((2, 3), keepdim=True)).square().mean()


def given(model: nn.Module, name: str, clean: Tensor) -> Tensor:
    """What a net is to make clean crops of."""
    if name.startswith("sr8"):
        return F.avg_pool2d(clean, 8)
    if not hasattr(model, "given"):
        return clean + NOISE * torch.randn_like(clean)
    made = model.given(clean)
    if isinstance(model, Latents):
        return made + LATENT_NOISE * torch.randn_like(made)
    return made + NOISE * torch.randn_like(made) if made is clean else made


def train(model: nn.Module, images: list[Tensor], name: str, steps: int, seed: int) -> None:
    """Adam, one cycle."""
    rng = np.random.default_rng(seed)
    optimiser = torch.optim.Adam(model.parameters(), RATE)
    schedule = OneCycleLR(optimiser, RATE, total_steps=steps)
    start = time.time()
    size = (WHOLE, BATCH * SIDE**2 // WHOLE**2) if isinstance(model, Tokens) else (SIDE, BATCH)
    for step in range(steps):
        clean = batch(images, rng, *size)
        error = model(given(model, name, clean)) - clean
        loss = error.abs().mean() + LATTICE_WEIGHT * lattice_penalty(error)
        descend(model, loss, optimiser, schedule)
        if step % 350 == 349:
            print(f"{name} {step + 1} L1 {error.abs().mean():.4f} {time.time() - start:.0f} s", flush=True)


def descend(model: nn.Module, loss: Tensor, optimiser: torch.optim.Optimizer, schedule: OneCycleLR) -> None:
    """One step, clipped."""
    optimiser.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 0.5)
    optimiser.step()
    schedule.step()


def fit(model: Generator, images: list[Tensor], name: str, steps: int, seed: int) -> None:
    """Adam over weights and codes, for images that stay the same; L1 at several sizes, so that shapes come first."""
    rng = np.random.default_rng(seed)
    wanted = batch(images, rng, WHOLE, CODES)
    others = [parameter for key, parameter in model.named_parameters() if key != "codes"]
    rates = [FIT_RATE, CODE_RATE]
    optimiser = torch.optim.Adam([{"params": others}, {"params": [model.codes]}], FIT_RATE)
    schedule = OneCycleLR(optimiser, rates, total_steps=steps)
    start = time.time()
    for step in range(steps):
        chosen = torch.from_numpy(rng.choice(CODES, BATCH // 2, replace=False))
        error = model(model.codes[chosen]) - wanted[chosen]
        loss = sum(F.avg_pool2d(error, shrunk).abs().mean() for shrunk in (1, 2, 4, 8))
        loss = loss + LATTICE_WEIGHT * lattice_penalty(error, 16)
        descend(model, loss, optimiser, schedule)
        if step % 350 == 349:
            print(f"{name} {step + 1} L1 {error.abs().mean():.4f} {time.time() - start:.0f} s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, help="instead of 700, or of the number of some nets")
    parser.add_argument("--only", nargs="*", help="SPLIT-NAME of those to train")
    options = parser.parse_args()
    torch.set_num_threads(1)
    images = {colour: training_images(colour) for colour in (False, True)}
    WEIGHTS.mkdir(exist_ok=True)
    wanted = [(split, name) for nets in (NETS, COMPENSATED, KINDS) for split in nets for name in nets[split]]
    for number, (split, name) in enumerate(wanted):
        if options.only and f"{split}-{name}" not in options.only:
            continue
        torch.manual_seed(number)
        model = (NETS[split] | COMPENSATED[split] | KINDS[split])[name]()
        for module in model.modules():
            if isinstance(module, Upsampler):
                module.start_even()
        learn = fit if isinstance(model, Generator) else train
        learn(model, images[name == "colour"], name, options.steps or STEPS.get(name, 700), number)
        save_file({key: value.half() for key, value in model.state_dict().items()}, weights_path(split, name))


if __name__ == "__main__":
    main()
