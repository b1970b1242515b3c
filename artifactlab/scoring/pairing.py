"""Each image with what it should look like."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

from artifactlab.errors import InputError
from artifactlab.inputs.image_files import refuse_names
from artifactlab.inputs.sources import Entry, Selection, Source, find_sources
from artifactlab.inputs.sources.source import Unreadable

Key = Callable[[Source], str]
COMMON = "--common / common=True leaves them out"
"""What helps where one side has more images than the other."""


def paired(
    entries: Sequence[Entry], reference: str | Path | None, selection: Selection, common: bool = False
) -> Sequence[Entry]:
    """Each image with its reference: that of its own row or sample, or of those that `reference` names.

    These are paired by where they lie where both trees are alike, and otherwise by stem. Where only what is `common`
    is wanted, images without a reference are left out.

    Raises:
        InputError: if images and references cannot be paired one to one; where `common`, if none can.
    """
    if common and reference is None:
        raise InputError("common is for images with a reference; give it with --reference / reference=")
    if selection.reference_column is not None:
        alone = [entry.source.name for entry in entries if entry.reference is None]
        refuse_names(alone, f"no column {selection.reference_column!r} for the images")
        return entries
    if reference is None:
        return entries
    found = [entry.source for entry in find_sources([reference], Selection(selection.recursive, every=selection.every))]
    # what cannot be looked into or is damaged is among the images, as its row says so
    refuse_names([source.name for source in found if _is_closed(source)], "cannot look into the references' folders")
    images = [entry.source for entry in entries if not _is_closed(entry.source)]
    key = _key(images, found)
    ours, theirs = _by_key(images, key, "images"), _by_key(found, key, "references")
    alone, idle = sorted(ours.keys() - theirs.keys()), sorted(theirs.keys() - ours.keys())
    if common and ours.keys() & theirs.keys():
        entries = [entry for entry in entries if _is_closed(entry.source) or key(entry.source) in theirs]
    else:
        refuse_names(alone, f"no reference in {str(reference)!r} for the images")
        refuse_names(idle, f"no image ({COMMON}) for the references in {str(reference)!r}")
    return [Entry(entry.source, theirs.get(key(entry.source))) for entry in entries]


def _relative(source: Source) -> str:
    return source.relative


def _stem(source: Source) -> str:
    return source.stem


def _key(images: Sequence[Source], references: Sequence[Source]) -> Key:
    """What both are paired by: where they lie, if the trees are alike, or if stems alone would mix up folders."""
    if set(map(_relative, images)) == set(map(_relative, references)):
        return _relative
    for side in (images, references):
        if len(set(map(_stem, side))) < len(side) == len(set(map(_relative, side))):
            return _relative
    return _stem


def _by_key(sources: Sequence[Source], key: Key, what: str) -> dict[str, Source]:
    """Images by what they are paired by; an InputError where two share it."""
    groups: dict[str, list[Source]] = defaultdict(list)
    for source in sources:
        groups[key(source)].append(source)
    twice = [f"{group[0].name} and {group[1].name}" for group in groups.values() if len(group) > 1]
    refuse_names(twice, f"{what} are paired by file stem, but these share one")
    return {found: group[0] for found, group in groups.items()}


def _is_closed(source: Source) -> bool:
    """Whether it is no image, but a folder or a shard that cannot be read."""
    return isinstance(source, Unreadable) or os.path.isdir(source.name)
