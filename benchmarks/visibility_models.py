"""Two published models of seeing, which say how visible the difference between two gray images is.

ColorVideoVDP (Mantiuk et al. 2024) has the contrast sensitivity and the masking of measured observers, and is fitted to
their choices between pictures. FLIP (Andersson et al. 2020) filters by contrast sensitivity and takes the color
difference of CIELAB. Both are given the same display and viewing distance.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from content import Image
from publish import markdown_table
from scipy.stats import spearmanr

INSTALL = (
    "the models of seeing are missing: in a virtual environment of its own, pip install -e . scikit-learn"
    f" cvvdp flip-evaluator torch=={torch.__version__.split('+')[0]}"
)
PIXELS_PER_DEGREE = 37.84
"""of cvvdp's `standard_fhd`: a 24-inch screen of 1080 rows, from about twice its height. FLIP's own default is 67, a
screen of 3840 columns from its width, where a grid of period 2 is hardly resolved."""
DISPLAY = "standard_fhd"
"""whose light cvvdp takes: 200 cd/m^2, contrast 1000, in an office of 250 lux"""
JUST_SEEN_JOD = 0.5
"""The loss of quality at which a difference just shows. A loss of 1 JOD is defined by 75% of viewers picking the
undamaged one of two pictures; as some of them guess, half of them can tell. What just shows is less than what half can
tell: at .5 JOD 63% pick it, so a quarter can tell; at .25 JOD it is 57%, and an eighth."""
THRESHOLD_JOD = 0.026
"""The loss of a grating that stands everywhere at the threshold of cvvdp's contrast sensitivity function: there its
pooled difference is .578 for a still, and .0440 * .578^.930 JOD by its published parameters. It is what a trained
observer detects of a plain picture when he knows what to look for."""
JUST_SEEN_FLIP = 0.103
"""FLIP's value of a difference that just shows. FLIP has no unit of its own, but in its lower part its color
difference is .95 / .4 * (dE / dE_max)^.7, where dE is CIELAB's (with HyAB distances) and dE_max^.7 is 41.3; a dE of
2.3 just shows (Mahy, Van Eycken and Oosterlinck 1994)."""
WORST_SHARE = 0.05
"""of the pixels have to reach it: stair-steps are seen where the edges are, however much plain sky there is, and the
mean of the map would measure the sky"""


@dataclass(frozen=True)
class Model:
    """A model of seeing."""

    name: str
    just_seen: float
    """its number for a difference that just shows"""
    beside: tuple[float, ...]
    """other numbers that could have been chosen"""
    number: Callable[[Image, Image], float]
    """of a healthy and a defective image; grows with visibility, 0 when they are equal"""


def models(pixels_per_degree: float) -> list[Model]:
    """Both models, for this viewing distance."""
    return [
        Model("JOD lost", JUST_SEEN_JOD, (THRESHOLD_JOD, 0.25, 1.0), color_video_vdp(pixels_per_degree)),
        Model("FLIP", JUST_SEEN_FLIP, (), flip(pixels_per_degree)),
    ]


def color_video_vdp(pixels_per_degree: float) -> Callable[[Image, Image], float]:
    """How many JOD the defective image loses."""
    try:
        import_torchvision()
        import pycvvdp
    except ImportError as error:
        raise SystemExit(INSTALL) from error
    geometry = pycvvdp.vvdp_display_geometry([1920, 1080], ppd=pixels_per_degree)
    metric = pycvvdp.cvvdp(display_name=DISPLAY, display_geometry=geometry, device=torch.device("cpu"), quiet=True)

    def lost(healthy: Image, defective: Image) -> float:
        with torch.no_grad():
            quality, _ = metric.predict(rgb(defective), rgb(healthy), dim_order="HWC")
        return 10 - float(quality)

    return lost


def import_torchvision() -> None:
    """Import what cvvdp takes a Gaussian from, beside a torch built for CPUs only, too.

    torchvision's wheel on PyPI is built for CUDA. Its operators do not load then, and its import fails as it describes
    two of them; cvvdp uses none.
    """
    try:
        import torchvision
    except RuntimeError:
        for name in ("nms", "qnms"):
            signature = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
            torch.library.define(f"torchvision::{name}", signature)
        import torchvision  # noqa: F401


def flip(pixels_per_degree: float) -> Callable[[Image, Image], float]:
    """FLIP's error at the upper quantile of its map."""
    try:
        from flip_evaluator import evaluate
    except ImportError as error:
        raise SystemExit(INSTALL) from error

    def error_of(healthy: Image, defective: Image) -> float:
        parameters = {"ppd": pixels_per_degree}
        errors, _, _ = evaluate(rgb(healthy), rgb(defective), "LDR", True, False, False, parameters)
        return float(np.quantile(errors, 1 - WORST_SHARE))

    return error_of


def rgb(image: Image) -> Image:
    """Three channels, equal ones of a gray image, in the range that a screen has."""
    clipped = np.clip(image, 0, 1).astype(np.float32)
    return clipped if image.ndim == 3 else np.repeat(clipped[..., None], 3, 2)


class Judged(NamedTuple):
    """What was said of a pair."""

    form: str
    period: int
    content: str
    strength: float
    numbers: tuple[float, ...]
    """of each model; then what artifactlab reads, where it was asked"""


def ladders(judged: Iterable[Judged], forms: Sequence[str]) -> dict[tuple[str, int], list[list[Judged]]]:
    """(form, period) -> for each content, the same defect at growing strength."""
    found: dict[tuple[str, int], dict[str, list[Judged]]] = defaultdict(lambda: defaultdict(list))
    for one in judged:
        if one.form in forms:
            found[one.form, one.period][one.content].append(one)
    return {
        key: [sorted(ladder, key=lambda one: one.strength) for ladder in contents.values()]
        for key, contents in sorted(found.items(), key=lambda item: (forms.index(item[0][0]), item[0][1]))
    }


def crossing(ladder: Sequence[Judged], model: int, level: float) -> float:
    """The strength at which a model's number reaches a level, interpolated between logarithms, or infinity."""
    below = None
    for one in ladder:
        if one.numbers[model] >= level:
            if below is None:
                return one.strength
            steps = [math.log(max(n, 1e-6)) for n in (below.numbers[model], one.numbers[model], level)]
            part = (steps[2] - steps[0]) / (steps[1] - steps[0])
            return below.strength ** (1 - part) * one.strength**part
        below = one
    return math.inf


def threshold(several: Sequence[Sequence[Judged]], model: int, level: float) -> float:
    """The median over contents."""
    return float(np.median([crossing(ladder, model, level) for ladder in several]))


def overall(judged: Sequence[Judged], forms: Sequence[str], model: int, level: float) -> float:
    """The median over forms and periods."""
    return float(np.median([threshold(several, model, level) for several in ladders(judged, forms).values()]))


def number_name(model: Model, level: float) -> str:
    """How a level of a model's number is called in a table."""
    return f"{level:g} {model.name}" if model.name.startswith("JOD") else f"{model.name} {level:g}"


def levels(seeing: Sequence[Model]) -> list[tuple[int, Model, float]]:
    """Every number that could be called just seen, with its model and the model's place."""
    return [(k, model, level) for k, model in enumerate(seeing) for level in sorted((model.just_seen, *model.beside))]


def shown(strength: float, unit: float) -> str:
    """A strength with its unit."""
    if math.isinf(strength):
        return "never"
    return f"{strength:.3f} px" if unit == 1 else f"{strength / unit:.2f}/255"


def periods_table(
    judged: dict[str, list[Judged]], forms: Sequence[str], limit: Callable[[int], float], one_for_all: float
) -> str:
    """From where on grids are detected, period by period, beside a limit for each period."""
    found = {split: ladders(judged[split], forms) for split in judged}
    rows = []
    for period in sorted({period for _, period in found["development"]}):
        several = [[threshold(of[form, period], 0, THRESHOLD_JOD) for of in found.values()] for form in forms]
        cells = [" / ".join(shown(value, 1 / 255) for value in each) for each in several]
        rows.append((str(period), shown(limit(period), 1 / 255), *cells))
    pairs = [one for one in judged["test"] if one.form in forms]
    same, same_by_one = (
        np.mean([(one.strength >= least(one.period)) == (one.numbers[0] >= THRESHOLD_JOD) for one in pairs])
        for least in (limit, lambda period: one_for_all)
    )
    text = (
        f"Where {THRESHOLD_JOD:g} JOD are lost, period by period (development / test). {same:.0%} of the test pairs are"
        f" on the same side of it and of the limit; of one for all periods, {shown(one_for_all, 1 / 255)},"
        f" {same_by_one:.0%}."
    )
    return f"{text}\n\n{markdown_table(('period', 'limit', *forms), rows)}"


def thresholds_table(judged: dict[str, list[Judged]], units: dict[str, float], seeing: Sequence[Model]) -> str:
    """Where each model's number is reached, for each form and period."""
    rows = []
    found = {split: ladders(judged[split], list(units)) for split in judged}
    for form, period in found["test"]:
        cells = []
        for k, model, level in levels(seeing):
            values = [
                shown(threshold(found[split][form, period], k, level), units[form])
                for split in (judged if level == model.just_seen else ["test"])
                if (form, period) in found[split]
            ]
            cells.append(" / ".join(values))
        rows.append((form, str(period), *cells))
    header = ["form", "period", *(number_name(model, level) for _, model, level in levels(seeing))]
    return "Strength at which it is reached (development / test, or test).\n\n" + markdown_table(header, rows)


def correlations_table(judged: Sequence[Judged], forms: Sequence[str], seeing: Sequence[Model], ours: bool) -> str:
    """Spearman's correlation of strength and the models' numbers."""
    columns = {model.name: k for k, model in enumerate(seeing)}
    pairings = [("strength", name) for name in columns]
    if ours:
        columns["ours"] = len(seeing)
        pairings += [("ours", name) for name in ("strength", *list(columns)[:-1])]
    rows = []
    for form in forms:
        mine = [one for one in judged if one.form == form]
        within: list[dict[object, list[Judged]]] = [defaultdict(list) for _ in range(3)]
        for one in mine:
            for groups, key in zip(within, (form, one.period, one.content), strict=True):
                groups[key].append(one)
        # no order where a defect that cannot be scaled has one strength, or a model sees nothing at any strength
        graded = [list(groups.values()) for groups in within]
        cells = []
        for pairing in pairings:
            medians = [np.nanmedian([correlation(group, pairing, columns) for group in groups]) for groups in graded]
            cells.append("{:.2f} ({:.2f}; {:.2f})".format(*medians))
        rows.append((form, str(len(mine)), *cells))
    header = ("form", "test pairs", *(f"{a}, {b}" for a, b in pairings))
    return f"Rank correlation over all (median within a period; within a photo).\n\n{markdown_table(header, rows)}"


def correlation(group: Sequence[Judged], names: Sequence[str], columns: dict[str, int]) -> float:
    """Spearman's, between two of strength, the models' numbers and ours; nan where one of them never changes."""
    both = [[one.strength if name == "strength" else one.numbers[columns[name]] for one in group] for name in names]
    return float(spearmanr(*both).statistic) if all(len(set(one)) > 1 for one in both) else math.nan


def curves_table(
    judged: Sequence[Judged], forms: Sequence[str], seeing: Sequence[Model], unit: float, steps: Sequence[int]
) -> str:
    """Strength, to the nearest power of two -> the median number of each model."""
    rows = []
    for form in forms:
        mine = [(round(math.log2(max(one.strength, 1e-9) / unit)), one) for one in judged if one.form == form]
        for k, model in enumerate(seeing):
            there = [[one.numbers[k] for step, one in mine if step == wanted] for wanted in steps]
            rows.append((form, model.name, *(f"{np.median(n):.3f}" if n else "" for n in there)))
    return markdown_table(("test", "median", *(shown(2.0**step * unit, unit) for step in steps)), rows)
