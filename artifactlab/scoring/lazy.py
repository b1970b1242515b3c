"""Millions of things as a sequence whose items are read when somebody looks at them."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar, overload

Item = TypeVar("Item")


class Lazy(Sequence[Item]):
    """A sequence of which only the places of its items are kept, eight bytes each.

    Args:
        read: the items at places, in the order that they are asked for.
        places: where they are.

    >>> squares = Lazy(lambda places: (place**2 for place in places), range(1000))
    >>> squares[3], list(squares[:4])
    (9, [0, 1, 4, 9])
    """

    def __init__(self, read: Callable[[Iterable[int]], Iterator[Item]], places: Iterable[int]) -> None:
        self._read = read
        self._places = array("Q", places)

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[Item]:
        return self._read(self._places)

    @overload
    def __getitem__(self, index: int) -> Item: ...

    @overload
    def __getitem__(self, index: slice) -> Lazy[Item]: ...

    def __getitem__(self, index: int | slice) -> Item | Lazy[Item]:
        if isinstance(index, slice):
            return Lazy(self._read, self._places[index])
        return next(iter(self._read([self._places[index]])))

    def arranged(self, order: Iterable[int]) -> Lazy[Item]:
        """The same in another order, given by the numbers of the items."""
        return Lazy(self._read, (self._places[number] for number in order))

    def mapped(self, function: Callable[[Item], Item]) -> Lazy[Item]:
        """What a function makes of each, when it is looked at."""
        return Lazy(lambda places: map(function, self._read(places)), self._places)


def arranged(items: Sequence[Item], order: Iterable[int]) -> Sequence[Item]:
    """Items in another order, read when they are looked at if they are so now."""
    return items.arranged(order) if isinstance(items, Lazy) else tuple(items[number] for number in order)


def mapped(items: Sequence[Item], function: Callable[[Item], Item]) -> Sequence[Item]:
    """What a function makes of each, likewise."""
    return items.mapped(function) if isinstance(items, Lazy) else tuple(map(function, items))
