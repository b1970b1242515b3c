"""Rows and sums of the benchmark of architectures."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any

from publish import mark, markdown_table

MOST_SITES, MOST_LINES = 0.98, 0.90
"""shares of the architectures that must be right, and that must need no file of glue"""
Row = dict[str, Any]


def table(results: Sequence[Row]) -> str:
    """A row of each architecture."""
    header = ("architecture", "true", "found", "missed", "spurious", "bits", "capture", "diagnose", "command line")
    return markdown_table(header, [_row(result) for result in results])


def summary(results: Sequence[Row]) -> str:
    """What the targets are set on."""
    ran = [result for result in results if result.get("match")]
    right = sum(map(_is_right, ran))
    identical = sum(result["identical"] for result in ran)
    lines = [result for result in ran if result["line"]]
    typed = sum(not result["refused"] or _has_nothing(result) for result in lines)
    rows = [
        ("all sites found and none invented", right, len(ran), MOST_SITES),
        ("the same bits with capture as without", identical, len(ran), 1.0),
        ("diagnosed from the command line without a file of glue", typed, len(lines), MOST_LINES),
    ]
    cells = [
        (what, f"{count} of {of}", f"{share:.0%}", mark(count >= share * of) if of else "-")
        for what, count, of, share in rows
    ]
    costs = [f"{name} {median(result[name] for result in lines):.2f}" for name in ("capture", "diagnose") if lines]
    failed = [f"{result['name']}: {result['error']}" for result in results if result.get("error")]
    parts = [markdown_table(("what", "of those that ran", "must reach", ""), cells)]
    parts += ["CPU time over the forward pass, median over narrow nets: " + ", ".join(costs)] if costs else []
    return "\n\n".join([*parts, *(["Not run:\n" + "\n".join(failed)] if failed else [])])


def _has_nothing(result: Row) -> bool:
    """Whether the command says rightly that there is nothing to find."""
    return not result["counted"] and "no upsampling was seen" in result["refused"]


def _is_right(result: Row) -> bool:
    """Everything found, nothing invented, and as many as the source says."""
    found = result["match"]
    by_hand = result["truth"] in (None, found["found"])
    return not found["missed"] and not found["spurious"] and by_hand


def _row(result: Row) -> tuple[str, ...]:
    found = result.get("match")
    if not found:
        return (result["name"], *["-"] * 7, result["error"])
    numbers = (result["counted"], found["found"], len(found["missed"]), len(found["spurious"]))
    true = f"{result['counted']}" if result["truth"] in (None, result["counted"]) else f"{result['truth']} (by hand)"
    costs = [f"{result[name]:.2f}" if result["line"] else "-" for name in ("capture", "diagnose")]
    line = f"refused: {result['refused']}" if result["refused"] else result["line"].replace("|", "\\|")
    return (result["name"], true, *map(str, numbers[1:]), "same" if result["identical"] else "**differ**", *costs, line)
