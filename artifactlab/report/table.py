"""A diagnosis in the terminal."""

from __future__ import annotations

from rich.console import Group
from rich.table import Table
from rich.text import Text

from artifactlab.records import Diagnosis, SiteDiagnosis
from artifactlab.verdicts import period_text

STYLES = {"offender": "bold red", "compensated": "yellow", "harmless": "cyan", "clean": "green"}


def diagnosis_table(diagnosis: Diagnosis) -> Group:
    """The ranked sites, the verdict in a sentence below them."""
    table = Table(title="Upsampling sites, largest effect on the output first", title_justify="left", box=None)
    table.add_column("#", justify="right")
    table.add_column("site", overflow="fold")
    table.add_column("period", justify="right")
    table.add_column("evidence", justify="right")
    table.add_column("effect (90%)", justify="right")
    table.add_column("share", justify="right")
    table.add_column("verdict")
    for site in diagnosis.sites:
        table.add_row(*_row(site))
    note = Text(
        "evidence: lattice share of the activation / jaggedness in px.  effect: drop of the output's severity"
        " when this site alone is repaired; 1 just shows.",
        style="dim",
    )
    return Group(table, Text(), note, Text(), Text(diagnosis.verdict, style="bold"))


def _row(diagnosed: SiteDiagnosis) -> tuple[str | Text, ...]:
    site, evidence, effect = diagnosed.site, diagnosed.evidence, diagnosed.effect
    interval = "" if effect.low is None else f" [{_signed(effect.low)}, {_signed(effect.high)}]"
    return (
        str(diagnosed.rank),
        Text(site.key),
        period_text(site.period),
        f"{evidence.checkerboard_energy:.2f} / {evidence.edge_jaggedness:.2f}",
        _signed(effect.value) + interval,
        "-" if effect.share is None else f"{effect.share:.0%}",
        Text(diagnosed.verdict, style=STYLES[diagnosed.verdict]),
    )


def _signed(value: float | None) -> str:
    """Three figures, with a sign unless it rounds to nothing."""
    if value is None:
        return "-"
    text = f"{value:+.0f}" if abs(value) >= 100 else f"{value:+.1f}" if abs(value) >= 10 else f"{value:+.2f}"
    return "0.00" if text in ("+0.00", "-0.00") else text
