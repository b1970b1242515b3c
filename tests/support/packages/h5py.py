"""A package that stands in for h5py: a tree of JSON, whose arrays are numbers of bytes and whose links are texts."""

from __future__ import annotations

import json
from typing import IO, Any


class HardLink:
    """What is in the file."""


class ExternalLink:
    """What is in another."""


class Dataset:
    is_virtual = False

    def __init__(self, size: int) -> None:
        self.nbytes, self.external = abs(size), size < 0  # as the tests write arrays in other files


class Group(dict[str, Any]):
    def get(self, name: str, default: Any = None, getlink: bool = False) -> Any:
        return (ExternalLink if isinstance(self[name], str) else HardLink)()


class File(Group):
    def __init__(self, content: IO[bytes], mode: str) -> None:
        super().__init__(_tree(json.loads(content.read())))

    def __enter__(self) -> File:
        return self

    def __exit__(self, *error: object) -> None:
        pass


def _tree(value: dict[str, Any]) -> Group:
    kinds = {dict: _tree, int: Dataset, str: str}
    return Group({name: kinds[type(inner)](inner) for name, inner in value.items()})
