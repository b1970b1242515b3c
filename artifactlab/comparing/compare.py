"""Is it gone: two measurements of the same things, before and after a remedy -> better, worse, or cannot tell."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from artifactlab.attribution.diagnosis import Diagnosis
from artifactlab.attribution.repair.effects import CONFIDENCE
from artifactlab.comparing.changes import (
    DIAGNOSIS_METRICS,
    crop_change,
    overall,
    score_change,
    verdict_text,
)
from artifactlab.comparing.comparison import Comparison, ComparisonSettings
from artifactlab.comparing.image_pairs import image_pairs
from artifactlab.comparing.saved import Saved, SavedDiagnosis, SavedScores, saved
from artifactlab.errors import InputError
from artifactlab.inputs.image_files import by_stem, find_images, refuse_names
from artifactlab.scoring.measures import METRICS, check_known
from artifactlab.scoring.pairing import COMMON
from artifactlab.scoring.score import score_images
from artifactlab.scoring.score_report import ScoreReport
from artifactlab.scoring.severity import VISIBLE

Measured = Diagnosis | ScoreReport | str | Path
Progress = Callable[[int, int], None]


def compare(
    before: Measured,
    after: Measured,
    *,
    metrics: Sequence[str] | None = None,
    reference: str | Path | None = None,
    common: bool = False,
    workers: int = 1,
    seed: int = 0,
    progress: Progress | None = None,
) -> Comparison:
    """Tell whether a remedy worked, from what was measured before and after it, pair by pair.

    Scores are paired by file stem, and their mean change gets an interval for other such images. Diagnoses of the same
    inputs are compared on the same halves of the same crops. A change is called one only if the interval excludes none;
    where several metrics are judged, intervals are widened until they hold all at once (Bonferroni).

    Args:
        before, after: two `Diagnosis` or two `ScoreReport`, paths of the JSON (of scores also JSON lines or CSV) or the
            report's folder that they were written to, or folders of images, which are scored.
        metrics: names; by default all that both have.
        reference: what the images in the folders should look like, paired by file stem; see `score_images`.
        common: compare only the images that both sides have; else both must have the same.
        workers: processes that score folders.
        seed: of the resamples.
        progress: called with (images done, images in all) while folders are scored.

    Returns:
        A `Comparison`; its `verdict` is `better`, `worse` or `cannot tell`.

    Raises:
        InputError: if the two cannot be compared: another kind, other images or inputs, other settings, a file that is
            none of ours or of an older version.

    >>> from artifactlab.scoring import ImageScore, ScoreReport
    >>> def report(scores):
    ...     rows = tuple(ImageScore(f"{n}.png", {"edge_jaggedness": x}, None) for n, x in enumerate(scores))
    ...     return ScoreReport(rows, {}, None, {"metrics": ["edge_jaggedness"], "periods": [2, 16]})
    >>> outcome = compare(report([0.5, 0.6, 0.4, 0.5, 0.6, 0.5]), report([0.0, 0.1, 0.0, 0.0, 0.0, 0.1]))
    >>> print(outcome.text)
    Better: edge_jaggedness fell from 0.517 to 0.0333 (by 0.483, 90% interval 0.421 to 0.556).
    """
    first, second = _sides(before, after, metrics, reference, common, workers, progress)
    config: ComparisonSettings = {
        "before": first.source,
        "after": second.source,
        "reference": None if reference is None else str(reference),
        "seed": seed,
        "metrics": [],
    }
    if isinstance(first, SavedScores) and isinstance(second, SavedScores):
        return compare_scores(*(_shared(first, second) if common else (first, second)), metrics, config)
    if isinstance(first, SavedDiagnosis) and isinstance(second, SavedDiagnosis):
        return compare_diagnoses(first, second, metrics, config)
    raise InputError(
        f"cannot compare a diagnosis with scores ({first.source!r}, {second.source!r}); give two of a kind"
    )


def compare_scores(
    before: SavedScores, after: SavedScores, metrics: Sequence[str] | None, config: ComparisonSettings
) -> Comparison:
    """Compare the scores of images in pairs; `config` is completed by the metrics."""
    if None not in (before.periods, after.periods) and before.periods != after.periods:
        raise InputError(f"scored for periods {before.periods} and {after.periods}; score both with one version")
    _refuse_unpaired([(side.source, set(side.images)) for side in (before, after)])
    common = [name for name in before.metrics if name in after.metrics]
    if metrics is None:
        _refuse_unknown(common, before, after)
    names = _chosen(metrics, [name for name in common if name in METRICS and METRICS[name].better])
    _refuse_other_references(before, after, names)
    level = _level(names)
    found = []
    for name in names:
        pairs = [(before.images[stem][name], after.images[stem][name]) for stem in before.images]
        found.append(score_change(name, pairs, level, config["seed"]))
    return Comparison(
        kind="scores",
        verdict=overall(found),
        text=verdict_text(found, found),
        metrics=tuple(found),
        confidence=CONFIDENCE,
        offenders_gone=(),
        offenders_new=(),
        unreadable=tuple(sorted({*before.unreadable, *after.unreadable})),
        config={**config, "metrics": names},
        images=image_pairs(before, after, names),
    )


def compare_diagnoses(
    before: SavedDiagnosis, after: SavedDiagnosis, metrics: Sequence[str] | None, config: ComparisonSettings
) -> Comparison:
    """Compare the same halves of the crops of the same inputs' outputs; `config` is completed by the metrics."""
    _refuse_unlike(before, after)
    names = _chosen(metrics, list(DIAGNOSIS_METRICS))
    # severity holds the other two, so it alone decides, and needs no correction for several metrics
    primary = ["severity"] if "severity" in names else names
    found = [crop_change(name, before, after, _level(primary)) for name in names]
    deciding = [metric for metric in found if metric.name in primary]
    gone = primary == ["severity"] and overall(deciding) == "better" and after.output["severity"] < VISIBLE
    return Comparison(
        kind="diagnoses",
        verdict=overall(deciding),
        text=verdict_text(deciding, found) + (" Nothing is left that shows." if gone else ""),
        metrics=tuple(found),
        confidence=CONFIDENCE,
        offenders_gone=tuple(key for key in before.offenders if key not in after.offenders),
        offenders_new=tuple(key for key in after.offenders if key not in before.offenders),
        unreadable=(),
        config={**config, "metrics": names},
    )


def _sides(
    before: Measured,
    after: Measured,
    metrics: Sequence[str] | None,
    reference: str | Path | None,
    common: bool,
    workers: int,
    progress: Progress | None,
) -> tuple[Saved, Saved]:
    """Both sides as they were saved; files are read before folders are scored, which takes longer."""
    before, after = (_report_in(side) for side in (before, after))
    folders = [isinstance(side, (str, Path)) and Path(side).is_dir() for side in (before, after)]
    if reference is not None and not any(folders):
        raise InputError("a reference is for folders of images, which are scored; scores and diagnoses have theirs")
    images: dict[str, list[Path]] = {}
    if all(folders):
        named = [by_stem(find_images([str(side)]), f"images in {str(side)!r}") for side in (before, after)]
        both = named[0].keys() & named[1].keys()
        if common and both:  # the others need not be scored
            images = {str(s): [stems[k] for k in sorted(both)] for s, stems in zip((before, after), named, strict=True)}
        else:
            _refuse_unpaired([(str(side), set(stems)) for side, stems in zip((before, after), named, strict=True)])
    read = [None if folder else saved(side) for side, folder in zip((before, after), folders, strict=True)]
    found: list[Saved] = []
    for side, ready in zip((before, after), read, strict=True):
        if ready is None:
            wanted = images.get(str(side), [str(side)])
            needed = reference is not None and common
            report = score_images(wanted, reference, metrics, common=needed, workers=workers, progress=progress)
            ready = replace(saved(report), source=str(side))
        found.append(ready)
    return found[0], found[1]


def _shared(before: SavedScores, after: SavedScores) -> tuple[SavedScores, SavedScores]:
    """Both sides with the images alone that both have; as they are where that is none, which is refused."""
    both = before.images.keys() & after.images.keys()
    if not both:
        return before, after
    first, second = (
        replace(side, images={stem: scores for stem, scores in side.images.items() if stem in both})
        for side in (before, after)
    )
    return first, second


def _report_in(side: Measured) -> Measured:
    """The diagnosis in the folder that `diagnose -o` made; anything else is left as it is."""
    inside = Path(side) / "diagnosis.json" if isinstance(side, (str, Path)) else None
    return inside if inside is not None and inside.is_file() else side


def _chosen(metrics: Sequence[str] | None, available: list[str]) -> list[str]:
    """The metrics to compare, each once."""
    names = [metrics] if isinstance(metrics, str) else list(dict.fromkeys(available if metrics is None else metrics))
    for name in names:
        if name not in available:
            if name not in DIAGNOSIS_METRICS:
                check_known(name)
            raise InputError(f"{name} is not in both; they have {', '.join(available) or 'no metric in common'}")
    if not names:
        raise InputError("there is no metric that both have; score both sides with the same --metric")
    return names


def _refuse_unknown(names: Sequence[str], before: SavedScores, after: SavedScores) -> None:
    """Which way a metric gets better is known only where the package that it is of is installed."""
    for name in names:
        check_known(name, f", which both {before.source!r} and {after.source!r} have: install the package it is of")


def _level(names: Sequence[str]) -> float:
    """Confidence level of single intervals that hold all at once with `CONFIDENCE` (Bonferroni)."""
    return 1 - (1 - CONFIDENCE) / len(names)


def _refuse_unpaired(sides: Sequence[tuple[str, set[str]]]) -> None:
    """Each image needs its partner on the other side; (source, stems) before and after."""
    everything = sides[0][1] | sides[1][1]
    for when, (source, stems) in zip(("before", "after"), sides, strict=True):
        missing = sorted(everything - stems)
        refuse_names(missing, f"both sides need images of the same names ({COMMON}); missing {when}, in {source!r}")


def _refuse_other_references(before: SavedScores, after: SavedScores, names: Sequence[str]) -> None:
    """What is measured against a reference says something of the images only if that is the same."""
    needing = [name for name in names if METRICS[name].needs_reference]
    known = None not in (before.reference, after.reference)
    if needing and known and Path(str(before.reference)).resolve() != Path(str(after.reference)).resolve():
        raise InputError(
            f"{needing[0]} was scored against {before.reference!r} and {after.reference!r}: score both against one"
            " reference, or name the other metrics with --metric / metrics="
        )


def _refuse_unlike(before: SavedDiagnosis, after: SavedDiagnosis) -> None:
    """Only what was measured alike can be compared in pairs."""
    remedies = {
        "inputs_sha256": ("inputs", "diagnose both models on the same images, crop and range"),
        "output": ("outputs of the model", "diagnose both with the same --output"),
        "crops": ("numbers of crops", "the outputs must be of one size"),
        "seed": ("seeds", "diagnose both with the same --seed"),
        "period": ("lattices", "the sites of the two models have other periods: compare scores of their outputs"),
        "data_range": ("data ranges", "give both the same data_range; without one it is read off the outputs"),
    }
    for name, (what, remedy) in remedies.items():
        one, other = before.config[name], after.config[name]
        if one != other:
            values = "" if name == "inputs_sha256" else f" ({_short(one)} and {_short(other)})"
            raise InputError(f"cannot compare diagnoses of different {what}{values}: {remedy}")
    if len(before.grid) != len(after.grid):
        raise InputError("cannot compare diagnoses with different numbers of half-samples; diagnose both again")


def _short(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
