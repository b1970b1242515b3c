"""The cases of the planted suite: which net, what is planted where, on which inputs. Everything follows from a seed."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

import cv2
import numpy as np
import torch
from content import PHOTOS, SEEDS, Scene, periodic_scene, photo, plain_scene
from planted_nets import COMPENSATED, NETS, Upsampler
from planted_wrappers import WRAPPED, bare, innermost, input_of, network
from planting import DEFECTS, STRONGEST, WEAKEST, Seen, aimed, decoy, hide, upsampler, with_planted
from torch import Tensor, nn

from artifactlab.severity import measure_severity

SIDE = 128
PERIOD = (8, 8)
"""of every net of the suite"""
INPUTS = ("photos", "scenes", "smooth", "textured", "noisy", "flat", "periodic")
POOL = 28
"""images per kind of input"""
EACH = 4
"""images per diagnosis; a second one of the same case is of other images, or other crops of the same photos"""
FLAT_PHOTOS = ("text", "brick", "microaneurysms", "page", "gravel", "grass")
"""too small, or a kind of input of their own"""
LESSER = 0.1
"""of the largest defect's rms difference of output is what the least of the others is aimed at"""
DECOY = "decoy"
"""what a decoy is called among the defects"""


class Plan(NamedTuple):
    """What makes a case, before anything is computed."""

    split: str
    kind: str
    """planted, clean or compensated"""
    net: str
    inputs: str
    guilty: int
    """the site that the largest defect is planted at"""
    seed: int


@dataclass
class Case:
    """A network with planted defects."""

    plan: Plan
    base: nn.Module
    """with places for decoys, but nothing planted"""
    planted: dict[int, Upsampler] = field(default_factory=dict)
    """site -> the defective upsampler"""
    names: dict[int, str] = field(default_factory=dict)
    """site -> what is wrong with it"""

    @functools.cached_property
    def periods(self) -> dict[int, int]:
        """Spacing of each site's lattice in the output; of the net alone, as a tile says nothing of the whole."""
        net, image = innermost(self.base), torch.zeros(1, 1, 32, 32)
        with torch.no_grad():
            side = net(image).shape[-1]
        return {site: side // seen.input.shape[-1] for site, seen in watched(net, image).items()}

    @functools.cached_property
    def model(self) -> nn.Module:
        """With everything planted."""
        return with_planted(self.base, self.planted)

    def without(self, site: int) -> nn.Module:
        """With one defect really taken out."""
        return with_planted(self.base, {s: up for s, up in self.planted.items() if s != site})

    def images(self, number: int) -> Tensor:
        """The inputs of one diagnosis, (EACH, 1, H, W); those of different numbers share no image."""
        rng = torch.Generator().manual_seed(self.plan.seed)
        chosen = torch.randperm(POOL, generator=rng)[number * EACH : (number + 1) * EACH]
        return input_of(self.plan.net, pool(self.plan.split, self.plan.inputs)[chosen])


def plans(split: str, rounds: int, wrapped_rounds: int = 0) -> list[Plan]:
    """All cases of a split: each site of each net is guilty once per round, under changing inputs."""
    wrapped = WRAPPED[split] if wrapped_rounds else ()
    found = [
        ("planted", net, guilty)
        for nets, count in ((tuple(NETS[split]), rounds), (wrapped, wrapped_rounds))
        for _ in range(count)
        for net in nets
        for guilty in range(sites_of(split, net))
    ]
    found += [("clean", net, 0) for net in (*NETS[split], *wrapped) for _ in INPUTS]
    found += [("compensated", net, 0) for net in COMPENSATED[split] for _ in INPUTS]
    return [
        Plan(split, kind, net, INPUTS[(number + number // len(INPUTS)) % len(INPUTS)], guilty, SEEDS[split] + number)
        if kind == "planted"
        else Plan(split, kind, net, INPUTS[number % len(INPUTS)], guilty, SEEDS[split] + number)
        for number, (kind, net, guilty) in enumerate(found)
    ]


@functools.cache
def sites_of(split: str, net: str) -> int:
    """How many sites a net has."""
    return len((NETS[split] | COMPENSATED[split])[bare(net)]().ups)


def make(plan: Plan) -> Case:
    """Build a case: decoys where they fit, one large defect, some smaller ones."""
    case = Case(plan, network(plan.split, plan.net))
    if plan.kind != "planted":
        return case
    rng = torch.Generator().manual_seed(plan.seed)
    images = case.images(2)[:2]
    sites = range(len(case.base.ups))
    others = [s for s in sites if s != plan.guilty]
    roles = {s: ("suspect", "suspect", "decoy", "innocent")[_draw(rng, 4)] for s in others}
    ignored = {}
    for site in (s for s, role in roles.items() if role == "decoy"):
        how = "dead" if case.base.reader(site) is not None and _draw(rng, 2) else "blur"
        ignored[site] = hide(case.base, site, how, rng)
    largest = WEAKEST * (STRONGEST / WEAKEST) ** _uniform(rng)
    for site, seen in watched(case.base, images).items():
        if site in ignored:
            case.planted[site] = decoy(upsampler(case.base, site), seen, ignored[site], rng)
            case.names[site] = DECOY
        elif site == plan.guilty or roles[site] == "suspect":
            rms = largest if site == plan.guilty else largest * LESSER ** _uniform(rng)
            name, seed = list(DEFECTS)[_draw(rng, len(DEFECTS))], _draw(rng, 2**31)
            case.planted[site], strength = aimed(case.base, site, name, seen, images, rms, seed)
            case.names[site] = f"{name} {strength:.2g}"
    return case


Change = Callable[[int, Tensor, Tensor], Tensor]
"""takes a site, what goes in and what comes out; returns what comes out instead"""


@contextmanager
def changed(model: nn.Module, change: Change) -> Iterator[None]:
    """Have every upsampler's output changed, also where its forward is called past its hooks."""
    originals = [upsampler(model, site) for site in range(len(model.ups))]

    def instead(site: int, up: Upsampler) -> Callable[[Tensor], Tensor]:
        plain = type(up).forward
        return lambda x: change(site, x, plain(up, x))

    for site, up in enumerate(originals):
        up.forward = instead(site, up)
    try:
        yield
    finally:
        for up in originals:
            del up.forward


def watched(model: nn.Module, images: Tensor) -> dict[int, Seen]:
    """What goes in and out of every upsampler, in running order; of one that runs several times, the last time."""
    seen: dict[int, Seen] = {}

    def note(site: int, x: Tensor, y: Tensor) -> Tensor:
        seen[site] = Seen(x, y)
        return y

    with changed(model, note), torch.no_grad():
        model(images)
    return seen


def severity_of(model: nn.Module, images: Tensor) -> float:
    """Severity of the model's output, all crops together."""
    with torch.no_grad():
        return sum(measure_severity(model(images), PERIOD, 1.0).together())


def _draw(rng: torch.Generator, count: int) -> int:
    return int(torch.randint(count, (), generator=rng))


def _uniform(rng: torch.Generator) -> float:
    return float(torch.rand((), generator=rng))


@functools.cache
def pool(split: str, kind: str) -> Tensor:
    """`POOL` images of one kind, (POOL, 1, SIDE, SIDE) in [0, 1]."""
    rng = np.random.default_rng(SEEDS[split])
    images = [torch.from_numpy(np.ascontiguousarray(image)) for image in _images(split, kind, rng)]
    return torch.stack(images).float()[:, None]


def _images(split: str, kind: str, rng: np.random.Generator) -> Iterator[np.ndarray]:
    photos = [name for name in PHOTOS[split] if name not in FLAT_PHOTOS]
    textures = {"development": ("gravel",), "test": ("grass",)}[split]
    lines = {"development": ("page",), "test": ("brick", "text")}[split]
    regular = ("cloth", "screen", "fence", "masonry", "text")
    for k in range(POOL):
        seed = SEEDS[split] + 500 + k
        scene = Scene(("polygons", "discs", "curves", "lines")[k % 4], seed, SIDE)
        if kind == "photos":
            yield crop(photo(photos[k % len(photos)]), rng)
        elif kind == "scenes":
            yield scene.render()
        elif kind == "smooth":
            yield cv2.GaussianBlur(crop(photo(photos[k % len(photos)]), rng), (0, 0), rng.uniform(2, 6))
        elif kind == "textured":
            yield crop(photo(textures[0]), rng) if k % 2 else plain_scene("texture", seed, SIDE)
        elif kind == "noisy":
            image = crop(photo(photos[k % len(photos)]), rng) if k % 2 else scene.render()
            yield np.clip(image + rng.normal(0, 0.05, image.shape), 0, 1)
        elif kind == "flat":
            across = np.linspace(-1, 1, SIDE)
            yield rng.uniform(0.1, 0.9) + rng.uniform(-0.05, 0.05) * across + rng.uniform(-0.05, 0.05) * across[:, None]
        else:
            name = lines[k // 2 % len(lines)]
            yield crop(photo(name), rng) if k % 2 else periodic_scene(regular[k // 2 % len(regular)], seed, SIDE)


def crop(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A random square, mirrored where the image is too small."""
    short = [max(0, SIDE - size) for size in image.shape]
    image = np.pad(image, [(0, s) for s in short], mode="reflect")
    top, left = (int(rng.integers(size - SIDE + 1)) for size in image.shape)
    return image[top : top + SIDE, left : left + SIDE]
