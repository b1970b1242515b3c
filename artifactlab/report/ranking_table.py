"""Groups of images from best to worst, in the terminal or as text in a file."""

from __future__ import annotations

from rich.console import Group as Lines
from rich.table import Table
from rich.text import Text

from artifactlab.comparing.changes import figures
from artifactlab.comparing.ranking import Group, Ranking
from artifactlab.printable import printable
from artifactlab.report.terminal import PIPED_WIDTH, as_text, literal


def ranking_table(ranking: Ranking) -> Lines:
    """A row per group, the groups that it is better than by their numbers, and what that comes to."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column("", justify="right", no_wrap=True)
    table.add_column("group", overflow="fold")
    for name in ("images", ranking.metric, f"{ranking.confidence:.0%} interval"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("surely better than", overflow="fold")
    numbers = {group.name: str(number) for number, group in enumerate(ranking.groups, 1)}
    for group in ranking.groups:
        worse = ", ".join(numbers[name] for name in ranking.surely_worse(group.name))
        table.add_row(numbers[group.name], literal(group.name), *_scores(group), worse)
    return Lines(table, Text(), Text(conclusion(ranking)))


def ranking_text(ranking: Ranking) -> str:
    """The same as text of 100 columns."""
    return as_text(ranking_table(ranking), PIPED_WIDTH)


def _scores(group: Group) -> tuple[str, str, str]:
    images = f"{group.images}" + (f" (+{group.left_out} without)" if group.left_out else "")
    mean = "?" if group.mean is None else figures(group.mean)
    known = group.low is not None and group.high is not None
    return images, mean, f"{figures(group.low)} to {figures(group.high)}" if known else "?"  # type: ignore[arg-type]


def conclusion(ranking: Ranking) -> str:
    """Which group is the best, and what it is not surely better than."""
    best = ranking.groups[0].name
    worse = ranking.surely_worse(best)
    others = [group.name for group in ranking.groups[1:] if group.name not in worse]
    paired = sum(difference.paired for difference in ranking.differences)
    how = f"{paired} of {len(ranking.differences)} differences are of the same images in pairs"
    held = f"all of them hold at once at {ranking.confidence:.0%}"
    if not others:
        return f"{printable(best)} is the best: the others are worse by more than chance ({how}; {held})."
    named = ", ".join(map(printable, others))
    start = "Cannot tell which is best" if not worse else f"{printable(best)} is among the best"
    return f"{start}: between {printable(best)} and {named} no difference is more than chance ({how}; {held})."
