"""Images to scores: how bad are these outputs, and is any of them worse than a gate allows?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from artifactlab.errors import InputError, first_line
from artifactlab.inputs.images import MAX_PIXELS
from artifactlab.inputs.sources import Selection, find_sources
from artifactlab.metrics.spectral_search import PERIODS
from artifactlab.scoring.engines import Engine, engine_of
from artifactlab.scoring.gates import Gate, parse_gate
from artifactlab.scoring.measures import METRICS, check_known
from artifactlab.scoring.other_files import refuse_sounds
from artifactlab.scoring.pairing import paired
from artifactlab.scoring.report_of_rows import report_of
from artifactlab.scoring.rows import Job
from artifactlab.scoring.runs import scored_in_memory, scored_into
from artifactlab.scoring.score_report import ImageScore, ScoreReport, ScoreSettings
from artifactlab.scoring.store import Store, newest_rows
from artifactlab.scoring.store_rows import Settings
from artifactlab.scoring.verdict import DEFAULT_GATES

SHOWS = "shows"
"""The gate that stands for `DEFAULT_GATES`."""


def score_images(
    paths: Sequence[str | Path],
    reference: str | Path | None = None,
    metrics: Sequence[str] | None = None,
    *,
    recursive: bool = False,
    gates: Sequence[Gate | str] = (),
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
    max_pixels: int = MAX_PIXELS,
    device: str = "cpu",
    column: str | None = None,
    reference_column: str | None = None,
    every: int | None = None,
    common: bool = False,
    store: str | Path | None = None,
    resume: bool = False,
    engine: str | Engine = "processes",
) -> ScoreReport:
    """Score images, one at a time.

    Args:
        paths: files, folders, glob patterns and URLs; shards, tables, manifests, videos, stacks and volumes stand for
            the images in them, see `artifactlab.inputs.find_sources`.
        reference: folder, or anything else of these, of what the images should look like; paired with them by relative
            path where both trees are alike, and otherwise by file stem.
        metrics: names from `METRICS`; by default all, those that need a reference only where there is one.
        recursive: look into folders inside folders, here and in `reference`.
        gates: conditions no image may meet, as `Gate` or as text, see `parse_gate`; the word "shows" stands for those
            that `ImageScore.verdict` is made of, `DEFAULT_GATES`.
        workers: processes, at most one per core; the scores do not depend on it. With more than one, a script that
            calls this needs its `if __name__ == "__main__":` line.
        progress: called with (images done, images in all) after each image.
        max_pixels: larger images are refused by their headers, before there is memory taken for them.
        device: where the sums are taken, as torch names it; images are read on the CPU, and sent there tile by tile.
        column: of tables and manifests, that of the images; of shards, the ending of their members (`out.png`). By
            default the only one that looks like it.
        reference_column: likewise, of what the images should look like.
        every: each how manieth frame, page or slice is taken; by default one frame per second, and all pages and
            slices.
        common: score only images that have a reference, and leave other references out; else both must be complete.
        store: folder to which each row is added as soon as it is there, so that nothing is lost however this ends; the
            report's rows are read from it, and need no memory. It may be shared by several runs and machines.
        resume: leave out the images whose rows are in the store, if their content, the metrics and the version are the
            same; those with an error are tried again.
        engine: what makes the rows: a name from `ENGINES`, `ray` for a cluster, or a function as they are.

    Returns:
        A row per image. One that cannot be scored (unreadable, too large, smaller than 16 pixels, of another size than
        its reference, killing the process that scores it) is a row with an error; the others are scored all the same.

    Raises:
        InputError: before anything is scored, if there is no image, a metric, a gate or the engine is unknown, a
            metric lacks its reference, images and references cannot be paired one to one, there is no such device, or
            the store cannot be written; afterwards, if its disk is full.
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
    names = chosen_metrics(metrics, reference if reference_column is None else reference_column)
    conditions = _checked_gates(gates, names)
    if workers < 1:
        raise InputError(f"workers must be at least 1, got {workers}")
    if max_pixels < 1:
        raise InputError(f"max_pixels must be at least 1, got {max_pixels}")
    if every is not None and every < 1:
        raise InputError(f"every must be at least 1, got {every}")
    if reference is not None and reference_column is not None:
        raise InputError("a reference and a column of references contradict each other; give one of them")
    if resume and store is None:
        raise InputError("resume goes on with what a store has; say which with --store / store=")
    make_rows = engine_of(engine)
    _refuse_unusable(device)
    wanted = reference if reference is not None else reference_column
    settings = Settings(names, None if wanted is None else str(wanted), max_pixels)
    kept = None if store is None else Store(store, settings)
    refuse_sounds(paths)
    selection = Selection(recursive, column, reference_column, every)
    pairs = paired(find_sources(paths, selection), reference, selection, common)
    jobs = [Job(source, partner, names, max_pixels, device) for source, partner in pairs]
    told = progress or _nobody
    if kept is None:
        images: Sequence[ImageScore] = scored_in_memory(make_rows, jobs, workers, told)
    else:
        images = scored_into(kept, make_rows, jobs, workers, told, resume)
    config = ScoreSettings(
        paths=[str(path) for path in paths],
        reference=None if reference is None else str(reference),
        metrics=list(names),
        recursive=recursive,
        column=column,
        reference_column=reference_column,
        every=every,
        gates=[str(gate) for gate in conditions],
        periods=[PERIODS[0], PERIODS[-1]],
    )
    return report_of(images, conditions, config)


def _refuse_unusable(device: str) -> None:
    """Raise an InputError if no tensor can be made on a device."""
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:  # torch raises each, as it was built
        raise InputError(f"cannot use device {device!r}: {first_line(error)}; leave it out for the CPU") from error


def stored_scores(store: str | Path, gates: Sequence[Gate | str] = ()) -> ScoreReport:
    """The report of what a store has, without scoring anything: the newest row of each image, by name.

    Args:
        store: folder that `score_images` was given.
        gates: as there.

    Returns:
        The report, whose rows are read from the store when they are looked at. Rows of other settings than the newest
        row's are left out, and so are lines that a kill has torn; both is logged.

    Raises:
        InputError: if there are no rows, they cannot be read, or a gate is on a metric that they lack.

    >>> import tempfile, cv2, numpy
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "flat.png").write_bytes(cv2.imencode(".png", numpy.zeros((16, 16), "uint8"))[1])
    >>> _ = score_images([folder], metrics=["axis_excess"], store=folder / "rows")
    >>> [Path(image.path).name for image in stored_scores(folder / "rows").images]
    ['flat.png']
    """
    settings, images = newest_rows(store)
    names = settings.metrics
    for name in names:
        check_known(name, f" in the store {str(store)!r}")
    conditions = _checked_gates(gates, names)
    config = ScoreSettings(
        paths=[str(store)],
        reference=settings.reference,
        metrics=list(names),
        recursive=False,
        column=None,
        reference_column=None,
        every=None,
        gates=[str(gate) for gate in conditions],
        periods=list(settings.periods),
    )
    return report_of(images, conditions, config)


def _nobody(done: int, total: int) -> None:
    """Who is told of progress where nobody asked."""


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
