"""Diagnoses decoders of volumes, video and sound: `python benchmarks/real_decoders.py` (some minutes).

A 3-D U-Net that finds vessels, a video decoder and a vocoder, as `train_decoders.py` trained them, each with several
upsamplers. What is told and blamed stands beside what a plain FFT finds near the lattice's lines in output minus
target, what is left of it with a site's output box-filtered, and how much larger steps are between two periods than
within one (`decoder_truth.py`): nothing of this package.
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
from decoder_truth import lattice_rms, step_ratio, without
from publish import arguments, markdown_table, publish
from torch import Tensor, nn
from train_decoders import KINDS, NAMES, trained

import artifactlab

HELD_OUT = 99
"""seed of what no net was trained on"""
BRICKS = 100
"""times as large as within a period are steps between two where within there are none but roundings"""


@dataclass(frozen=True)
class Task:
    """A net with what it is fed and what it should give."""

    model: nn.Module
    inputs: list[Tensor]
    targets: list[Tensor]
    scales: dict[str, tuple[int, ...]]
    """Growth of each site by the module that it is in, in the order they run."""
    data_range: float | None = 1.0
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


def vessels(kind: str, upsampler: str, count: int, modules: Sequence[str]) -> Task:
    """Scans, and how much of each voxel is vessel."""
    rng = np.random.default_rng(HELD_OUT)
    targets = [decoder_unet.vessels(rng) for _ in range(count)]
    inputs = [decoder_unet.scan(rng, cover) for cover in targets]
    scales = dict.fromkeys(modules, (2, 2, 2))
    return Task(nn.Sequential(trained(kind, upsampler), nn.Sigmoid()), inputs, targets, scales)


def unet(upsampler: str, count: int = 2) -> Task:
    """MONAI's `UNet`, as probabilities."""
    return vessels("unet", upsampler, count, ("0.model.1.submodule.2", "0.model.2"))


def logits(upsampler: str, count: int = 2) -> Task:
    """What `unet` makes its probabilities of; nobody knows what it should be, so all of it counts as error."""
    task = unet(upsampler, count)
    nothing = [torch.zeros_like(wanted) for wanted in task.targets]
    modules = {name.removeprefix("0."): scale for name, scale in task.scales.items()}
    return Task(task.model[0], task.inputs, nothing, modules, data_range=None)


def basicunet(upsampler: str, count: int = 2) -> Task:
    """MONAI's `BasicUNet`, as probabilities."""
    return vessels("basicunet", upsampler, count, [f"0.upcat_{level}.upsample" for level in (4, 3, 2, 1)])


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


TASKS: dict[str, Callable[[str], Task]] = {
    "unet": unet,
    "logits": logits,
    "basicunet": basicunet,
    "video": video,
    "vocoder": vocoder,
}


@dataclass(frozen=True)
class Truth:
    """What is seen of a site's lattice by other means: in the net's output, and in the target."""

    lines: float
    """Near the site's own lines in the error, in data ranges."""
    lines_without: float
    """The same with the site's output box-filtered."""
    steps: float
    """How much larger steps are between two periods than within one."""
    steps_of_target: float

    def text(self, kind: str) -> str:
        """As in the table."""
        lines = f"{level(self.lines, kind)} ({level(self.lines_without, kind)})"
        bricks = self.steps > BRICKS
        return f"{lines}, {'bricks' if bricks else f'x{self.steps:.1f}'} (x{self.steps_of_target:.1f})"


def truths(task: Task, data_range: float) -> dict[str, Truth]:
    """Of each site; the lines of a finer lattice are left to it."""
    periods = list(task.periods().values())
    target = np.concatenate([wanted[:, 0].double().numpy() for wanted in task.targets])
    error, found = task.error(), {}
    for name, period, finer in zip(task.scales, periods, [*periods[1:], (1,) * len(periods[0])], strict=True):
        smooth = without(task.model.get_submodule(name), task.scales[name], task.error)
        lines = (lattice_rms(e / data_range, period, finer) for e in (error, smooth))
        steps = (step_ratio(images, period) for images in (error + target, target))
        found[name] = Truth(*lines, *steps)
    return found


def cpu_seconds(task: Task, repeats: int = 3) -> float:
    """Of a plain forward over all inputs."""
    start = time.process_time()
    for _ in range(repeats):
        task.error()
    return (time.process_time() - start) / repeats


def level(rms: float, kind: str) -> str:
    """As the verdicts tell it: in 1/255, or in decibels of what is heard."""
    if np.isnan(rms):
        return "-"
    return f"{20 * np.log10(max(rms, 1e-6)):.0f} dB" if kind == "vocoder" else f"{255 * rms:.1f}"


def row(kind: str, upsampler: str) -> list[str]:
    """A line of the table."""
    task = TASKS[kind](upsampler)
    plain = cpu_seconds(task)
    start = time.process_time()
    diagnosis = artifactlab.diagnose(task.model, task.inputs, data_range=task.data_range, layout=task.layout)
    spent = (time.process_time() - start) / plain / (len(diagnosis.sites) + 3)
    periods = task.periods()
    found = truths(task, diagnosis.config.data_range)
    lines = [f"{max(periods[name])}: {truth.text(kind)}" for name, truth in found.items()]
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
    rows[3:3] = [row("logits", upsampler) for upsampler in KINDS["unet"][4]]
    seen = "period: lines (site box-filtered), steps (in the target)"
    header = ["net", "upsampler", "severity (slices)", "blamed", seen, "CPU time"]
    text = markdown_table(header, rows)
    publish("real_decoders", text, options.publish)


if __name__ == "__main__":
    main()
