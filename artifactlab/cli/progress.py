"""A progress bar on stderr, for people only: nothing is drawn where stderr is no terminal, or after `--quiet`."""

from __future__ import annotations

from collections.abc import Iterator
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


class Bar:
    """A bar that is moved, and may say where the work stands."""

    def __init__(self, bar: Progress, title: str, then: str | None) -> None:
        self._bar, self._title, self._then = bar, title, then
        self._task = bar.add_task(printable(title), total=None)

    def __call__(self, done: int, total: int) -> None:
        """Move it; beyond the end it goes on without one where there is more work."""
        if self._then is not None and done >= total:
            self._bar.reset(self._task, total=None, description=printable(self._then))
        else:
            self._bar.update(self._task, completed=done, total=total)

    def say(self, text: str) -> None:
        """Where the work stands, beside its title."""
        self._bar.update(self._task, description=printable(f"{self._title}: {text}"))


@contextmanager
def progress_bar(title: str, then: str | None = None, unit: str | None = None) -> Iterator[Bar]:
    """Yield a bar that is called with (done, total).

    Args:
        title: of the work that is counted.
        then: of the work after it, if there is any: the bar then says so and moves without an end, instead of
            standing at 100%.
        unit: of what is counted, in the plural, for how many of them a second are done; None where nobody asks.
    """
    console = Console(stderr=True, markup=False, emoji=False)
    hidden = not console.is_terminal or verbosity() == "quiet"
    with timed(title), _bar(console, hidden, unit) as bar:
        yield Bar(bar, title, then)


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


class Stages:
    """Work in stages, each with a bar that takes the place of the one before."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._bar: Bar | None = None

    def __call__(self, title: str) -> Bar:
        """Begin a stage of that title."""
        self._stack.close()
        then = LAST_WORK if title.startswith("diagnosing") else None
        self._bar = self._stack.enter_context(progress_bar(title, then))
        return self._bar

    def say(self, text: object) -> None:
        """Where the stage stands, beside its title."""
        if self._bar is not None:
            self._bar.say(str(text))


@contextmanager
def progress_stages() -> Iterator[Stages]:
    """Yield a function of a stage's title, which takes the bar of the stage before away and gives the next one's."""
    with ExitStack() as stack:
        yield Stages(stack)
