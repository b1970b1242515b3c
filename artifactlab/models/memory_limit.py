"""A bound on memory of a process for a while, where numbers and texts of a file's own program could fill it."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

if sys.platform != "win32":
    import resource

USED = Path("/proc/self/statm")
"""Where Linux says how many pages a process has, those of data in the sixth place."""
DATA = 5


@contextlib.contextmanager
def memory_limit(more: int) -> Iterator[None]:
    """Inside, all threads together get no more than so many bytes that they do not have yet: what asks for more fails.

    Only Linux can tell; elsewhere nothing is bounded.
    """
    if sys.platform == "win32" or not USED.exists():
        yield
        return
    limit, most = resource.getrlimit(resource.RLIMIT_DATA)
    used = int(USED.read_text().split()[DATA]) * resource.getpagesize()
    known = [bound for bound in (limit, most) if bound != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_DATA, (min([used + more, *known]), most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (limit, most))
