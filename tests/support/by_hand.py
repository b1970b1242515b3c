"""Diagnoses of signals, volumes and video, put together by hand: what is drawn of them depends on no model."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from artifactlab.attribution.diagnosis import Diagnosis, Example
from artifactlab.attribution.records import DiagnoseSettings, Effect, JointStep, OutputMeasures, SiteDiagnosis
from artifactlab.attribution.sites.records import Evidence, Site
from artifactlab.attribution.verdict_text import verdict_text
from artifactlab.attribution.windows import window
from artifactlab.models.layout import Layout

LONG_NAME = "generator.backbone.decoder.up_blocks.{}.upsamplers.0.conv"
"""Two sites have it, with the number of the block."""
REMARK = " The data range, 1, was read off the output's own quantiles."
"""What the verdict says besides its main finding."""


def signal(samples: int = 24000) -> Tensor:
    """(1, L): a voice of five partials that rises and falls."""
    t = torch.arange(samples) / samples
    phase = 2 * math.pi * (300 * t + 6 * torch.sin(2 * math.pi * 3 * t))
    voice = sum(torch.sin(k * phase) / k for k in range(1, 6))
    return (0.2 * voice * (0.3 + torch.sin(math.pi * 4 * t).square()))[None]


def volume(depth: int = 40, height: int = 72, width: int = 56) -> Tensor:
    """(1, D, H, W): an oblique vessel and a ball, bright on dark."""
    z, y, x = torch.meshgrid(*(torch.arange(float(n)) for n in (depth, height, width)), indexing="ij")
    vessel = (4 - ((y - 10 - z).square() + (x - 12 - 0.7 * z).square()).sqrt()).clamp(0, 1)
    ball = (11 - ((z - 22).square() + (y - 48).square() + (x - 36).square()).sqrt()).clamp(0, 1)
    return (0.1 + 0.7 * torch.maximum(vessel, ball))[None]


def video(frames: int = 17, height: int = 64, width: int = 96) -> Tensor:
    """(3, T, H, W): an orange disc that moves to the right over a blue slope."""
    t, y, x = torch.meshgrid(*(torch.arange(float(n)) for n in (frames, height, width)), indexing="ij")
    disc = (14 - ((y - 32).square() + (x - 20 - 3 * t).square()).sqrt()).clamp(0, 1)
    ground = torch.stack([0.2 + 0 * x, 0.3 + 0.3 * y / height, 0.6 + 0 * x])
    return ground + disc * (torch.tensor([0.95, 0.55, 0.1])[:, None, None, None] - ground)


def lattice(space: tuple[int, ...], period: tuple[int, ...]) -> Tensor:
    """(*space): a pulse in every cell, which adds nothing on average."""
    drawn = torch.ones(space)
    for axis, spacing in enumerate(period):
        pulses = (torch.arange(space[axis]) % spacing == spacing - 1).float()
        drawn = drawn * pulses.reshape([-1 if other == axis else 1 for other in range(len(space))])
    return drawn - drawn.mean()


def diagnosed_by_hand(clean: Tensor, layout: str, period: tuple[int, ...], strength: float) -> Diagnosis:
    """A (C, *space) output with a lattice that the first of two sites draws, in its second half along the last axis."""
    space = tuple(clean.shape[1:])
    half = (torch.arange(space[-1]) >= space[-1] // 2).float()
    change = strength * lattice(space, period) * half
    output = clean + change
    faint = 0.02 * change.abs()
    keys = [f"{LONG_NAME.format(number)}/interpolate#0" for number in (1, 0)]
    sites = tuple(_site(rank, clean, period) for rank in (1, 2))
    example = Example(
        input=None,
        output=output,
        changes={keys[0]: change.abs(), keys[1]: faint},
        repaired={keys[0]: window(clean, change.abs()), keys[1]: window(output + faint, faint)},
        activations={key: torch.cat([output, clean]) for key in keys},
    )
    measures = OutputMeasures(40.0, float(change.square().mean().sqrt()), 0.02, 0.0, 0.5)
    joint = (JointStep(keys[0], sites[0].effect, 2.0), JointStep(keys[1], sites[1].effect, 0.5))
    text = verdict_text(sites, joint[:1], (), measures, period, names=Layout(layout).names)
    return Diagnosis(
        sites,
        f"{text}{REMARK}",
        measures,
        DiagnoseSettings(
            *(1, "00", 4, None, 1.0, "*", False, False, False, None, 0),
            period=period,
            confidence=0.9,
            layout=layout,
        ),
        joint=joint,
        finding=text.finding,
        examples=(example,),
    )


def _site(rank: int, output: Tensor, period: tuple[int, ...]) -> SiteDiagnosis:
    before = tuple(max(1, n // p) for n, p in zip(output.shape[1:], period, strict=True))
    name = LONG_NAME.format(2 - rank)
    site = Site(name, "interpolate", 0, period, period, (1, 8, *before), (1, 8, *output.shape[1:]))
    effect = Effect(37.2, 33.0, 41.0, 0.93, "checkerboard") if rank == 1 else Effect(0.2, -0.4, 0.8, 0.01, "stair-step")
    return SiteDiagnosis(site, Evidence(0.02, 0.0, 0.8), effect, "offender" if rank == 1 else "clean", rank, 3 - rank)


def a_signal() -> Diagnosis:
    """Tones of period 8."""
    return diagnosed_by_hand(signal(), "NCL", (8,), 0.05)


def a_volume() -> Diagnosis:
    """Stairs of period 4 along z, 2 along the others."""
    return diagnosed_by_hand(volume(), "NCDHW", (4, 2, 2), 0.3)


def a_video() -> Diagnosis:
    """Flicker of period 4, and a grid of period 8."""
    return diagnosed_by_hand(video(), "NCTHW", (4, 8, 8), 0.5)
