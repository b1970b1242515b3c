"""Images to scores: how bad are these outputs, and is any of them worse than a gate allows?"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import torch

from artifactlab.errors import InputError, first_line
from artifactlab.inputs.image_files import by_stem, find_images, refuse_names
from artifactlab.inputs.images import MAX_PIXELS, MIN_SIDE, Picture, open_picture
from artifactlab.metrics.spectral_search import PERIODS
from artifactlab.scoring.gates import Gate, gate_failures, parse_gate
from artifactlab.scoring.measures import METRICS, check_known, measure
from artifactlab.scoring.other_files import refuse_others
from artifactlab.scoring.score_report import ImageScore, ScoreReport
from artifactlab.scoring.workers import map_in_processes, usable_cores

Job = tuple[Path, "Path | None", tuple[str, ...], int]
"""An image, its reference, and the metrics."""
JPEG_BLOCK = 8
"""Pixels per side of the blocks that a JPEG is coded in (ITU-T T.81)."""
JPEG_NOTE = "period 8 is that of JPEG's own blocks, too: score the image before it is compressed"


def score_images(
    paths: Sequence[str | Path],
    reference: str | Path | None = None,
    metrics: Sequence[str] | None = None,
    recursive: bool = False,
    gates: Sequence[Gate | str] = (),
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
    max_pixels: int = MAX_PIXELS,
) -> ScoreReport:
    """Score image files, one at a time.

    Args:
        paths: files, folders and glob patterns, see `find_images`.
        reference: folder of what the images should look like, paired with them by file stem.
        metrics: names from `METRICS`; by default all, those that need a reference only where there is one.
        recursive: look into folders inside folders, here and in `reference`.
        gates: conditions no image may meet, as `Gate` or as text, see `parse_gate`.
        workers: processes, at most one per core; the scores do not depend on it. With more than one, a script that
            calls this needs its `if __name__ == "__main__":` line.
        progress: called with (images done, images in all) after each image.
        max_pixels: larger images are refused by their headers, before there is memory taken for them.

    Returns:
        A row per image. One that cannot be scored (unreadable, too large, smaller than 16 pixels, of another size than
        its reference, killing the process that scores it) is a row with an error; the others are scored all the same.

    Raises:
        InputError: before anything is scored, if there is no image, a metric or a gate is unknown or lacks its
            reference, or images and references cannot be paired one to one.
        ArtifactLabError: if no worker process can be started.

    >>> import tempfile, cv2, numpy
    >>> folder = Path(tempfile.mkdtemp())
    >>> stairs = numpy.tri(32, dtype="uint8").repeat(4, 0).repeat(4, 1) * 255
    >>> _ = (folder / "stairs.png").write_bytes(cv2.imencode(".png", stairs)[1])
    >>> report = score_images([folder], gates=["edge_jaggedness>0.3"])
    >>> report.passed, report.failures[0].score > 0.5
    (False, True)
    """
    paths = [paths] if isinstance(paths, (str, Path)) else paths
    names = _chosen_metrics(metrics, reference)
    conditions = _checked_gates(gates, names)
    if workers < 1:
        raise InputError(f"workers must be at least 1, got {workers}")
    if max_pixels < 1:
        raise InputError(f"max_pixels must be at least 1, got {max_pixels}")
    files = find_images(paths, recursive)
    refuse_others(files)
    jobs = [(file, partner, names, max_pixels) for file, partner in _paired_files(files, reference, recursive)]
    images = []
    with _scores(jobs, min(workers, len(jobs), usable_cores())) as scores:
        for image in scores:
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


def _chosen_metrics(metrics: Sequence[str] | None, reference: str | Path | None) -> tuple[str, ...]:
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
    parsed = tuple(parse_gate(gate) if isinstance(gate, str) else gate for gate in given)
    for gate in parsed:
        if gate.metric not in names:
            hint = "give a reference" if METRICS[gate.metric].needs_reference else f"add --metric {gate.metric}"
            raise InputError(f"the gate {str(gate)!r} is on a metric that is not measured ({', '.join(names)}); {hint}")
    return parsed


def _paired_files(files: list[Path], reference: str | Path | None, recursive: bool) -> list[tuple[Path, Path | None]]:
    """Each image with the reference of the same stem."""
    if reference is None:
        return [(file, None) for file in files]
    # a folder among the images is one that could not be looked into, which its row says
    found = find_images([reference], recursive)
    refuse_names([str(path) for path in found if path.is_dir()], "cannot look into the references' folders")
    ours, theirs = by_stem([file for file in files if not file.is_dir()], "images"), by_stem(found, "references")
    refuse_names(sorted(ours.keys() - theirs.keys()), f"no reference in {str(reference)!r} for the images")
    refuse_names(sorted(theirs.keys() - ours.keys()), f"no image for the references in {str(reference)!r}")
    return [(file, theirs.get(file.stem)) for file in files]


@contextmanager
def _scores(jobs: Sequence[Job], workers: int) -> Iterator[Iterator[ImageScore]]:
    """The rows, made here or in worker processes, with one torch thread each, so that the sums are the same."""
    if workers > 1:
        with closing(map_in_processes(_score_image, jobs, workers, _lost)) as scores:
            yield scores
        return
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield map(_score_image, jobs)
    finally:
        torch.set_num_threads(threads)


def _lost(job: Job) -> ImageScore:
    """The row of an image at which two worker processes died."""
    file, _, names, _ = job
    error = f"image {str(file)!r}: its worker process was killed, twice; out of memory? try --workers 1 / workers=1"
    return ImageScore(str(file), dict.fromkeys(names), error)


def _score_image(job: Job) -> ImageScore:
    """One row, whatever happens; nothing of the image outlives it."""
    file, _, names, _ = job
    try:
        return _scored(*job)
    except InputError as error:
        why = str(error)
    except MemoryError:
        why = f"there is not enough memory for image {str(file)!r}; score a crop of it"
    except Exception as error:  # a defect of ours must not lose the other rows
        why = f"cannot score image {str(file)!r}: unexpected {type(error).__name__}: {first_line(error)}"
    return ImageScore(str(file), dict.fromkeys(names), why)


def _scored(file: Path, partner: Path | None, names: tuple[str, ...], max_pixels: int) -> ImageScore:
    picture = open_picture(file, max_pixels)
    reference = None if partner is None else open_picture(partner, max_pixels)
    _check_sizes(picture, reference, file, partner)
    scores = measure(picture, reference, names)
    may_be_jpegs_own = picture.jpeg and scores.get("period") == JPEG_BLOCK
    notes = [picture.note, JPEG_NOTE if may_be_jpegs_own else None]
    return ImageScore(str(file), scores, None, "; ".join(filter(None, notes)) or None)


def _check_sizes(picture: Picture, reference: Picture | None, file: Path, partner: Path | None) -> None:
    height, width = picture.size
    if min(height, width) < MIN_SIDE:
        raise InputError(
            f"image {str(file)!r} is too small: {width}x{height} pixels, the minimum is {MIN_SIDE}x{MIN_SIDE}"
        )
    if reference is not None and reference.size != picture.size:
        raise InputError(
            f"image {str(file)!r} has {width}x{height} pixels, its reference {str(partner)!r} "
            f"{reference.size[1]}x{reference.size[0]}; they must be of one size"
        )


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
