"""Diagnoses decoders of volumes, video and sound: `python benchmarks/real_decoders.py` (some minutes).

A 3-D U-Net that finds vessels, a video decoder and a vocoder, as `train_decoders.py` trained them, each with several
upsamplers. What is told and blamed stands beside what a plain FFT finds near the lattice's lines in output minus
target, and what is left of it with a site's output box-filtered (`decoder_truth.py`): nothing of this package.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import decoder_unet
import decoder_video
import decoder_vocoder
import numpy as np
import torch
from decoder_truth import lattice_rms, without
from publish import arguments, markdown_table, publish
from torch import Tensor, nn
from train_decoders import NAMES, trained

import artifactlab

HELD_OUT = 99
"""seed of what no net was trained on"""


@dataclass(frozen=True)
class Task:
    """A net with what it is fed and what it should give."""

    model: nn.Module
    inputs: list[Tensor]
    targets: list[Tensor]
    scales: dict[str, tuple[int, ...]]
    """Growth of each site by the module that it is in, in the order they run."""
    data_range: float = 1.0
    layout: str | None = None

    def periods(self) -> dict[str, tuple[int, ...]]:
        """Of each site, the growth from there on."""
        found: dict[str, tuple[int, ...]] = {}
        period = (1,) * len(next(iter(self.scales.values())))
        for name, scale in reversed(self.scales.items()):
            period = tuple(p * s for p, s in zip(period, scale, strict=True))
            found[name] = period
        return dict(reversed(found.items()))

    @torch.no_grad()
    def error(self) -> np.ndarray:
        """Output minus target, (N, *space)."""
        pairs = zip(self.inputs, self.targets, strict=True)
        return np.concatenate([(self.model(given) - wanted)[:, 0].double().numpy() for given, wanted in pairs])


def vessels(kind: str, scales: dict[str, tuple[int, ...]], upsampler: str, count: int = 2) -> Task:
    """Scans, and how much of each voxel is vessel."""
    rng = np.random.default_rng(HELD_OUT)
    targets = [decoder_unet.vessels(rng) for _ in range(count)]
    inputs = [decoder_unet.scan(rng, cover) for cover in targets]
    return Task(nn.Sequential(trained(kind, upsampler), nn.Sigmoid()), inputs, targets, scales)


def unet(upsampler: str) -> Task:
    """MONAI's `UNet`, as probabilities."""
    return vessels("unet", {f"0.model.{path}": (2, 2, 2) for path in ("1.submodule.2", "2")}, upsampler)


def basicunet(upsampler: str) -> Task:
    """MONAI's `BasicUNet`, as probabilities."""
    return vessels("basicunet", {f"0.upcat_{level}.upsample": (2, 2, 2) for level in (4, 3, 2, 1)}, upsampler)


def video(upsampler: str, count: int = 4) -> Task:
    """The latents of some clips, and the clips."""
    rng = np.random.default_rng(HELD_OUT)
    model = trained("video", upsampler)
    targets = [decoder_video.clip(rng) for _ in range(count)]
    with torch.no_grad():
        inputs = [model.encoder(clip) for clip in targets]
    scales = dict(zip(("up1", "up2"), decoder_video.STEPS, strict=True))
    return Task(model.decoder, inputs, targets, scales, layout="NCTHW")


def vocoder(upsampler: str, count: int = 3) -> Task:
    """The mel spectrograms of some voices of two seconds, and the voices."""
    rng = np.random.default_rng(HELD_OUT)
    targets = [decoder_vocoder.voice(rng, 128) for _ in range(count)]
    scales = {f"ups.{place}": (stride,) for place, stride in enumerate(decoder_vocoder.STRIDES)}
    inputs = [decoder_vocoder.mel(sound) for sound in targets]
    return Task(trained("vocoder", upsampler), inputs, targets, scales, data_range=2.0)


TASKS: dict[str, Callable[[str], Task]] = {"unet": unet, "basicunet": basicunet, "video": video, "vocoder": vocoder}


def truth(task: Task) -> dict[str, tuple[float, float, float]]:
    """Of each site, what stands at its own lines in the error, with its output box-filtered, and in the target."""
    periods = task.periods()
    names = list(periods)
    finer = [*list(periods.values())[1:], (1,) * len(periods[names[0]])]
    error, target = task.error(), np.concatenate([wanted[:, 0].double().numpy() for wanted in task.targets])
    found = {}
    for name, coarser_than in zip(names, finer, strict=True):
        module = task.model.get_submodule(name)
        smooth = without(module, task.scales[name], task.error)
        found[name] = tuple(lattice_rms(e, periods[name], coarser_than) for e in (error, smooth, target))
    return found


def cpu_seconds(task: Task, repeats: int = 3) -> float:
    """Of a plain forward over all inputs."""
    start = time.process_time()
    for _ in range(repeats):
        task.error()
    return (time.process_time() - start) / repeats


def level(rms: float, kind: str) -> str:
    """As the verdicts tell it: in 1/255, or in decibels of what is heard."""
    return f"{20 * np.log10(max(rms, 1e-6)):.0f} dB" if kind == "vocoder" else f"{255 * rms:.1f}"


def row(kind: str, upsampler: str) -> list[str]:
    """A line of the table."""
    task = TASKS[kind](upsampler)
    plain = cpu_seconds(task)
    start = time.process_time()
    diagnosis = artifactlab.diagnose(task.model, task.inputs, data_range=task.data_range, layout=task.layout)
    spent = (time.process_time() - start) / plain / (len(diagnosis.sites) + 3)
    periods = task.periods()
    lines = [
        f"{max(periods[name])}: {level(before, kind)} ({level(after, kind)}, {level(wanted, kind)})"
        for name, (before, after, wanted) in truth(task).items()
    ]
    print(f"{kind} {upsampler}: {diagnosis.verdict}", flush=True)
    return [kind, upsampler, told(diagnosis), blamed(diagnosis), "; ".join(lines), f"{spent:.2f}"]


def told(diagnosis: artifactlab.Diagnosis) -> str:
    """Severity, and of volumes that of the worst slices."""
    text = f"{diagnosis.output.severity:.2f}"
    slices: Sequence[artifactlab.attribution.records.SliceMeasures] = diagnosis.output.slices
    names = diagnosis.directions
    ways = [f"{names[s.axes[0]]}{names[s.axes[1]]} {s.severity:.2f}" for s in slices]
    return f"{text} ({', '.join(ways)})" if ways else text


def blamed(diagnosis: artifactlab.Diagnosis) -> str:
    """Offenders and their shares."""
    named = [f"`{site.site.key}` {site.effect.share:.0%}" for site in diagnosis.offenders]
    return ", ".join(named) or "nobody"


def main() -> None:
    options = arguments(__doc__).parse_args()
    torch.set_num_threads(1)
    rows = [row(kind, upsampler) for kind, upsampler in NAMES]
    header = ["net", "upsampler", "severity (slices)", "blamed", "lines in the error (site box-filtered)", "CPU time"]
    text = markdown_table(header, rows)
    publish("real_decoders", text, options.readme)


if __name__ == "__main__":
    main()
