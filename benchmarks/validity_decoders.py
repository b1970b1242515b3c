"""Decoders with one defect are told from the same decoders without it, wherever a model of seeing says that it shows.

FLIP compares the healthy output with the defective one, from the same input. Part of that difference may be no grid and
no stair-step: the net answers to the defect with other grays, and with detail that is lost. So the count is given again
with the part of the difference above the lattice's own base band, and with the part at the lattice's own frequencies.

Nothing is planted in a healthy net, which does not make its output clean: some of them replicate, and no layer behind
the last of these smooths it. FLIP is asked about that, too, with bilinear resizes in the place of replication.
"""

from __future__ import annotations

import importlib.util
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from content import Image
from planted_cases import watched
from planted_nets import NETS, Upsampler, trained
from planted_truth import at_lattice, without_base
from planting import DEFECTS, STRONGEST, WEAKEST, aimed, with_planted
from torch import Tensor, nn
from validity_content import Split, eight_bit
from validity_readings import Reading, Row, percent, read, reading_of, spectral
from visibility_models import JUST_SEEN_FLIP, PIXELS_PER_DEGREE, flip

PHOTOS, RENDERED = 3, 1
"""inputs of each planted defect"""
Seeing = Callable[[Image, Image], float]


@dataclass(frozen=True)
class Planted:
    """One defect at one site, and what the net draws with and without it."""

    net: str
    site: int
    defect: str
    period: int
    """of the site's lattice in the output"""
    healthy: list[Image]
    defective: list[Image]
    bilinear: list[Image]
    """the healthy net's, with bilinear resizes where it replicates"""


def decoders_are_told(split: Split) -> Iterator[Row]:
    """Defective outputs that are seen, told; healthy ones accused."""
    cases = list(planted_cases(split))
    told = np.concatenate([_read(case.defective, case.period).shows() for case in cases])
    accused = np.concatenate([_read(case.healthy, case.period).shows() for case in cases])
    names = [case.defect for case in cases for _ in case.defective]
    nets = np.array([f"{case.net} at {case.period}" for case in cases for _ in case.healthy])
    everything = np.ones(len(nets), bool)
    if importlib.util.find_spec("flip_evaluator") is None:
        yield Row("decoders: defects that are seen (FLIP)", "told >= 95%", "needs flip-evaluator", False)
        yield _accused("decoders: healthy outputs accused, at the periods of their sites", accused, nets, everything)
        return
    seeing = flip(PIXELS_PER_DEGREE)
    seen = np.array([_seen(seeing, h, d) for case in cases for h, d in _pairs(case)])
    yield _row("decoders: defects that are seen (FLIP)", "told >= 95%", told, seen, names)
    seen = np.array([_seen(seeing, h, without_base(h, d, case.period)) for case in cases for h, d in _pairs(case)])
    yield _row("... above the lattice's base band", "", told, seen, names)
    seen = np.array([_seen(seeing, h, h + at_lattice(d - h, case.period)) for case in cases for h, d in _pairs(case)])
    yield _row("... at the lattice's own frequencies", "", told, seen, names)
    yield _accused("decoders: healthy outputs accused, at the periods of their sites", accused, nets, everything)
    own = [_seen(seeing, b, b + at_lattice(h - b, case.period)) for case in cases for h, b in _replicas(case)]
    yield _accused("... where no replication of the net's own is seen (FLIP)", accused, nets, ~np.array(own))


def _accused(claim: str, accused: np.ndarray, nets: np.ndarray, asked: np.ndarray) -> Row:
    """How many healthy outputs are accused, of those that are asked about."""
    wrong, share = accused & asked, float(accused[asked].mean())
    measured = f"{wrong.sum()} of {asked.sum()} ({percent(share)}){_counted(nets, wrong)}"
    return Row(claim, "<= 1%", measured, share <= 0.01)


def _row(claim: str, target: str, told: np.ndarray, seen: np.ndarray, names: list[str]) -> Row:
    """How many of those that are seen are told, and which defects are missed."""
    share = float(told[seen].mean()) if seen.any() else 0.0
    measured = f"{percent(share)} of {seen.sum()} seen; of {(~seen).sum()} not seen {percent(told[~seen].mean())}"
    measured += _counted(names, seen & ~told, "; missed: ")
    return Row(claim, target, measured, share >= 0.95 if target else None)


def _counted(names: Sequence[str], which: np.ndarray, before: str = ": ") -> str:
    """How often each name occurs, the most frequent first."""
    found = Counter(names[k] for k in np.flatnonzero(which))
    return before + ", ".join(f"{name} {count}" for name, count in found.most_common()) if found else ""


def planted_cases(split: Split) -> Iterator[Planted]:
    """Every defect at every site of every net, each with a strength and with inputs of its own."""
    for net in NETS[split.name]:
        base = trained(split.name, net)
        for site in range(len(base.ups)):
            for number, defect in enumerate(DEFECTS):
                seed = (split.seed, list(NETS[split.name]).index(net), site, number)
                yield _planted(split, net, base, site, defect, np.random.default_rng(seed))


@torch.no_grad()
def _planted(split: Split, net: str, base: nn.Module, site: int, defect: str, rng: np.random.Generator) -> Planted:
    """Its strength is scaled once, to come near the difference that is aimed at."""
    images = _inputs(split, net, rng)
    healthy = base(images)
    seen = watched(base, images)[site]
    period = healthy.shape[-1] // seen.input.shape[-1]
    aim = WEAKEST * (STRONGEST / WEAKEST) ** rng.random()
    seed = int(rng.integers(2**31))
    up, _ = aimed(base, site, defect, seen, images, aim, seed)
    defective = with_planted(base, {site: up})(images)
    bilinear = with_planted(base, {k: Upsampler("bilinear", up.channels) for k, up in _replicating(base)})(images)
    return Planted(net, site, defect, period, *map(_as_images, (healthy, defective, bilinear)))


def _inputs(split: Split, net: str, rng: np.random.Generator) -> Tensor:
    """Some crops of photos and a scene, small ones for super-resolution; those of another size are no input."""
    side = split.rendered.images[0].shape
    photos = [image for image in split.photos.images if image.shape == side]
    chosen = [photos[k] for k in rng.permutation(len(photos))[:PHOTOS]]
    chosen += [split.rendered.images[k] for k in rng.permutation(len(split.rendered.images))[:RENDERED]]
    images = torch.from_numpy(np.stack(chosen))[:, None]
    return F.avg_pool2d(images, 8) if net.startswith("sr8") else images


def _replicating(base: nn.Module) -> Iterator[tuple[int, Upsampler]]:
    """The net's own sites that replicate."""
    return ((site, up) for site, up in enumerate(base.ups) if up.style in ("nearest", "expand"))


def _as_images(output: Tensor) -> list[Image]:
    return [eight_bit(image) for image in output[:, 0].numpy()]


def _pairs(case: Planted) -> Iterator[tuple[Image, Image]]:
    yield from zip(case.healthy, case.defective, strict=True)


def _seen(seeing: Seeing, healthy: Image, defective: Image) -> bool:
    return seeing(healthy, defective) >= JUST_SEEN_FLIP


def _read(images: list[Image], period: int) -> Reading:
    return reading_of(read(spectral(period), images))


def _replicas(case: Planted) -> Iterator[tuple[Image, Image]]:
    yield from zip(case.healthy, case.bilinear, strict=True)
