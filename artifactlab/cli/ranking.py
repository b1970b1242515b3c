"""`artifactlab score OUTPUTS/*/ --by folder`: which model or checkpoint is the best."""

from __future__ import annotations

from collections.abc import Callable

from artifactlab.comparing.grouping import expression
from artifactlab.comparing.ranking import Ranking, rank
from artifactlab.errors import InputError
from artifactlab.report.ranking_table import ranking_text
from artifactlab.scoring.score_report import ScoreReport

USUAL = "severity"
"""What is ranked by where --sort names nothing else."""
RENDER: dict[str, Callable[[Ranking], str]] = {
    "table": ranking_text,
    "json": lambda ranking: ranking.to_json() + "\n",
}
"""Formats of a ranking."""


def check_ranking(by: str, form: str, top: int | None, sort: str | None, metrics: tuple[str, ...]) -> None:
    """Refuse what a ranking has no use for, before hours of scoring."""
    expression(by)
    if form not in RENDER:
        raise InputError(f"--by ranks groups, as {' or '.join(RENDER)}; leave out --format {form}, or --by")
    if top is not None:
        raise InputError("--top is for a table of images, and --by has one of groups; leave one of them out")
    if sort is None and USUAL not in metrics:
        raise InputError(f"--by ranks by {USUAL}, which is not measured; name another metric with --sort")


def render_ranking(report: ScoreReport, by: str, sort: str | None, form: str) -> str:
    """The ranking in a format of `RENDER`."""
    return RENDER[form](rank(report, by, sort or USUAL))
