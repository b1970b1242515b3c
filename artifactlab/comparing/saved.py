"""What earlier runs wrote, read back: diagnoses and scores, from JSON, CSV or the objects themselves."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from artifactlab.attribution import diagnosis
from artifactlab.attribution.diagnosis import Diagnosis
from artifactlab.errors import InputError
from artifactlab.inputs.image_files import by_stem
from artifactlab.inputs.regular_files import read_regular
from artifactlab.scoring import score_report
from artifactlab.scoring.measures import METRICS
from artifactlab.scoring.score_report import PLACE, ScoreReport

SETTINGS = ("inputs_sha256", "output", "crops", "seed", "period", "data_range")
"""Settings of a diagnosis that two must share to be compared."""
EXPECTED = "a diagnosis.json, what `score --format json`, `jsonl` or `csv` wrote, or a folder of images"

LARGEST = 1 << 30
"""Bytes of the largest file that is read: the scores of millions of images."""


@dataclass(frozen=True)
class Place:
    """Where an image is, and where in it the worst window."""

    path: str
    """The image file, as it was called when it was scored."""
    window: tuple[int, int, int] | None
    """Top, left and side of its worst window in pixels; None where no lattice was found in one."""


@dataclass(frozen=True)
class SavedScores:
    """What is compared of a score report."""

    source: str
    """The file or folder, for messages."""
    images: dict[str, dict[str, float | None]]
    """Score by file stem and metric."""
    metrics: tuple[str, ...]
    """Names of the metrics, in the order of the report."""
    unreadable: tuple[str, ...]
    """Paths of the images that could not be scored."""
    periods: tuple[int, ...] | None = None
    """Smallest and largest lattice spacing that was looked for; None where the file does not say."""
    files: dict[str, Place] = field(default_factory=dict)
    """Where each image is, by file stem."""
    reference: str | None = None
    """Folder that the images were compared with; None where there was none, or the file does not say."""


@dataclass(frozen=True)
class SavedDiagnosis:
    """What is compared of a diagnosis."""

    source: str
    """The file, for messages."""
    config: dict[str, Any]
    """The settings that produced the diagnosis, by `SETTINGS`."""
    output: dict[str, float]
    """What the outputs show, by the name of the metric."""
    grid: tuple[float, ...]
    """Severity of the grid in random halves of the crops."""
    steps: tuple[float, ...]
    """Severity of stair-steps in the same halves."""
    offenders: tuple[str, ...]
    """Keys of the guilty sites."""


Saved = SavedScores | SavedDiagnosis


def saved(given: Diagnosis | ScoreReport | str | Path) -> Saved:
    """What was measured, from a result or from the file it was written to.

    Raises:
        InputError: if the file cannot be read, is neither JSON nor CSV, was written by something else or by another
            version, or lacks what a comparison needs.
    """
    if isinstance(given, Diagnosis):
        return _from_data(given.to_dict(), "this Diagnosis")
    if isinstance(given, ScoreReport):
        return _from_data(given.to_dict(), "this ScoreReport")
    if not isinstance(given, (str, Path)):
        raise InputError(f"cannot compare a {type(given).__name__}: expected a Diagnosis, a ScoreReport, or a path")
    text = _text(Path(given))
    suffix = Path(given).suffix.lower()
    if suffix == ".csv":
        return _from_csv(text, str(given))
    if suffix == ".jsonl":
        return _from_lines(text, str(given))
    try:
        data = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise InputError(f"cannot read {str(given)!r}: it is no JSON ({error}); expected {EXPECTED}") from error
    return _from_data(data, str(given))


def _text(path: Path) -> str:
    try:
        return read_regular(path, LARGEST).decode("utf-8-sig", "surrogateescape")
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise InputError(f"cannot read {str(path)!r}: {why}; expected {EXPECTED}") from error


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON number")


def _from_data(data: Any, source: str) -> Saved:
    readers: dict[str, tuple[str, Callable[[Any, str], Saved]]] = {
        "sites": (diagnosis.SCHEMA_VERSION, _diagnosis),
        "images": (score_report.SCHEMA_VERSION, _scores),
    }
    ours = isinstance(data, dict) and isinstance(data.get("tool"), dict) and data["tool"].get("name") == "artifactlab"
    kind = next((kind for kind in readers if ours and kind in data), None)
    if kind is None:
        raise InputError(f"{source!r} holds neither a diagnosis nor scores; expected {EXPECTED}")
    version, read = readers[kind]
    if data.get("schema_version") != version:
        again = "diagnose" if kind == "sites" else "score"
        raise InputError(
            f"{source!r} was written by another version (schema {data.get('schema_version')}, this one reads"
            f" {version}); {again} again with this version"
        )
    try:
        return read(data, source)
    except InputError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{source!r} is damaged ({type(error).__name__}: {error}); write it again") from error


def _diagnosis(data: dict[str, Any], source: str) -> SavedDiagnosis:
    halves = {part: tuple(_number(value) for value in data["half_samples"][part]) for part in ("grid", "steps")}
    config = {name: data["config"][name] for name in SETTINGS}
    if not isinstance(config["crops"], int) or len(halves["grid"]) != len(halves["steps"]):
        raise ValueError("its crops or half-samples do not fit")
    return SavedDiagnosis(
        source=source,
        config=config,
        output={name: _number(data["output"][name]) for name in ("severity", "lattice_amplitude", "edge_jaggedness")},
        grid=halves["grid"],
        steps=halves["steps"],
        offenders=tuple(_key(site) for site in data["sites"] if site["verdict"] == "offender"),
    )


def _key(site: dict[str, Any]) -> str:
    """As `Site.key`."""
    return f"{site['name']}/{site['op']}#{site['call']}" if site["name"] else f"{site['op']}#{site['call']}"


def _scores(data: dict[str, Any], source: str) -> SavedScores:
    windows = [row.get("window") or {} for row in data["images"]]
    rows = [
        (_place(row["path"], window), row["scores"], row["error"])
        for row, window in zip(data["images"], windows, strict=True)
    ]
    config = data["config"]
    found = _paired_up(rows, tuple(config["metrics"]), source)
    return replace(found, periods=tuple(map(int, config["periods"])), reference=config.get("reference"))


def _from_lines(text: str, source: str) -> SavedScores:
    """Of JSON lines, one for each image."""
    try:
        # names may hold what ends a line elsewhere; JSON writes the only one that counts here as \\n
        data = [json.loads(line, parse_constant=_refuse_constant) for line in text.split("\n") if line.strip()]
        metrics = tuple(name for name in data[0]["scores"] if name in METRICS) if data else ()
        rows = [(_place(row["path"], row.get("window") or {}), row["scores"], row["error"]) for row in data]
        if not metrics:
            raise InputError(f"{source!r} holds no scores; expected {EXPECTED}")
        return _paired_up(rows, metrics, source)
    except InputError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise InputError(f"{source!r} is damaged ({type(error).__name__}: {error}); write it again") from error


def _from_csv(text: str, source: str) -> SavedScores:
    try:
        # names may hold what ends a line elsewhere: only the reader knows which are quoted
        reader = csv.DictReader(io.StringIO(text, newline=""))
        names = _metric_columns(reader, source)
        rows = [
            (
                _place(row["path"], {name: row.get(f"window_{name}") for name in PLACE}),
                {name: float(row[name]) if row[name] else None for name in names},
                row["error"] or None,
            )
            for row in reader
        ]
        return _paired_up(rows, names, source)
    except InputError:
        raise
    except (TypeError, ValueError, csv.Error) as error:
        raise InputError(f"{source!r} is damaged ({error}); write it again") from error


def _metric_columns(reader: csv.DictReader[str], source: str) -> tuple[str, ...]:
    names = tuple(name for name in reader.fieldnames or () if name in METRICS)
    if not names or not {"path", "error"} <= set(reader.fieldnames or ()):
        raise InputError(
            f"{source!r} holds no scores: expected the columns path, metrics and error; expected {EXPECTED}"
        )
    return names


def _place(path: str, window: Mapping[str, Any]) -> Place:
    """Where an image is; a window of which a number is missing is none."""
    numbers = [window.get(name) for name in PLACE]
    if None in numbers or "" in numbers:
        return Place(path, None)
    top, left, side = (int(number) for number in numbers if number is not None)
    return Place(path, (top, left, side))


def _paired_up(
    rows: Sequence[tuple[Place, Mapping[str, Any], Any]], metrics: tuple[str, ...], source: str
) -> SavedScores:
    files = by_stem([Path(place.path) for place, _, _ in rows], f"images in {source!r}")
    scores = {str(Path(place.path)): {name: _score(row[name]) for name in metrics} for place, row, _ in rows}
    places = {str(Path(place.path)): place for place, _, _ in rows}
    return SavedScores(
        source=source,
        images={stem: scores[str(file)] for stem, file in files.items()},
        metrics=metrics,
        unreadable=tuple(str(Path(place.path)) for place, _, error in rows if error is not None),
        files={stem: places[str(file)] for stem, file in files.items()},
    )


def _score(value: Any) -> float | None:
    return None if value is None else _number(value)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError(f"{value!r} is no finite number")
    return float(value)
