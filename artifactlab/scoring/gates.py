"""Gates: conditions on scores that no image may meet, so that a build can fail on one."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import InitVar, dataclass

from artifactlab.errors import InputError
from artifactlab.scoring.measures import METRICS, check_known

KNOWN = METRICS.keys()
"""what a gate may compare, unless it is told otherwise"""
COMPARE = {">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le}
GATE = re.compile(r"\s*([^\s<>=]+)\s*(>=|<=|>|<)\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*")


@dataclass(frozen=True)
class Gate:
    """A condition no image may meet.

    Raises:
        InputError: if there is no such metric or operator, or the value is not finite.
    """

    metric: str
    """one of `METRICS`, or of the names in `known`"""
    operator: str
    """one of > >= < <="""
    value: float
    """the threshold"""
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
    """the condition"""
    path: str
    """the image"""
    score: float
    """what it scored"""


def parse_gate(text: str, known: Collection[str] = KNOWN) -> Gate:
    """Read a condition such as `edge_jaggedness>0.3`: the gate *fails* when an image meets it.

    Args:
        text: the condition.
        known: what may be compared.

    Raises:
        InputError: if the text is no METRIC OPERATOR NUMBER, or if there is no such metric.

    >>> parse_gate("edge_jaggedness>0.3")
    Gate(metric='edge_jaggedness', operator='>', value=0.3)
    """
    parts = GATE.fullmatch(text)
    if parts is None:
        raise InputError(
            f"cannot read the gate {text!r}; write METRIC OPERATOR NUMBER with one of {' '.join(COMPARE)},"
            " e.g. 'edge_jaggedness>0.3'"
        )
    check_known(parts[1], f" in the gate {text!r}", known)
    return Gate(parts[1], parts[2], float(parts[3]), known)


def gate_failures(
    rows: Iterable[tuple[str, Mapping[str, float | None]]], gates: Sequence[Gate]
) -> tuple[GateFailure, ...]:
    """Every image that met a condition, from (path, scores by metric) rows; gate by gate, in the images' order."""
    listed = list(rows)
    return tuple(
        GateFailure(gate, path, score)
        for gate in gates
        for path, scores in listed
        if (score := scores[gate.metric]) is not None and gate.fails(score)
    )
