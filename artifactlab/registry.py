"""Named things of one kind (metrics, kinds of sites, upsamplers, ...): our own, and those of installed packages.

A package adds one by an entry point of the registry's group, `artifactlab.metrics` for instance; nothing of ours is
edited for it. See CONTRIBUTING, *How to add*.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Generic, TypeVar

from artifactlab.errors import RegistryError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

Thing = TypeVar("Thing")
OURS = "artifactlab"
_announced: dict[str, dict[str, str]] = {}


def announce(group: str, **places: str) -> None:
    """Name what lies above a registry of ours, as `name="package.module:attribute"`; it is imported when it is used."""
    _announced.setdefault(group, {}).update(places)


class Registry(Mapping[str, Thing], Generic[Thing]):
    """Things by name, in the order in which they were registered; those of other packages come last.

    Args:
        group: of the entry points that add to it.
        kind: class that everything in it must be an instance of; None where anything will do.

    >>> sizes = Registry("example.sizes", int)
    >>> sizes.register("small", 1)
    >>> sizes["small"], list(sizes)
    (1, ['small'])
    """

    def __init__(self, group: str, kind: type | None = None) -> None:
        self.group = group
        self._kind = kind
        self._things: dict[str, Thing] = {}
        self._owners: dict[str, str] = {}
        self._complete = False

    def register(self, name: str, thing: Thing, owner: str = OURS) -> None:
        """Add a thing, or change nothing.

        Args:
            name: by which users know it.
            thing: what it is.
            owner: package that it comes from, for messages.

        Raises:
            RegistryError: if the name is taken, or the thing is of the wrong kind.
        """
        self._check(name, thing, owner, self._owners)
        self._things[name] = thing
        self._owners[name] = owner

    def _check(self, name: str, thing: Thing, owner: str, owners: Mapping[str, str]) -> None:
        if name in owners:
            raise RegistryError(
                f"{self.group}: {name!r} comes from {owners[name]} and from {owner};"
                " rename one of them, or uninstall it"
            )
        if self._kind is not None and not isinstance(thing, self._kind):
            raise RegistryError(
                f"{self.group}: {name!r} of {owner} is a {type(thing).__name__}, expected a {self._kind.__name__}"
            )

    def added(self, name: str) -> Callable[[Thing], Thing]:
        """A decorator that registers what it decorates."""

        def register(thing: Thing) -> Thing:
            self.register(name, thing)
            return thing

        return register

    def __getitem__(self, name: str) -> Thing:
        return self._all()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def _all(self) -> dict[str, Thing]:
        """With those of installed packages, which are looked for on the first look at any: all of them, or none."""
        if not self._complete:
            things, owners = dict(self._things), dict(self._owners)
            for name, thing, owner in self._found():
                self._check(name, thing, owner, owners)
                things[name] = thing
                owners[name] = owner
            self._things, self._owners, self._complete = things, owners, True
        return self._things

    def _found(self) -> Iterator[tuple[str, Thing, str]]:
        """Name, thing and owner of what was announced and of what installed packages add."""
        for name, place in _announced.get(self.group, {}).items():
            yield name, _at(place), OURS
        from importlib.metadata import entry_points  # brings the reading of mail, and many never look

        for entry in sorted(entry_points(group=self.group), key=_by_name):
            yield entry.name, self._loaded(entry), _owner(entry)

    def _loaded(self, entry: EntryPoint) -> Thing:
        try:
            thing: Thing = entry.load()
        except Exception as error:  # it is somebody else's code
            raise RegistryError(
                f"{self.group}: {entry.name!r} of {_owner(entry)} cannot be imported from {entry.value}:"
                f" {type(error).__name__}: {error}; update or uninstall that package"
            ) from error
        return thing


def _at(place: str) -> Thing:  # type: ignore[type-var]  # what is there is known to whoever announced it
    module, _, attribute = place.partition(":")
    thing: Thing = getattr(importlib.import_module(module), attribute)
    return thing


def _by_name(entry: EntryPoint) -> str:
    return entry.name


def _owner(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist else entry.value
