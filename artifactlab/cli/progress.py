"""A progress bar on stderr, for people only: nothing is drawn where stderr is no terminal, or after `--quiet`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from artifactlab.cli.verbosity import timed, verbosity
from artifactlab.printable import printable

LAST_WORK = "repairing together, looking elsewhere"
"""What a diagnosis does after its counted passes; how long that takes depends on what they found."""


@contextmanager
def progress_bar(title: str, then: str | None = None, unit: str | None = None) -> Iterator[Callable[[int, int], None]]:
    """Yield a function of (done, total) that moves the bar.

    Args:
        title: of the work that is counted.
        then: of the work after it, if there is any: the bar then says so and moves without an end, instead of
            standing at 100%.
        unit: of what is counted, in the plural, for how many of them a second are done; None where nobody asks.
    """
    console = Console(stderr=True, markup=False, emoji=False)
    hidden = not console.is_terminal or verbosity() == "quiet"
    with timed(title), _bar(console, hidden, unit) as bar:
        task = bar.add_task(printable(title), total=None)

        def move(done: int, total: int) -> None:
            if then is not None and done >= total:
                bar.reset(task, total=None, description=printable(then))
            else:
                bar.update(task, completed=done, total=total)

        yield move


class _Rate(ProgressColumn):
    """How fast it goes, over the last half minute."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self._unit = unit

    def render(self, task: Task) -> Text:
        """Three digits and the unit; nothing before there is a rate."""
        return Text("" if not task.speed else f"{task.speed:.3g} {self._unit}/s")


def _bar(console: Console, hidden: bool, unit: str | None) -> Progress:
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        TaskProgressColumn(),
        *([] if unit is None else [_Rate(unit)]),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=hidden,
    )


@contextmanager
def progress_stages() -> Iterator[Callable[[str], Callable[[int, int], None]]]:
    """Yield a function of a stage's title, which takes the bar of the stage before away and gives the next one's."""
    with ExitStack() as stack:

        def start(title: str) -> Callable[[int, int], None]:
            stack.close()
            return stack.enter_context(progress_bar(title, LAST_WORK if title.startswith("diagnosing") else None))

        yield start
