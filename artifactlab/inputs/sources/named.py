"""The image that a row is called by, found again: what pages and notebooks show of it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache

from artifactlab.errors import InputError
from artifactlab.inputs.sources.files import ImageFile
from artifactlab.inputs.sources.find import find_sources
from artifactlab.inputs.sources.places import Stamp, is_url, stamp
from artifactlab.inputs.sources.source import Selection, Source

ALL = Selection(every=1)
"""A row may be of any frame."""


def source_named(name: str) -> Source | None:
    """The image of that name; None where it is not there any more, or its table has several columns of images.

    Args:
        name: `Source.name` of an image: a file or a URL, `shard.tar/member.png`, or `clip.mp4#120`.

    >>> source_named("no such folder/a.png") is None
    True
    """
    holder = _holder_of(name)
    if holder == name:
        return ImageFile(name)
    return None if holder is None else _held(holder, stamp(holder)).get(name)


def _holder_of(name: str) -> str | None:
    """The file or URL that an image lies in, which is itself where it is a file of its own."""
    place, mark, _ = name.rpartition("#")
    if os.path.isfile(name) or (is_url(name) and not mark):
        return name
    if mark and (os.path.isfile(place) or is_url(place)):
        return place
    folder = os.path.dirname(name)
    while folder and not os.path.exists(folder):
        folder = os.path.dirname(folder)
    return folder if os.path.isfile(folder) else None


@lru_cache(maxsize=8)
def _held(holder: str, _stamp: Stamp) -> Mapping[str, Source]:
    """The images in a file by their names; none where it cannot be read."""
    with suppress(InputError):
        return {entry.source.name: entry.source for entry in find_sources([holder], ALL)}
    return {}
