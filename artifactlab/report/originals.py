"""The images that a report is of, as far as they are still there, and what each should look like."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import suppress

from artifactlab.errors import InputError
from artifactlab.inputs.images import MAX_PIXELS, Picture
from artifactlab.inputs.sources import Entry, ImageFile, Selection, Source, find_sources
from artifactlab.inputs.sources.named import source_named
from artifactlab.report.browsing import common_folder
from artifactlab.scoring.pairing import paired
from artifactlab.scoring.score_report import ScoreReport


def opened(source: Source | None) -> Picture | None:
    """An image's pixels; None where it is not there any more, or cannot be read."""
    with suppress(InputError):
        return None if source is None else source.open(MAX_PIXELS)
    return None


def opened_by_name(name: str) -> Picture | None:
    """The pixels of the image that a row is called by; None where it is not there any more, or cannot be read."""
    with suppress(InputError):
        return opened(source_named(name))
    return None


def originals_of(report: ScoreReport) -> Callable[[str], tuple[Source | None, Source | None]]:
    """What finds, by its row's path, an image of a report and what it should look like; None of what is gone.

    Both are looked for as they were when they were scored. Where that finds nothing (rows of a store, whose paths
    nobody kept), images are found by their names, and their references by where they lie, or else by their stems.
    """
    found = _as_scored(report)
    references = {} if found or not report.config.get("reference") else _references(report)

    def original(path: str) -> tuple[Source | None, Source | None]:
        if path in found:
            return found[path]
        with suppress(InputError):
            return source_named(path), references.get(path)
        return None, None

    return original


def _as_scored(report: ScoreReport) -> dict[str, Entry]:
    """Images and references by the same rules as `score_images`; nothing where they are no pairs any more."""
    config = report.config
    columns = config.get("column"), config.get("reference_column"), config.get("every")
    selection = Selection(config.get("recursive", False), *columns)
    with suppress(InputError):
        entries = find_sources(config.get("paths", []), selection)
        return {entry.source.name: entry for entry in paired(entries, config.get("reference"), selection)}
    return {}


def _references(report: ScoreReport) -> dict[str, Source]:
    """What the images should look like, by their paths; nothing where a stem is that of two."""
    root = common_folder([image.path for image in report.images])
    images = {image.path: ImageFile(image.path, root) for image in report.images}
    with suppress(InputError):
        sources = [entry.source for entry in find_sources([str(report.config["reference"])], Selection(recursive=True))]
        places = {source.relative: source for source in sources}
        count = Counter(source.stem for source in sources)
        stems = {source.stem: source for source in sources if count[source.stem] == 1}
        partners = {path: places.get(image.relative) or stems.get(image.stem) for path, image in images.items()}
        return {path: partner for path, partner in partners.items() if partner is not None}
    return {}
