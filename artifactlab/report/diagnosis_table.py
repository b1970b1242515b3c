"""A diagnosis in the terminal."""

from __future__ import annotations

from rich.console import Group
from rich.table import Table
from rich.text import Text

from artifactlab.attribution.diagnosis import Diagnosis
from artifactlab.attribution.records import SiteDiagnosis
from artifactlab.attribution.verdict_text import period_text, signed
from artifactlab.printable import printable
from artifactlab.report.terminal import MIN_NAME, Fitting, literal, named_lines

STYLES = {"offender": "bold red", "compensated": "yellow", "harmless": "cyan", "clean": "green"}
TITLE = "Upsampling sites, largest effect on the output first"
NUMBERS = ("period", "evidence", "effect (90%)", "share")


def diagnosis_table(diagnosis: Diagnosis) -> Group:
    """The ranked sites, the verdict in a sentence below them."""
    rows = [_row(site) for site in diagnosis.sites]
    longest = max((len(printable(site.site.label)) for site in diagnosis.sites), default=0)
    table = Table(title=TITLE, title_justify="left", box=None)
    table.add_column("#", justify="right")
    table.add_column("site", overflow="fold", min_width=min(MIN_NAME, longest))
    for name in NUMBERS:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    estimated = not all(site.verified for site in diagnosis.sites)
    note = Text(
        "evidence: lattice share of the activation / jaggedness in px.  effect: drop of the output's severity"
        " when this site alone is repaired; 1 just shows."
        + ("  ~: estimated from the gradient, not repaired." if estimated else ""),
        style="dim",
    )
    return Group(Fitting(table, _stacked(rows)), Text(), note, Text(), literal(diagnosis.verdict, "bold"))


def _stacked(rows: list[tuple[str | Text, ...]]) -> Group:
    """The same with each site's numbers below its name, in lines too short to be folded."""
    lines: list[tuple[str | Text, str | Text]] = []
    for rank, key, *numbers, verdict in rows:
        named = [f"{name} {number}" for name, number in zip(NUMBERS, numbers, strict=True)]
        lines.append((rank, key))
        lines.append(("", Text.assemble(verdict, ", ", ", ".join(named[:2]))))
        lines.append(("", ", ".join(named[2:])))
    return Group(Text(TITLE, style="italic"), named_lines(lines))


def _row(diagnosed: SiteDiagnosis) -> tuple[str | Text, ...]:
    site, evidence, effect = diagnosed.site, diagnosed.evidence, diagnosed.effect
    interval = "" if effect.low is None else f" [{signed(effect.low)}, {signed(effect.high)}]"
    return (
        str(diagnosed.rank),
        literal(site.label),
        period_text(site.period),
        f"{evidence.checkerboard_energy:.2f} / {evidence.edge_jaggedness:.2f}",
        ("" if diagnosed.verified else "~") + signed(effect.value) + interval,
        "-" if effect.share is None else f"{effect.share:.0%}",
        Text(diagnosed.verdict, style=STYLES[diagnosed.verdict]),
    )
