"""Train the decoders of volumes, video and sound: `python benchmarks/train_decoders.py [NAME...]` (some minutes each).

All are trained as their kind usually is, with no word about lattices in any loss: what a lattice then draws is what
training left of it. Deterministic on one machine; one core.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import decoder_unet
import decoder_video
import decoder_vocoder
import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim.lr_scheduler import OneCycleLR

WEIGHTS = Path(__file__).with_name("weights")
Step = Callable[[nn.Module, np.random.Generator], Tensor]
"""one step: the loss on new data"""


def find_vessels(model: nn.Module, rng: np.random.Generator) -> Tensor:
    scans, covers = decoder_unet.pair(rng)
    return decoder_unet.segmentation_loss(model(scans), covers)


def code_clips(model: nn.Module, rng: np.random.Generator) -> Tensor:
    videos = decoder_video.clips(rng)
    return (model(videos) - videos).abs().mean()


def speak(model: nn.Module, rng: np.random.Generator) -> Tensor:
    mels, voices = decoder_vocoder.pair(rng)
    return decoder_vocoder.spectral_loss(model(mels), voices)


KINDS: dict[str, tuple[Callable[[str], nn.Module], Step, int, float, tuple[str, ...]]] = {
    "unet": (decoder_unet.StridedUNet, find_vessels, 700, 3e-3, ("deconv", "nearest", "trilinear")),
    "basicunet": (decoder_unet.BasicUNet, find_vessels, 500, 3e-3, ("deconv", "trilinear")),
    "video": (decoder_video.VideoAutoencoder, code_clips, 1000, 1e-3, ("unpatchify", "nearest", "trilinear")),
    "vocoder": (decoder_vocoder.Vocoder, speak, 700, 2e-3, ("deconv", "nearest")),
}
"""name -> network by upsampler, step, number of steps, highest rate, upsamplers"""
NAMES = [(kind, upsampler) for kind, settings in KINDS.items() for upsampler in settings[4]]


def weights_path(kind: str, upsampler: str) -> Path:
    return WEIGHTS / f"decoder-{kind}-{upsampler}.safetensors"


def trained(kind: str, upsampler: str) -> nn.Module:
    """The network with its weights, in eval mode."""
    model = KINDS[kind][0](upsampler)
    model.load_state_dict({key: value.float() for key, value in load_file(weights_path(kind, upsampler)).items()})
    return model.eval()


def train(kind: str, upsampler: str) -> nn.Module:
    """Adam, one cycle; the same data for all upsamplers of a kind."""
    build, loss_of, steps, rate, _ = KINDS[kind]
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    model = build(upsampler)
    optimiser = torch.optim.Adam(model.parameters(), rate)
    schedule = OneCycleLR(optimiser, rate, total_steps=steps)
    start = time.time()
    for step in range(steps):
        loss = loss_of(model, rng)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        if step % 50 == 49:
            print(f"{kind} {upsampler} {step + 1} loss {loss.item():.4f} {time.time() - start:.0f} s", flush=True)
    return model


def main() -> None:
    torch.set_num_threads(1)
    names = {f"{kind}-{upsampler}": (kind, upsampler) for kind, upsampler in NAMES}
    for name in sys.argv[1:] or names:
        kind, upsampler = names[name]
        state = train(kind, upsampler).state_dict()
        save_file({key: value.half().contiguous() for key, value in state.items()}, weights_path(kind, upsampler))


if __name__ == "__main__":
    main()
