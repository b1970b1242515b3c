"""How often `artifactlab compare` is wrong: intervals and verdicts on differences whose truth is known.

Photos of the test split are scored before and after real degradations and remedies. The changes of a metric over all
crops are a population with a known mean; sets of images are drawn from it. Where the labels before and after are
swapped by chance, pair by pair, nothing systematic is left. `python benchmarks/compare.py`
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from typing import Any

import numpy as np
import scipy.stats
import torch
from content import photo_crops
from degradations import Degradation, grid, jpeg, nearest, noise, smooth
from numpy.typing import NDArray
from publish import arguments, markdown_table, publish

from artifactlab.attribution.repair.effects import CONFIDENCE, half_samples
from artifactlab.comparing.changes import MIN_CHANGED, MIN_CROPS, SAME, overall, score_change
from artifactlab.comparing.intervals import bootstrap_interval, half_sample_interval
from artifactlab.inputs.images import Picture
from artifactlab.scoring.measures import METRICS, measure
from artifactlab.scoring.severity import Severity, measure_severity, pool

Numbers = NDArray[np.float64]
NAMES = [name for name, metric in METRICS.items() if not metric.needs_reference]
REMEDIES: dict[str, tuple[Degradation, Degradation]] = {
    "nearest x2 -> bicubic": (nearest(2), smooth("bicubic", 2)),
    "grid of 2/255 -> none": (grid(2, 2 / 255), lambda image, rng: image),
    "modulated grid, halved": (grid(4, 4 / 255, True), grid(4, 2 / 255, True)),
    "JPEG 30 -> 80": (jpeg(30), jpeg(80)),
    "bicubic -> Lanczos": (smooth("bicubic", 2), smooth("Lanczos", 2)),
    "noise -> other noise": (noise(1 / 255), noise(1 / 255)),
}
NOTHING = "noise -> other noise"
SIZES = (4, 6, 8, 12, 24, 48)
CROPS = (4, 6, 8, 9, 18, 36)
TRIALS = 80
RESAMPLES = 999
TAIL = (1 - CONFIDENCE) / 2


def main() -> None:
    options = arguments(__doc__).parse_args()
    warnings.simplefilter("ignore")  # scipy's, on samples that are all of one value
    torch.set_num_threads(1)
    scored = {name: scores(*remedy) for name, remedy in REMEDIES.items()}
    rng = np.random.default_rng(0)
    parts = [
        f"**Intervals of one metric** ({CONFIDENCE:.0%}; mean coverage over metrics and remedies, the worst tenth of"
        f" them; then verdicts where there is nothing, all over; at least {MIN_CHANGED} changed images)",
        intervals(populations(scored), rng),
        "**Overall verdict over all five metrics** (false: labels swapped by chance)",
        verdicts(scored, rng),
        f"**Severity of two diagnoses**, by crops; below {MIN_CROPS} `compare` does not tell (false: labels swapped)",
        diagnoses(rng),
    ]
    publish("compare", "\n\n".join(parts), options.publish)


def scores(before: Degradation, after: Degradation) -> Numbers:
    """(crops, 2, metrics) of the test photos before and after."""
    rows = []
    for number, (_, crop) in enumerate(photo_crops("test", 192, 12)):
        rng = np.random.default_rng(number)
        pictures = [Picture(eight_bits(change(crop, rng)), False) for change in (before, after)]
        rows.append([list(measure(picture, None, NAMES).values()) for picture in pictures])
    return np.array(rows, np.float64)


def eight_bits(image: Any) -> NDArray[np.uint8]:
    return np.round(np.clip(image, 0, 1) * 255).astype(np.uint8)[..., None]


def populations(scored: dict[str, Numbers]) -> list[Numbers]:
    """The changes of every metric under every remedy that moves it, differently in different images."""
    found = []
    for rows in scored.values():
        changes = rows[:, 1] - rows[:, 0]
        changes[np.abs(changes) <= SAME * np.abs(rows).max((0, 1))] = 0
        found += [column for column in changes.T if column.std() > 1e-9]
    return found


def intervals(changes: list[Numbers], rng: np.random.Generator) -> str:
    """Coverage of the peers' intervals, and how often each makes a verdict of nothing."""
    covered, false = defaultdict(list), defaultdict(list)
    for population in changes:
        for size in SIZES:
            drawn = population[rng.integers(0, len(population), (TRIALS, size))]
            enough = (drawn != 0).sum(1) >= MIN_CHANGED
            swapped = drawn * rng.choice([-1, 1], drawn.shape)
            for name, peer in PEERS.items():
                low, high = peer(drawn, rng)
                inside = (low - 1e-12 <= population.mean()) & (population.mean() <= high + 1e-12)
                if enough.sum() >= TRIALS // 8:
                    covered[name, size].append(inside[enough].mean())
                low, high = peer(swapped, rng)
                false[name, size].append((enough & ((low > 0) | (high < 0))).mean())
            for name, test in TESTS.items():
                false[name, size].append((enough & (test(swapped, rng) < 1 - CONFIDENCE)).mean())
    rows = []
    for name in [*PEERS, *TESTS]:
        cells = []
        for size in SIZES[1:]:
            shares = covered[name, size]
            text = f"{np.mean(shares):.0%} ({np.quantile(shares, 0.1):.0%})" if shares else "-"
            cells.append(f"{text}, {np.mean(false[name, size]):.0%}")
        rows.append([name, *cells])
    return markdown_table(["", *(f"{size} images" for size in SIZES[1:])], rows)


def ours(drawn: Numbers, rng: np.random.Generator) -> tuple[Numbers, Numbers]:
    ends = np.array([bootstrap_interval(sample, CONFIDENCE, seed) for seed, sample in enumerate(drawn)])
    return ends[:, 0], ends[:, 1]


def students_t(drawn: Numbers, rng: np.random.Generator) -> tuple[Numbers, Numbers]:
    mean, error = drawn.mean(1), drawn.std(1, ddof=1) / drawn.shape[1] ** 0.5
    reach = scipy.stats.t.ppf(1 - TAIL, drawn.shape[1] - 1) * error
    return mean - reach, mean + reach


def bootstrap_t(drawn: Numbers, rng: np.random.Generator) -> tuple[Numbers, Numbers]:
    size = drawn.shape[1]
    again = drawn[:, rng.integers(0, size, (RESAMPLES, size))]
    spread = again.std(2, ddof=1)
    mean, error = drawn.mean(1, keepdims=True), drawn.std(1, ddof=1) / size**0.5
    t = (again.mean(2) - mean) / np.where(spread > 1e-12, spread / size**0.5, np.nan)
    low, high = np.nan_to_num(np.nanquantile(t, [TAIL, 1 - TAIL], axis=1))
    return mean[:, 0] - high * error, mean[:, 0] - low * error


def scipys(method: str) -> Any:
    def peer(drawn: Numbers, rng: np.random.Generator) -> tuple[Numbers, Numbers]:
        found = scipy.stats.bootstrap(
            (drawn,),
            np.mean,
            axis=1,
            n_resamples=RESAMPLES,
            batch=100,
            confidence_level=CONFIDENCE,
            method=method,
            random_state=rng,
        ).confidence_interval
        return tuple(np.where(np.isnan(end), drawn.mean(1), end) for end in (found.low, found.high))

    return peer


def sign_flips(drawn: Numbers, rng: np.random.Generator) -> Numbers:
    signs = rng.choice([-1.0, 1.0], (RESAMPLES, drawn.shape[1]))
    flipped = np.abs(signs @ drawn.T) >= np.abs(drawn.sum(1)) - 1e-12
    return (1 + flipped.sum(0)) / (1 + RESAMPLES)


def wilcoxon(drawn: Numbers, rng: np.random.Generator) -> Numbers:
    return np.nan_to_num(scipy.stats.wilcoxon(drawn, axis=1, method="asymptotic").pvalue, nan=1.0)


PEERS = {
    "**ours**: the wider of t and bootstrap-t": ours,
    "Student's t": students_t,
    "bootstrap-t": bootstrap_t,
    "percentile bootstrap": scipys("percentile"),
    "BCa bootstrap": scipys("BCa"),
}
TESTS = {"sign flips (no interval)": sign_flips, "Wilcoxon (no interval)": wilcoxon}


def verdicts(scored: dict[str, Numbers], rng: np.random.Generator) -> str:
    """What `compare` says of sets of images: of each remedy, and with labels swapped by chance."""
    rows, false = [], defaultdict(list)
    for name, population in scored.items():
        told = []
        for size in SIZES:
            said = defaultdict(int)
            for seed in range(TRIALS):
                drawn = population[rng.integers(0, len(population), size)]
                said[judged(drawn, seed)] += 1
                turned = rng.random(size) < 0.5
                false[size].append(judged(np.where(turned[:, None, None], drawn[:, ::-1], drawn), seed))
            told.append(f"{said['better'] / TRIALS:.0%} / {said['worse'] / TRIALS:.0%}")
        rows.append([f"{name}: better / worse", *told])
    rows.append(["false verdicts", *(f"{np.mean([v != 'cannot tell' for v in false[n]]):.1%}" for n in SIZES)])
    return markdown_table(["", *(f"{size} images" for size in SIZES)], rows)


def judged(drawn: Numbers, seed: int) -> str:
    """The overall verdict on (images, 2, metrics)."""
    level = 1 - (1 - CONFIDENCE) / len(NAMES)
    return overall([score_change(name, drawn[:, :, k].tolist(), level, seed) for k, name in enumerate(NAMES)])


def diagnoses(rng: np.random.Generator) -> str:
    """Crops of outputs before and after, drawn from all crops of both splits' photos."""
    right, false, peers = [], defaultdict(list), defaultdict(list)
    for name, (before, after) in REMEDIES.items():
        sides = [severities(change, number) for number, change in enumerate((before, after))]
        fell = sum(sides[0].together()) > sum(sides[1].together())
        told = []
        for size in CROPS:
            correct = []
            for seed in range(TRIALS):
                chosen = torch.from_numpy(rng.permutation(sides[0].crops)[:size])
                drawn = [side.only(chosen) for side in sides]
                low, high = changed(drawn, seed)[0]
                correct.append(high < 0 if fell else low > 0)
                for ends, kept in zip(changed(swapped(drawn, rng), seed), (false, peers), strict=True):
                    kept[size].append(ends[0] > 0 or ends[1] < 0)
            told.append(f"{np.mean(correct):.0%}")
        if name != NOTHING:
            right.append([f"{name}: right", *told])
    rows = [
        ["false verdicts", *(f"{np.mean(false[size]):.1%}" for size in CROPS)],
        ["false by the percentiles of half-samples alone", *(f"{np.mean(peers[size]):.1%}" for size in CROPS)],
    ]
    return markdown_table(["", *(f"{size} crops" for size in CROPS)], right + rows)


def severities(change: Degradation, number: int) -> Severity:
    """Of 96-pixel crops, one by one."""
    images = [
        np.ascontiguousarray(change(crop, np.random.default_rng((number, k))), np.float32)
        for k, (_, crop) in enumerate(pair for split in ("development", "test") for pair in photo_crops(split, 96, 12))
    ]
    return pool([measure_severity(torch.from_numpy(image)[None, None], (4, 4), 1.0) for image in images])


def total(severity: Severity, counts: torch.Tensor) -> torch.Tensor:
    grid_part, steps, _ = severity.of(counts)
    return grid_part + steps


def swapped(sides: list[Severity], rng: np.random.Generator) -> list[Severity]:
    count = sides[0].crops
    turned, both, place = torch.from_numpy(rng.random(count) < 0.5), pool(sides), torch.arange(count)
    return [both.only(torch.where(turned == first, place, place + count)) for first in (False, True)]


def changed(sides: list[Severity], seed: int) -> tuple[tuple[float, float], tuple[float, float]]:
    """The interval of the change, ours and by the percentiles alone."""
    crops = sides[0].crops
    counts = half_samples(crops, seed, 200)
    changes = (total(sides[1], counts) - total(sides[0], counts)).double().numpy()
    low, high = np.quantile(changes[1:], [TAIL, 1 - TAIL])
    return half_sample_interval(float(changes[0]), changes[1:], crops, CONFIDENCE), (low, high)


if __name__ == "__main__":
    main()
