"""Gates: conditions on scores that no image may meet, so that a build can fail on one."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import InitVar, dataclass
from itertools import chain, groupby

from artifactlab.errors import InputError
from artifactlab.scoring.measures import METRICS, check_known

KNOWN = METRICS.keys()
"""Names that a gate may compare by default."""
COMPARE = {">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le}
# as Python reads it, but for nan and inf
NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
# a name is whatever an installed package has called its metric; amplitudes are thought of in 1/255
GATE = re.compile(rf"\s*([^\s<>=]+)\s*(>=|<=|>|<)\s*({NUMBER})(?:\s*/\s*({NUMBER}))?\s*")
MOST_NAMED = 5
"""Images that a line names, the worst; all are in the report."""


@dataclass(frozen=True)
class Gate:
    """A condition no image may meet.

    Raises:
        InputError: if there is no such metric or operator, or the value is not finite.
    """

    metric: str
    """Name of the metric: one of `METRICS`, or of the names in `known`."""
    operator: str
    """How the score is compared: one of > >= < <=."""
    value: float
    """The threshold that the score is compared with."""
    known: InitVar[Collection[str]] = KNOWN

    def __post_init__(self, known: Collection[str]) -> None:
        check_known(self.metric, " in a gate", known)
        if self.operator not in COMPARE or not math.isfinite(self.value):
            raise InputError(
                f"a gate compares a metric with a finite number by one of {' '.join(COMPARE)}; got {str(self)!r}"
            )

    def fails(self, score: float | None) -> bool:
        """Whether a score meets the condition; no score never does."""
        return score is not None and COMPARE[self.operator](score, self.value)

    def __str__(self) -> str:
        return f"{self.metric}{self.operator}{self.value}"


@dataclass(frozen=True)
class GateFailure:
    """An image that met the condition of a gate."""

    gate: Gate
    """The condition that was met."""
    path: str
    """The image file."""
    score: float
    """What the image scored."""


def parse_gate(text: str, known: Collection[str] = KNOWN) -> Gate:
    """Read a condition such as `severity>1` or `lattice_amplitude>1/255`: the gate *fails* when an image meets it.

    Args:
        text: the condition.
        known: what may be compared.

    Raises:
        InputError: if the text is no METRIC OPERATOR NUMBER, or if there is no such metric.

    >>> parse_gate("edge_jaggedness>0.3")
    Gate(metric='edge_jaggedness', operator='>', value=0.3)
    """
    parts = GATE.fullmatch(text)
    divisor = 0.0 if parts is None else float(parts[4] or 1)
    if parts is None or not divisor:
        raise InputError(
            f"cannot read the gate {text!r}; write METRIC OPERATOR NUMBER with one of {' '.join(COMPARE)},"
            " e.g. 'edge_jaggedness>0.3' or 'lattice_amplitude>1/255'"
        )
    check_known(parts[1], f" in the gate {text!r}", known)
    return Gate(parts[1], parts[2], float(parts[3]) / divisor, known)


def gate_failures(
    rows: Iterable[tuple[str, Mapping[str, float | None]]], gates: Sequence[Gate]
) -> tuple[GateFailure, ...]:
    """Every image that met a condition, from (path, scores by metric) rows; gate by gate, in the images' order."""
    failures: dict[Gate, list[GateFailure]] = {gate: [] for gate in gates}
    for path, scores in rows if gates else ():  # once, as there may be millions
        for gate, met in failures.items():
            score = scores[gate.metric]
            if score is not None and gate.fails(score):
                met.append(GateFailure(gate, path, score))
    return tuple(chain.from_iterable(failures.values()))


def failure_lines(failures: Sequence[GateFailure], images: int) -> list[str]:
    """A line for each gate that failed: on how many of the images, and on which by most."""
    lines = []
    for gate, of_gate in groupby(failures, key=lambda failure: failure.gate):
        worst = sorted(of_gate, key=lambda failure: failure.score, reverse=gate.operator.startswith(">"))
        named = [f"{failure.score:.4g} in {failure.path}" for failure in worst[:MOST_NAMED]]
        more = f" and {len(worst) - MOST_NAMED} more" if len(worst) > MOST_NAMED else ""
        first = ", worst first" if len(worst) > 1 else ""
        lines.append(f"gate {gate} failed in {len(worst)} of {images} images{first}: {', '.join(named)}{more}")
    return lines
