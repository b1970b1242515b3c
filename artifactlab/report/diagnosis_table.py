"""A diagnosis in the terminal."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from artifactlab.attribution.artifact_words import levels_text, period_text, words_for
from artifactlab.attribution.diagnosis import Diagnosis
from artifactlab.attribution.handles import Handles
from artifactlab.attribution.records import Effect, SiteDiagnosis
from artifactlab.attribution.verdict_text import plain, share_text, signed, strength_text
from artifactlab.report.glossary import glossary_of
from artifactlab.report.terminal import MIN_NAME, Fitting, literal, named_lines

STYLES = {"offender": "bold red", "suspect": "magenta", "compensated": "yellow", "harmless": "cyan", "clean": "green"}
TITLE = "Upsampling sites, largest effect on the output first"
NUMBERS = ("period", "evidence", "effect (90%)", "share")
TOGETHER = "Offenders repaired together, each on top of those above it"
MAX_INPUTS = 8
"""Inputs whose severity is told one by one, in one line; the JSON has those of all."""


def diagnosis_table(diagnosis: Diagnosis, explain: bool = False) -> Group:
    """The ranked sites, the verdict in a sentence below them.

    Args:
        diagnosis: what `artifactlab.diagnose` returned.
        explain: whether to say what each word means, a line each, in place of the two that people know by then.
    """
    handles = diagnosis.handles
    rows = [_row(site, handles) for site in diagnosis.sites]
    longest = max((len(str(row[1])) for row in rows), default=0)
    table = Table(title=TITLE, title_justify="left", box=None)
    table.add_column("#", justify="right")
    table.add_column("site", overflow="fold", min_width=min(MIN_NAME, longest))
    for name in NUMBERS:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    estimated = not all(site.verified for site in diagnosis.sites)
    pixel = words_for(diagnosis.directions).pixel
    note = Text(
        f"evidence: lattice share of the activation / jaggedness in {pixel}.  effect: drop of the output's severity"
        " when this site alone is repaired; 1 just shows, 4 is twice that."
        + _directions(diagnosis)
        + ("  ~: estimated from the gradient, not repaired." if estimated else ""),
        style="dim",
    )
    doubt = [literal(handles.shorten(diagnosis.doubt), "yellow")] if diagnosis.doubt else []
    finding = literal(handles.shorten(diagnosis.heading), "bold")
    remarks = [Text(), literal(handles.shorten(diagnosis.remarks))] if diagnosis.remarks else []
    legend = _legend(diagnosis, handles)
    above = Fitting(table, _stacked(rows)), *_together(diagnosis), Text(), Text(_severity(diagnosis))
    below = [Text(), _explained(diagnosis)] if explain else [note]
    return Group(*above, *below, *legend, Text(), *doubt, finding, *remarks)


def _explained(diagnosis: Diagnosis) -> Table:
    """What the words above mean, in the order in which they are read."""
    words = glossary_of({site.verdict for site in diagnosis.sites}, diagnosis.config.fast)
    return named_lines((Text(word, "bold"), Text(meaning)) for word, meaning in words.items())


def _severity(diagnosis: Diagnosis) -> str:
    """What effects are drops of: of all inputs together, and of each of a few."""
    output, inputs = diagnosis.output, diagnosis.per_input
    strength = f"{strength_text(output.severity)} times what just shows"
    levels = levels_text(output, diagnosis.directions)
    text = f"severity of the output: {plain(output.severity)}, {strength}  ({levels})"
    if not 1 < len(inputs) <= MAX_INPUTS:
        return text
    return f"{text}; of each input alone: {', '.join(plain(measures.severity) for measures in inputs)}"


def _together(diagnosis: Diagnosis) -> list[RenderableType]:
    """What each of several offenders takes on top of those above it, which is what it is named for.

    Behind a louder one, the interval of what a repair does alone may well reach zero.
    """
    if len(diagnosis.joint) < 2:
        return []
    table = Table(title=TOGETHER, title_justify="left", box=None)
    table.add_column("offender", overflow="fold")
    for name in ("takes (90%)", "severity left"):
        table.add_column(name, justify="right", no_wrap=True)
    for step in diagnosis.joint:
        table.add_row(literal(diagnosis.handles[step.key]), _with_interval(step.adds), plain(step.severity))
    return [Text(), table]


def _directions(diagnosis: Diagnosis) -> str:
    """What the numbers of a period are, where there are more than vertical and horizontal."""
    return f"  period: along {', '.join(diagnosis.directions)}." if len(diagnosis.directions) > 2 else ""


def _legend(diagnosis: Diagnosis, handles: Handles) -> list[RenderableType]:
    """The full keys of the sites whose names were shortened, which commands and code take."""
    long = [site for site in diagnosis.sites if handles[site.site.key] != site.site.key]
    if not long:
        return []
    lines = named_lines((str(site.rank), literal(site.site.key)) for site in long)
    return [Text(), Text("Full names of the sites that are shortened above:", "dim"), lines]


def _stacked(rows: list[tuple[str | Text, ...]]) -> Group:
    """The same with each site's numbers below its name, in lines too short to be folded."""
    lines: list[tuple[str | Text, str | Text]] = []
    for rank, key, *numbers, verdict in rows:
        named = [f"{name} {number}" for name, number in zip(NUMBERS, numbers, strict=True)]
        lines.append((rank, key))
        lines.append(("", Text.assemble(verdict, ", ", ", ".join(named[:2]))))
        lines.append(("", ", ".join(named[2:])))
    return Group(Text(TITLE, style="italic"), named_lines(lines))


def _row(diagnosed: SiteDiagnosis, handles: Handles) -> tuple[str | Text, ...]:
    site, evidence, effect = diagnosed.site, diagnosed.evidence, diagnosed.effect
    return (
        str(diagnosed.rank),
        literal(handles.shorten(site.label)),
        period_text(site.period),
        f"{evidence.checkerboard_energy:.2f} / {evidence.edge_jaggedness:.2f}",
        ("" if diagnosed.verified else "~") + _with_interval(effect),
        share_text(effect.share),
        Text(diagnosed.verdict, style=STYLES[diagnosed.verdict]),
    )


def _with_interval(effect: Effect) -> str:
    interval = "" if effect.low is None else f" [{signed(effect.low)}, {signed(effect.high)}]"
    return signed(effect.value) + interval
