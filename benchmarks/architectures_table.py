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
    """A row of each architecture, to be read by who looks for a cause."""
    header = ("architecture", "true", "found", "missed", "spurious", "bits", "capture", "diagnose", "command line")
    return markdown_table(header, [_row(result) for result in results])


def by_library(results: Sequence[Row]) -> str:
    """A row of each library, and what is to be reached by all."""
    header = (
        "library",
        "architectures",
        "right",
        "enlargements",
        "missed",
        "spurious",
        "same bits",
        "typed",
        "capture",
    )
    libraries = list(dict.fromkeys(_library(result) for result in results))
    rows = [_sums(name, [result for result in results if _library(result) == name]) for name in libraries]
    return "\n\n".join([markdown_table(header, rows), _targets(results)])


def failures(results: Sequence[Row]) -> str:
    """What broke, a line each."""
    return "\n".join(f"{result['name']}: {result['error']}" for result in results if result.get("error"))


def _targets(results: Sequence[Row]) -> str:
    """What the targets are set on; an architecture that broke reaches none."""
    typed = results if any(result.get("line") for result in results) else []  # --quick types nothing
    rows = [
        ("all sites found and none invented", sum(map(_is_right, results)), len(results), MOST_SITES),
        ("the same bits with capture as without", sum(map(_is_same, results)), len(results), 1.0),
        ("diagnosed from the command line without a file of glue", sum(map(_is_typed, typed)), len(typed), MOST_LINES),
    ]
    cells = [
        (what, f"{count} of {of}", f"{share:.0%}", mark(count >= share * of) if of else "not measured")
        for what, count, of, share in rows
    ]
    return markdown_table(("what", "of architectures", "must reach", ""), cells)


def _sums(name: str, results: Sequence[Row]) -> tuple[str, ...]:
    found = [result["match"] for result in results if result.get("match")]
    costs = [result["capture"] for result in results if result.get("capture")]
    typed = f"{sum(map(_is_typed, results))}" if any(result.get("line") for result in results) else "-"
    return (
        name,
        f"{len(results)}",
        f"{sum(map(_is_right, results))}",
        f"{sum(result.get('counted', 0) for result in results)}",
        f"{sum(len(match['missed']) for match in found)}",
        f"{sum(len(match['spurious']) for match in found)}",
        f"{sum(map(_is_same, results))}",
        typed,
        f"{median(costs):.2f}" if costs else "-",
    )


def _row(result: Row) -> tuple[str, ...]:
    match = result.get("match")
    if not match:
        return (result["name"], *["-"] * 7, result["error"])
    counted, by_hand = result["counted"], result["truth"]
    true = f"{counted}" if by_hand in (None, counted) else f"{by_hand} by hand, {counted} counted"
    numbers = (match["found"], len(match["missed"]), len(match["spurious"]))
    costs = [f"{result[name]:.2f}" if result["line"] else "-" for name in ("capture", "diagnose")]
    said = f"refused: {result['refused']}" if result["refused"] else result["line"].replace("|", "\\|")
    bits = "same" if result["identical"] else "**differ**"
    return (result["name"], true, *map(str, numbers), bits, *costs, said)


def _library(result: Row) -> str:
    return str(result["name"].split()[0])


def _is_same(result: Row) -> bool:
    return bool(result.get("identical"))


def _is_right(result: Row) -> bool:
    """Everything found, nothing invented, and as many as the source says."""
    match = result.get("match")
    if not match or result.get("error"):
        return False
    return not match["missed"] and not match["spurious"] and result["truth"] in (None, match["found"])


def _is_typed(result: Row) -> bool:
    """Whether the command works; where nothing is enlarged, it has to say so."""
    if not result.get("counted") and "no upsampling was seen" in result.get("refused", ""):
        return True
    return bool(result.get("line")) and not result.get("refused") and not result.get("error")
