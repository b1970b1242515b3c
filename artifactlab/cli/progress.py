"""A progress bar on stderr, for people only: nothing is drawn where stderr is no terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from rich.console import Console
from rich.progress import Progress


@contextmanager
def progress_bar(title: str) -> Iterator[Callable[[int, int], None]]:
    """Yield a function of (done, total) that moves the bar."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def progress_stages() -> Iterator[Callable[[str], Callable[[int, int], None]]]:
    """Yield a function of a stage's title, which takes the bar of the stage before away and gives the next one's."""
    with ExitStack() as stack:

        def start(title: str) -> Callable[[int, int], None]:
            stack.close()
            return stack.enter_context(progress_bar(title))

        yield start
