"""The cases of the planted suite: which net, what is planted where, on which inputs. Everything follows from a seed."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

import cv2
import numpy as np
import torch
from content import PHOTOS, SEEDS, Scene, periodic_scene, photo, plain_scene, tinted
from planted_kinds import CODES, KINDS
from planted_nets import COMPENSATED, NETS, Upsampler
from planted_wrappers import WRAPPED, bare, innermost, input_of, network
from planting import DEFECTS, STRONGEST, WEAKEST, Seen, aimed, decoy, hide, upsampler, with_planted
from torch import Tensor, nn

from artifactlab.scoring.severity import measure_severity

SIDE = 128
INPUTS = ("photos", "scenes", "smooth", "textured", "noisy", "flat", "periodic")
CODE_INPUTS = ("codes",)
"""of a generator, whose images are all of its own"""
POOL = 28
"""images per kind of input"""
EACH = 4
"""images per diagnosis; a second one of the same case is of other images, or other crops of the same photos"""
FLAT_PHOTOS = ("text", "brick", "microaneurysms", "page", "gravel", "grass")
"""too small, or a kind of input of their own"""
LESSER = 0.1
"""of the largest defect's rms difference of output is what the least of the others is aimed at"""
FEW = 8
"""sites, up to which each is guilty once per round"""
MANY = 2
"""of more sites, so many are guilty per round, others in each: a case of 41 sites takes a minute"""
SUSPECTS = 5
"""sites at most that anything is planted at; of a net with 41, half would be, and none of them could be clear"""
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
        if hasattr(net, "given"):  # uncut, so that nothing is padded
            net, image = self.base, net.given(pool(self.plan.split, self.plan.inputs, self.plan.net == "colour")[:1])
        with torch.no_grad():
            side = net(image).shape[-1]
        return {site: side // seen.input.shape[-1] for site, seen in watched(net, image).items()}

    @property
    def period(self) -> tuple[int, int]:
        """Of the lattice that holds all of them."""
        return (max(self.periods.values()),) * 2

    @functools.cached_property
    def model(self) -> nn.Module:
        """With everything planted."""
        return with_planted(self.base, self.planted)

    def without(self, site: int) -> nn.Module:
        """With one defect really taken out."""
        return with_planted(self.base, {s: up for s, up in self.planted.items() if s != site})

    def images(self, number: int) -> Tensor:
        """The inputs of one diagnosis, of EACH images; those of different numbers share no image."""
        rng = torch.Generator().manual_seed(self.plan.seed)
        chosen = torch.randperm(POOL, generator=rng)[number * EACH : (number + 1) * EACH]
        images = pool(self.plan.split, self.plan.inputs, self.plan.net == "colour")[chosen]
        return input_of(self.plan.net, self.base, images)


def plans(split: str, rounds: int, other_rounds: int = 0) -> list[Plan]:
    """All cases of a split: each site of each net is guilty once per round, under changing inputs.

    Args:
        split: `development` or `test`.
        rounds: of the gray nets, run alone.
        other_rounds: of those that are run in a way of their own, and of those of other kinds; 0 leaves them out.
    """
    wrapped, kinds = (WRAPPED[split], tuple(KINDS[split])) if other_rounds else ((), ())
    found = _planted(split, tuple(NETS[split]), rounds) + _planted(split, wrapped, other_rounds)
    found += [("clean", net, 0) for net in (*NETS[split], *wrapped) for _ in INPUTS]
    found += [("compensated", net, 0) for net in COMPENSATED[split] for _ in INPUTS]
    # last, so that the cases before stay what they were
    found += _planted(split, kinds, other_rounds) + [("clean", net, 0) for net in kinds for _ in INPUTS]
    return [
        Plan(split, kind, net, _inputs_of(kind, net, number), guilty, SEEDS[split] + number)
        for number, (kind, net, guilty) in enumerate(found)
    ]


def _planted(split: str, nets: Sequence[str], rounds: int) -> list[tuple[str, str, int]]:
    """(kind, net, guilty site), round after round."""
    turns = [(turn, net) for turn in range(rounds) for net in nets]
    return [("planted", net, guilty) for turn, net in turns for guilty in _guilty(sites_of(split, net), turn)]


def _guilty(sites: int, turn: int) -> range:
    """The sites that are guilty in one round: all, or of many every so manieth, from another one in each round."""
    step = 1 if sites <= FEW else sites // MANY
    return range(turn * 3 % step, sites, step)


def _inputs_of(kind: str, net: str, number: int) -> str:
    """The kind of input of a numbered case."""
    known = CODE_INPUTS if net == "generator" else INPUTS
    return known[(number + number // len(known)) % len(known)] if kind == "planted" else known[number % len(known)]


@functools.cache
def sites_of(split: str, net: str) -> int:
    """How many sites a net has."""
    return len((NETS[split] | COMPENSATED[split] | KINDS[split])[bare(net)]().ups)


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
    if len(others) > FEW:
        kept = torch.randperm(len(others), generator=rng)[:SUSPECTS].tolist()
        roles = {s: role if k in kept else "innocent" for k, (s, role) in enumerate(roles.items())}
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


def severity_of(model: nn.Module, images: Tensor, period: tuple[int, int]) -> float:
    """Severity of the model's output, all crops together."""
    with torch.no_grad():
        return sum(measure_severity(model(images), period, 1.0).together())


def _draw(rng: torch.Generator, count: int) -> int:
    return int(torch.randint(count, (), generator=rng))


def _uniform(rng: torch.Generator) -> float:
    return float(torch.rand((), generator=rng))


@functools.cache
def pool(split: str, kind: str, colour: bool = False) -> Tensor:
    """`POOL` images of one kind, (POOL, C, SIDE, SIDE) in [0, 1]; of codes, mixtures (POOL, CODES) of those fitted."""
    rng = np.random.default_rng(SEEDS[split])
    if kind in CODE_INPUTS:
        return torch.from_numpy(np.stack([_mixture(rng) for _ in range(POOL)]))
    images = _images(split, kind, rng, colour)
    if colour:  # what is drawn in gray, in two colors
        images = (image if image.ndim == 3 else tinted(image, rng) for image in images)
    return torch.stack([torch.from_numpy(np.atleast_3d(image).astype(np.float32)).permute(2, 0, 1) for image in images])


def _mixture(rng: np.random.Generator) -> np.ndarray:
    """Weights of a code that is mostly one of those fitted, and partly another."""
    mixture = np.zeros(CODES, np.float32)
    share = rng.uniform(0, 0.5)
    first, second = rng.choice(CODES, 2, replace=False)
    mixture[first], mixture[second] = 1 - share, share
    return mixture


def _images(split: str, kind: str, rng: np.random.Generator, colour: bool) -> Iterator[np.ndarray]:
    photos = [name for name in PHOTOS[split] if name not in FLAT_PHOTOS]
    textures = {"development": ("gravel",), "test": ("grass",)}[split]
    lines = {"development": ("page",), "test": ("brick", "text")}[split]
    regular = ("cloth", "screen", "fence", "masonry", "text")
    for k in range(POOL):
        seed = SEEDS[split] + 500 + k
        scene = Scene(("polygons", "discs", "curves", "lines")[k % 4], seed, SIDE)
        if kind == "photos":
            yield crop(photo(photos[k % len(photos)], colour), rng)
        elif kind == "scenes":
            yield scene.render()
        elif kind == "smooth":
            yield cv2.GaussianBlur(crop(photo(photos[k % len(photos)], colour), rng), (0, 0), rng.uniform(2, 6))
        elif kind == "textured":
            yield crop(photo(textures[0], colour), rng) if k % 2 else plain_scene("texture", seed, SIDE)
        elif kind == "noisy":
            image = crop(photo(photos[k % len(photos)], colour), rng) if k % 2 else scene.render()
            yield np.clip(image + rng.normal(0, 0.05, image.shape), 0, 1)
        elif kind == "flat":
            across = np.linspace(-1, 1, SIDE)
            yield rng.uniform(0.1, 0.9) + rng.uniform(-0.05, 0.05) * across + rng.uniform(-0.05, 0.05) * across[:, None]
        else:
            name = lines[k // 2 % len(lines)]
            texture = regular[k // 2 % len(regular)]
            yield crop(photo(name, colour), rng) if k % 2 else periodic_scene(texture, seed, SIDE)


def crop(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A random square, mirrored where the image is too small."""
    short = [max(0, SIDE - size) for size in image.shape[:2]]
    image = np.pad(image, [(0, s) for s in short] + [(0, 0)] * (image.ndim - 2), mode="reflect")
    top, left = (int(rng.integers(size - SIDE + 1)) for size in image.shape[:2])
    return image[top : top + SIDE, left : left + SIDE]
