"""Images to groups by where they lie or what they are called: one per model, checkpoint or data set."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import takewhile
from pathlib import PurePath
from typing import NamedTuple

from artifactlab.errors import InputError
from artifactlab.inputs.image_files import refuse_names

FOLDER = "folder"
"""The word that groups by folder; anything else is a regular expression."""


class Member(NamedTuple):
    """An image in its group."""

    group: str
    """What the images of the group have in common."""
    name: str
    """What is left of its path without that: images of one name in two groups are a pair."""


def members(paths: Sequence[str], by: str) -> list[Member]:
    r"""The group of each image, and its name there.

    Args:
        paths: of the images.
        by: `folder` for the folders that the paths part at, or a regular expression, whose first group (or all of it,
            where it has none) is found in each path.

    Raises:
        InputError: if the expression is none, does not match a path or matches nothing there, if images lie beside the
            folders, or if all are one group.

    >>> members(["out/step1/a.png", "out/step2/a.png"], "folder")
    [Member(group='step1', name='a.png'), Member(group='step2', name='a.png')]
    >>> members(["a_1000.png", "a_2000.png"], r"_(\d+)\.")
    [Member(group='1000', name='a_*.png'), Member(group='2000', name='a_*.png')]
    """
    found = _by_folder(paths) if by == FOLDER else _by_pattern(paths, by)
    groups = {member.group for member in found}
    if len(groups) < 2:
        raise InputError(f"all images are in one group, {groups.pop()!r}, by {by!r}; it takes two to rank")
    return found


def _by_folder(paths: Sequence[str]) -> list[Member]:
    """By the first folder in which the paths differ."""
    parts = [PurePath(path).parts for path in paths]
    folders = zip(*(path[:-1] for path in parts), strict=False)  # as deep as the shallowest image lies
    common = sum(1 for _ in takewhile(lambda names: len(set(names)) == 1, folders))
    beside = [path for path, of in zip(paths, parts, strict=True) if len(of) == common + 1]
    refuse_names(beside, "to rank by folder, each image must lie in one of several folders; beside them lie")
    return [Member(path[common], "/".join(path[common + 1 :])) for path in parts]


def _by_pattern(paths: Sequence[str], pattern: str) -> list[Member]:
    compiled = expression(pattern)
    group = 1 if compiled.groups else 0
    matches = [compiled.search(path) for path in paths]
    without = [path for path, match in zip(paths, matches, strict=True) if match is None or not match[group]]
    refuse_names(without, f"{pattern!r} names no group in the images")
    return [
        Member(match[group], path[: match.start(group)] + "*" + path[match.end(group) :])
        for path, match in zip(paths, matches, strict=True)
        if match is not None
    ]


def expression(by: str) -> re.Pattern[str]:
    """The regular expression that groups are named by; an InputError where it is none."""
    try:
        return re.compile(by)
    except (re.error, RecursionError, OverflowError) as error:
        raise InputError(f"cannot read {by!r}: {error}; expected {FOLDER!r} or a regular expression") from error
