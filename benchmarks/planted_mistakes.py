"""Which verdicts of the planted suite are wrong, each with what is true: where to start looking for the cause."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from planted_records import Record, Said, top
from planted_truth import Truth
from publish import markdown_table

from artifactlab.scoring.severity import VISIBLE

NAMED = 3
"""effects that are listed, the largest first"""


def mistakes(records: Sequence[Record]) -> str:
    """One row per wrong verdict; energies as amplitudes, rms, of 255 levels."""
    rows = [row for record in records for number in range(len(record.truths)) for row in _of(record, number)]
    header = ["net", "inputs", "seed", "set", "wrong", "diagnose says", "severity", "truth", "planted"]
    return markdown_table(header, rows)


def _of(record: Record, number: int) -> Iterator[list[str]]:
    plan, truth, said = record.plan, record.truths[number], record.said[number]
    for wrong in _wrong(truth, said):
        names = ", ".join(f"{site}: {name}" for site, name in sorted(record.names.items()))
        cells = [wrong, _said(said), f"{said.severity:.2f}", _true(truth), names or "nothing"]
        yield [plan.net, plan.inputs, str(plan.seed), str(number), *cells]


def _wrong(truth: Truth, said: Said) -> Iterator[str]:
    """What is wrong with what was said."""
    if truth.hidden and said.offenders:
        yield "accused"
    if truth.shows and truth.effects and said.severity < VISIBLE:
        yield "cannot tell" if said.verdict.startswith("Cannot tell") else "called clean"
    elif truth.clear is not None and top(said.scores) != truth.clear:
        yield "another first"
    elif truth.clear is not None and said.offenders[:1] != [truth.clear]:
        yield "nobody named" if not said.offenders else "another named"


def _said(said: Said) -> str:
    """The largest effects, and who is named."""
    first = sorted(said.effects, key=lambda site: -said.effects[site].value)[:NAMED]
    effects = ", ".join(f"{site}: {said.effects[site].value:.2f}" for site in first)
    return f"{effects}; names {', '.join(map(str, said.offenders)) or 'nobody'}"


def _true(truth: Truth) -> str:
    """The largest true effects."""
    first = sorted(truth.effects, key=lambda site: -truth.effects[site])[:NAMED]
    effects = ", ".join(f"{site}: {_amplitude(truth.effects[site]):.2f}/255" for site in first)
    return f"{effects or 'nothing'}{', hidden' if truth.hidden else '' if truth.shows else ', hardly shows'}"


def _amplitude(energy: float) -> float:
    """Root of a signed energy, in levels of 255."""
    return 255 * abs(energy) ** 0.5 * (1 if energy >= 0 else -1)
