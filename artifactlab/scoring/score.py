"""Images to scores: how bad are these outputs, and is any of them worse than a gate allows?"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from artifactlab.errors import InputError
from artifactlab.inputs.image_files import find_images
from artifactlab.inputs.images import MAX_PIXELS
from artifactlab.metrics.spectral_search import PERIODS
from artifactlab.scoring.engines import Engine, engine_of
from artifactlab.scoring.gates import Gate, gate_failures, parse_gate
from artifactlab.scoring.measures import METRICS, check_known
from artifactlab.scoring.other_files import refuse_others
from artifactlab.scoring.pairing import paired
from artifactlab.scoring.rows import Job
from artifactlab.scoring.score_report import ImageScore, ScoreReport
from artifactlab.scoring.verdict import DEFAULT_GATES

SHOWS = "shows"
"""The gate that stands for `DEFAULT_GATES`."""


def score_images(
    paths: Sequence[str | Path],
    reference: str | Path | None = None,
    metrics: Sequence[str] | None = None,
    recursive: bool = False,
    gates: Sequence[Gate | str] = (),
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
    max_pixels: int = MAX_PIXELS,
    engine: str | Engine = "processes",
) -> ScoreReport:
    """Score image files, one at a time.

    Args:
        paths: files, folders and glob patterns, see `find_images`.
        reference: folder of what the images should look like, paired with them by file stem.
        metrics: names from `METRICS`; by default all, those that need a reference only where there is one.
        recursive: look into folders inside folders, here and in `reference`.
        gates: conditions no image may meet, as `Gate` or as text, see `parse_gate`; the word "shows" stands for those
            that `ImageScore.verdict` is made of, `DEFAULT_GATES`.
        workers: processes, at most one per core; the scores do not depend on it. With more than one, a script that
            calls this needs its `if __name__ == "__main__":` line.
        progress: called with (images done, images in all) after each image.
        max_pixels: larger images are refused by their headers, before there is memory taken for them.
        engine: what makes the rows: a name from `ENGINES`, `ray` for a cluster, or a function as they are.

    Returns:
        A row per image. One that cannot be scored (unreadable, too large, smaller than 16 pixels, of another size than
        its reference, killing the process that scores it) is a row with an error; the others are scored all the same.

    Raises:
        InputError: before anything is scored, if there is no image, a metric, a gate or the engine is unknown, a
            metric lacks its reference, or images and references cannot be paired one to one.
        ArtifactLabError: if no worker process can be started.

    >>> import tempfile, cv2, numpy
    >>> folder = Path(tempfile.mkdtemp())
    >>> stairs = numpy.tri(32, dtype="uint8").repeat(4, 0).repeat(4, 1) * 255
    >>> _ = (folder / "stairs.png").write_bytes(cv2.imencode(".png", stairs)[1])
    >>> report = score_images([folder], gates=["severity>1"])
    >>> report.passed, report.images[0].verdict
    (False, 'shows')
    """
    paths = [paths] if isinstance(paths, (str, Path)) else paths
    names = chosen_metrics(metrics, reference)
    conditions = _checked_gates(gates, names)
    if workers < 1:
        raise InputError(f"workers must be at least 1, got {workers}")
    if max_pixels < 1:
        raise InputError(f"max_pixels must be at least 1, got {max_pixels}")
    make_rows = engine_of(engine)
    files = find_images(paths, recursive)
    refuse_others(files)
    jobs = [Job(source, partner, names, max_pixels) for source, partner in paired(files, reference, recursive)]
    images = []
    with make_rows(jobs, workers) as rows:
        for image in rows:
            images.append(_refused_if_unmeasured(image, conditions))
            if progress is not None:
                progress(len(images), len(jobs))
    failures = gate_failures(((image.path, image.scores) for image in images), conditions)
    everything_scored = all(image.error is None for image in images)
    return ScoreReport(
        images=tuple(images),
        summary={name: _summary([image.scores[name] for image in images]) for name in names},
        passed=everything_scored and not failures if conditions else None,
        config={
            "paths": [str(path) for path in paths],
            "reference": None if reference is None else str(reference),
            "metrics": list(names),
            "recursive": recursive,
            "gates": [str(gate) for gate in conditions],
            "periods": [PERIODS[0], PERIODS[-1]],
        },
        failures=failures,
    )


def _refused_if_unmeasured(image: ImageScore, gates: Sequence[Gate]) -> ImageScore:
    """The row; an error where a gate asks for a score that the image is too small to have."""
    unmeasured = [gate.metric for gate in gates if image.scores[gate.metric] is None]
    if image.error is not None or not unmeasured:
        return image
    return replace(image, error=f"cannot tell {unmeasured[0]}, which a gate asks for: too small, or too little content")


def chosen_metrics(metrics: Sequence[str] | None, reference: str | Path | None) -> tuple[str, ...]:
    """The metrics to measure, each once."""
    if metrics is None:
        return tuple(name for name, metric in METRICS.items() if reference is not None or not metric.needs_reference)
    names = (metrics,) if isinstance(metrics, str) else tuple(dict.fromkeys(metrics))
    if not names:
        raise InputError(f"no metrics were given; name some of {', '.join(METRICS)}, or leave the choice out for all")
    for name in names:
        check_known(name)
        if METRICS[name].needs_reference and reference is None:
            raise InputError(f"{name} needs a reference; give the folder with --reference / reference=")
    return names


def _checked_gates(gates: Sequence[Gate | str], names: tuple[str, ...]) -> tuple[Gate, ...]:
    """The gates, each on a metric that is measured."""
    given = [gates] if isinstance(gates, (str, Gate)) else gates
    parsed: list[Gate] = []
    for gate in given:
        parsed += DEFAULT_GATES if gate == SHOWS else [parse_gate(gate) if isinstance(gate, str) else gate]
    parsed = list(dict.fromkeys(parsed))
    for gate in parsed:
        if gate.metric not in names:
            hint = "give a reference" if METRICS[gate.metric].needs_reference else f"add --metric {gate.metric}"
            raise InputError(f"the gate {str(gate)!r} is on a metric that is not measured ({', '.join(names)}); {hint}")
    return tuple(parsed)


def _summary(scores: Sequence[float | None]) -> dict[str, float | None]:
    known = [score for score in scores if score is not None]
    if not known:
        return {"mean": None, "median": None, "min": None, "max": None, "count": 0}
    return {
        "mean": statistics.fmean(known),
        "median": statistics.median(known),
        "min": min(known),
        "max": max(known),
        "count": len(known),
    }
