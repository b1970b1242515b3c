"""What `lint` found, as a table for people and as data for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from artifactlab.lint import NOT_SEEN, RULES, LintFinding, Rule
from artifactlab.report.terminal import MIN_NAME, Fitting, literal, named_lines
from artifactlab.serialize import json_data, program

SCHEMA_VERSION = "1.0"
"""Version of `artifactlab/schemas/lint.json`, which changes apart from the diagnosis's."""
STYLES = {"warning": "bold red", "note": "cyan"}
TITLE = "Found in the weights and structure, without data"
MIN_WHAT = 25
"""Columns for what was found; in fewer, its sentences would be a word a line."""


def lint_table(findings: Sequence[LintFinding]) -> Group:
    """A row per finding, below it each rule's reason and remedy, once."""
    if not findings:
        return Group(Text("Nothing found in the weights and structure.", style="bold green"))
    table = Table(title=TITLE, title_justify="left", box=None)
    table.add_column("level")
    table.add_column("site", overflow="fold", min_width=min(MIN_NAME, max(len(found.site) for found in findings)))
    table.add_column("rule", no_wrap=True)
    table.add_column("number", justify="right", no_wrap=True)
    table.add_column("what", min_width=MIN_WHAT)
    for found in _folded(findings):
        level = Text(found.level, style=STYLES[found.level])
        table.add_row(level, literal(found.site), found.rule, _number(found), literal(found.detail))
    named = [rule for rule in RULES if rule.name in {found.rule for found in findings}]
    return Group(
        Fitting(table, _stacked(findings)),
        Text(),
        *(part for rule in named for part in _explained(rule)),
        Text(_summary(findings)),
    )


def _folded(findings: Sequence[LintFinding]) -> list[LintFinding]:
    """Places that could not be followed for one reason as one row: a net of blocks has dozens alike."""
    alike = Counter((found.rule, found.detail) for found in findings if found.rule == NOT_SEEN.name)
    first = {(found.rule, found.detail): found for found in reversed(findings)}
    rows = []
    for found in findings:
        count = alike[found.rule, found.detail]
        if count < 2:
            rows.append(found)
        elif found is first[found.rule, found.detail]:
            rows.append(replace(found, detail=f"{found.detail} (and {count - 1} more places)"))
    return rows


def _stacked(findings: Sequence[LintFinding]) -> Group:
    """The same with what was found below the site."""
    lines: list[tuple[RenderableType, RenderableType]] = []
    for found in _folded(findings):
        lines.append((Text(found.level, style=STYLES[found.level]), literal(found.site)))
        lines.append(("", literal(f"{found.rule} {_number(found)}: {found.detail}")))
    return Group(Text(TITLE, style="italic"), named_lines(lines))


def rules_table() -> Group:
    """Every rule: what it reports, why it matters, where that is shown and what to do."""
    parts: list[RenderableType] = []
    for rule in RULES:
        parts.append(Text.assemble((rule.name, "bold"), f" ({rule.level}): {rule.description}."))
        number = f"Number: {rule.unit}. " if rule.unit else ""
        parts.append(Padding(Text(f"{number}Why: {rule.why}. Do: {rule.advice}."), (0, 0, 0, 4)))
        parts.append(Padding(Text(rule.source, style="dim"), (0, 0, 1, 4)))
    return Group(*parts)


def lint_data(findings: Sequence[LintFinding], *, source: str, sha256: str | None, trained: bool) -> dict[str, Any]:
    """Plain data that validates against `artifactlab/schemas/lint.json`."""
    return {
        "schema_version": SCHEMA_VERSION,
        "tool": program(),
        "model": {"source": source, "sha256": sha256},
        "config": {"trained": trained},
        "complete": all(found.rule != NOT_SEEN.name for found in findings),
        "findings": [json_data(vars(found)) for found in findings],
    }


def rules_data() -> dict[str, Any]:
    """The rules as plain data, under the same schema."""
    return {"schema_version": SCHEMA_VERSION, "tool": program(), "rules": [dict(vars(rule)) for rule in RULES]}


def _explained(rule: Rule) -> list[RenderableType]:
    text = Text.assemble((rule.name, "bold"), f": {rule.why}. Do: {rule.advice}.")
    unit = [Text(f"    number: {rule.unit}", style="dim")] if rule.unit else []
    return [text, *unit]


def _number(found: LintFinding) -> str:
    """Both directions only where they differ."""
    numbers = found.number if len(set(found.number)) > 1 else found.number[:1]
    return " x ".join(f"{number:.2f}" if number % 1 else f"{number:g}" for number in numbers) or "-"


def _summary(findings: Sequence[LintFinding]) -> str:
    warnings = sum(found.level == "warning" for found in findings)
    unseen = sum(found.rule == NOT_SEEN.name for found in findings)
    text = f"{_count(warnings, 'warning')}, {_count(len(findings) - warnings, 'note')}."
    return text + (f" Not everything could be seen: {_count(unseen, 'place')} not followed." if unseen else "")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
