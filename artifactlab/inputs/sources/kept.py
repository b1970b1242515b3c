"""What a process keeps open from one image to the next: a video, an archive, a table's part."""

from __future__ import annotations

import atexit
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any, Generic, TypeVar

Thing = TypeVar("Thing")


class Kept(Generic[Thing]):
    """The last thing that was opened; jobs come in order, so the next image is likely to be in it, too.

    >>> kept = Kept[str]()
    >>> for _ in range(2):
    ...     with kept.opened("a", lambda: print("opened") or "a") as thing:
    ...         print(thing)
    opened
    a
    a
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._key: Hashable = None
        self._thing: Any = None
        atexit.register(self._close)

    @contextmanager
    def opened(self, key: Hashable, make: Callable[[], Thing]) -> Iterator[Thing]:
        """The thing of a key, made where it is not there; others are closed. One that failed is made anew."""
        with self._lock:
            if key != self._key:
                self._close()
                self._thing, self._key = make(), key
            try:
                yield self._thing
            except BaseException:
                self._close()
                raise

    def close(self) -> None:
        """Keep nothing."""
        with self._lock:
            self._close()

    def _close(self) -> None:
        thing, self._thing, self._key = self._thing, None, None
        close = getattr(thing, "close", None)
        if close is not None:
            close()
