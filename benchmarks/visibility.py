"""What just shows, by published models of seeing: the strengths of grids and stair-steps that severity 1 stands for.

Pairs of a healthy and a defective image, whose defect is known by construction, are given to ColorVideoVDP and FLIP.
Thresholds are chosen on the photos of scikit-learn, and checked on those of scikit-image and matplotlib.
`python benchmarks/visibility.py`, in an environment that has both models. With `--ours` the readings of artifactlab
are compared with them, too.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from content import SEEDS, SIDE, Image, photo
from degradations import grid_pattern, shrink, tiled
from planted_nets import NETS, trained
from planting import DEFECTS, Seen, phases_of, upsampler, with_planted
from publish import arguments, markdown_table, publish
from scipy.fft import dctn, idctn
from visibility_models import (
    PIXELS_PER_DEGREE,
    Judged,
    Model,
    correlations_table,
    curves_table,
    levels,
    models,
    number_name,
    overall,
    periods_table,
    shown,
    thresholds_table,
)

from artifactlab.metrics.visible import VISIBLE_GRID, visible_grid

PHOTOS = {
    "development": ("china", "flower"),
    "test": (
        *("astronaut", "brick", "camera", "cell", "chelsea", "clock_motion", "coffee", "coins", "grace_hopper"),
        *("grass", "gravel", "hubble_deep_field", "ihc", "microaneurysms", "moon", "motorcycle_left"),
        *("motorcycle_right", "page", "retina", "rocket", "text"),
    ),
}
"""scikit-learn's; all of scikit-image's and matplotlib's, but for charts, logos, a phantom and a binary silhouette"""
EACH = {"development": 2, "test": 1}
"""crops per photo"""
PERIODS = dict.fromkeys(("grid, plain", "grid", "gains"), (2, 3, 4, 5, 6, 8, 12, 16))
GRIDS = tuple(s / 255 for s in (0.25, 1, 2, 4, 8, 16))
FACTORS = (2, 3, 4, 5, 8)
BLURS = (0.0, 0.15, 0.25, 0.35, 0.5)
"""sigmas, over the factor"""
SHARPNESS = 0.5
"""Gaussian that makes the small image about as sharp as a camera's, a third of the contrast being left at the highest
frequency; a mean over areas leaves more, so high that no displacement describes what its steps look like"""
SHARES = (0.03, 0.1, 0.25, 0.5, 1.0)
"""of the replicated image in a mixture with the smooth one"""
STEPS = ("steps, blurred", "steps, mixed")
PLANTED = ("planted, constant part", "planted")
"""only what stands near the lattice's frequencies; all of the difference, of which content-following grids are part"""
DEFECT_STRENGTHS = (0.1, 0.6, 4.0)
"""times the strength that the suite tries first"""
BINS = 3
"""of the Fourier transform, on either side of a multiple of 1 / period, that a constant grid is looked for in"""
FORMS = (*PERIODS, *STEPS, *PLANTED)
UNITS = {form: 1.0 if form in STEPS else 1 / 255 for form in FORMS}
ON_PHOTOS = {"VISIBLE_GRID": (("grid", "gains"), 1 / 255), "VISIBLE_STEPS": (STEPS, 1.0)}
"""severity's constants -> the forms that they are chosen on, and the unit that they are printed in"""
HEADROOM = 0.1
"""content is scaled into the range without this much at both ends, so that hardly a grid is clipped"""


class Pair(NamedTuple):
    """A healthy and a defective image."""

    form: str
    period: int
    content: str
    strength: float
    """rms of the grid over the range, or of the displacement in pixels"""
    healthy: Image
    defective: Image


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--ours", action="store_true", help="compare the readings of artifactlab with the models")
    parser.add_argument("--ppd", type=float, default=PIXELS_PER_DEGREE, help="pixels per degree of the viewer")
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    started = time.process_time()
    seeing = models(options.ppd)
    judged = {split: [judge(pair, seeing, options.ours) for pair in pairs(split)] for split in ("development", "test")}
    minutes = (time.process_time() - started) / 60
    number = sum(map(len, judged.values()))
    tables = [
        f"{number} pairs seen at {options.ppd:.1f} pixels per degree, judged in {minutes:.1f} minutes of one core.",
        chosen_table(judged, seeing),
        periods_table(judged, ON_PHOTOS["VISIBLE_GRID"][0], visible_grid, VISIBLE_GRID),
        thresholds_table(judged, UNITS, seeing),
        correlations_table(judged["test"], FORMS, seeing, options.ours),
        curves_table(judged["test"], [form for form in FORMS if form not in STEPS], seeing, 1 / 255, range(-2, 5)),
        curves_table(judged["test"], STEPS, seeing, 1.0, range(-6, 2)),
    ]
    publish("visibility", "\n\n".join(tables), options.publish)


def judge(pair: Pair, seeing: Sequence[Model], ours: bool) -> Judged:
    numbers = [model.number(pair.healthy, pair.defective) for model in seeing]
    if ours:
        from artifactlab.metrics import edge_jaggedness, lattice_amplitude

        image = torch.from_numpy(pair.defective)[None, None]
        numbers.append(float(edge_jaggedness(image) if pair.form in STEPS else lattice_amplitude(image, pair.period)))
    return Judged(*pair[:4], tuple(numbers))


# -- pairs


def pairs(split: str) -> Iterator[Pair]:
    """Every pair of a split."""
    rng = np.random.default_rng(SEEDS[split])
    crops = list(photos(split, rng))
    for name, image in plain(rng):
        for period in PERIODS["grid, plain"]:
            yield from grids("grid, plain", name, image, period, rng)
    for name, image in crops:
        for form in ("grid", "gains"):
            for period in PERIODS[form]:
                yield from grids(form, name, image, period, rng)
        for factor in FACTORS:
            yield from stair_steps(name, image, factor)
    yield from planted(split, [image for _, image in crops if min(image.shape) == SIDE])


def photos(split: str, rng: np.random.Generator) -> Iterator[tuple[str, Image]]:
    """Crops of `SIDE`, or the whole of what is smaller."""
    for name in PHOTOS[split]:
        image = photo(name)
        for k in range(EACH[split]):
            top, left = (int(rng.integers(max(1, size - SIDE + 1))) for size in image.shape)
            yield f"{name} {k}", HEADROOM + (1 - 2 * HEADROOM) * image[top : top + SIDE, left : left + SIDE]


def plain(rng: np.random.Generator) -> Iterator[tuple[str, Image]]:
    """A dark and a light gray, and a gradient."""
    for name, low, high in (("dark", 0.15, 0.4), ("light", 0.6, 0.85)):
        yield name, np.full((SIDE, SIDE), rng.uniform(low, high), np.float32)
    across = np.linspace(0.2, 0.8, SIDE, dtype=np.float32)
    yield "gradient", np.broadcast_to(across, (SIDE, SIDE)).copy()


def grids(form: str, name: str, image: Image, period: int, rng: np.random.Generator) -> Iterator[Pair]:
    """A random grid of growing rms, constant or, as of unequal gains, in proportion to the content."""
    pattern = tiled(grid_pattern(period, rng), image.shape)
    if form == "gains":
        pattern = pattern * image
        pattern /= np.sqrt(np.square(pattern).mean())
    for strength in GRIDS:
        yield Pair(form, period, name, strength, image, np.clip(image + np.float32(strength) * pattern, 0, 1))


def stair_steps(name: str, image: Image, factor: int) -> Iterator[Pair]:
    """A small image enlarged by replication and by Lanczos, then both blurred, or the one mixed with the other.

    Replication also blurs, as every block is a mean. So does the Lanczos one here, that they differ in steps alone.
    """
    image = image[: image.shape[0] // factor * factor, : image.shape[1] // factor * factor]
    small = cv2.GaussianBlur(shrink(image, factor), (0, 0), SHARPNESS, borderType=cv2.BORDER_REFLECT)
    size = image.shape[::-1]
    stairs = cv2.resize(small, size, interpolation=cv2.INTER_NEAREST_EXACT)
    smooth = cv2.resize(block_blurred(small, factor), size, interpolation=cv2.INTER_LANCZOS4)
    for blur in BLURS:
        sigma = blur * factor
        pair = [cv2.GaussianBlur(x, (0, 0), sigma) if sigma else x for x in (smooth, stairs)]
        yield Pair(STEPS[0], factor, name, displacement(factor, sigma), *pair)
    for share in SHARES:
        mixed = smooth + np.float32(share) * (stairs - smooth)
        yield Pair(STEPS[1], factor, name, share * displacement(factor, 0), smooth, mixed)


def block_blurred(small: Image, factor: int) -> Image:
    """A small image, filtered as a mean over `factor` pixels would filter it once it is that much larger."""
    spectrum = dctn(small, norm="ortho")
    for axis, size in enumerate(small.shape):
        frequency = np.arange(size) / (2 * size)
        kept = np.sinc(frequency) / np.sinc(frequency / factor)
        spectrum *= kept[:, None] if axis == 0 else kept
    return np.asarray(idctn(spectrum, norm="ortho"), np.float32)


def displacement(factor: int, sigma: float) -> float:
    """Rms of the sawtooth by which replication displaces the content, in pixels, after a Gaussian blur.

    A displacement in step with the lattice has harmonics at k / factor, and the blur takes from each what it takes
    from that frequency.
    """
    sawtooth = np.arange(factor) - (factor - 1) / 2
    harmonics = np.abs(np.fft.fft(sawtooth) / factor)
    kept = np.exp(-2 * math.pi**2 * sigma**2 * np.square(np.fft.fftfreq(factor)))
    return float(np.sqrt(np.square(harmonics * kept).sum()))


def planted(split: str, images: Sequence[Image]) -> Iterator[Pair]:
    """Outputs of the planted suite's decoders, without and with a defect at one site."""
    rng = np.random.default_rng(SEEDS[split])
    for net in NETS[split]:
        model = trained(split, net)
        for site in range(len(model.ups)):
            image = torch.from_numpy(np.ascontiguousarray(images[rng.integers(len(images))]))[None, None]
            image = F.avg_pool2d(image, 8) if net.startswith("sr8") else image
            seen, healthy = watched(model, site, image), output(model, image)
            period = 2 * healthy.shape[0] // seen.output.shape[-2]
            for name in rng.choice(list(DEFECTS), 2, replace=False):
                defect, first, greatest = DEFECTS[name]
                for strength in sorted({min(greatest, first * s) for s in DEFECT_STRENGTHS}):
                    up = defect(
                        phases_of(upsampler(model, site)), seen, strength, torch.Generator().manual_seed(SEEDS[split])
                    )
                    difference = output(with_planted(model, {site: up}), image) - healthy
                    case = (period, f"{net} {site} {name}")
                    constant = lattice_part(difference, period, BINS)
                    whole = lattice_part(difference, period, SIDE)
                    yield Pair(PLANTED[0], *case, float(constant.std()), healthy, healthy + constant)
                    yield Pair(PLANTED[1], *case, float(whole.std()), healthy, healthy + difference)


def output(model: torch.nn.Module, image: torch.Tensor) -> Image:
    """Of a decoder, as a picture."""
    with torch.no_grad():
        return model(image)[0, 0].clamp(0, 1).numpy()


def watched(model: torch.nn.Module, site: int, image: torch.Tensor) -> Seen:
    """What goes in and out of an upsampler, of which some are called past their hooks."""
    up, seen = upsampler(model, site), []
    plain_forward = up.forward

    def spy(x: torch.Tensor) -> torch.Tensor:
        seen.append(Seen(x, plain_forward(x)))
        return seen[-1].output

    up.forward = spy
    output(model, image)
    del up.forward
    return seen[0]


def lattice_part(difference: Image, period: int, bins: int) -> Image:
    """What a difference has at multiples of the lattice's frequency but 0, and up to so many frequencies beside them.

    A frequency belongs to the nearest multiple.
    """
    near, zero = [], []
    for size in difference.shape:
        cycles = np.fft.fftfreq(size)
        order = np.round(cycles * period)
        near.append(np.abs(cycles - order / period) * size <= bins)
        zero.append(order == 0)
    kept = np.outer(*near) & ~np.outer(*zero)
    return np.fft.ifft2(np.fft.fft2(difference) * kept).real.astype(np.float32)


# -- tables


def chosen_table(judged: dict[str, list[Judged]], seeing: Sequence[Model]) -> str:
    """The two thresholds: medians over forms and periods of the medians over photos, as no period is the usual one."""
    rows = []
    for name, (forms, unit) in ON_PHOTOS.items():
        for k, model, level in levels(seeing):
            found = {split: overall(judged[split], forms, k, level) for split in judged}
            tested = [one for one in judged["test"] if one.form in forms]
            agree = [(one.strength >= found["development"]) == (one.numbers[k] >= level) for one in tested]
            mark = "**" if level == model.just_seen else ""
            values = [f"{mark}{shown(value, unit)}{mark}" for value in found.values()]
            rows.append((name, number_name(model, level), *values, f"{np.mean(agree):.0%}"))
    header = ("constant", "just seen is", "development", "test", "test pairs on the same side of the first, and seen")
    return markdown_table(header, rows)


if __name__ == "__main__":
    main()
