"""A gate: a metric, an operator and a number, read from text and written back."""

from __future__ import annotations

import math

import pytest

from artifactlab.errors import InputError
from artifactlab.scoring.gates import Gate, parse_gate


@pytest.mark.parametrize(
    ("text", "score", "fails"),
    [
        ("axis_excess>0.5", 0.5, False),
        ("axis_excess>=0.5", 0.5, True),
        ("axis_excess<0.5", 0.5, False),
        (" axis_excess <= 5e-1 ", 0.5, True),
        ("axis_excess>.5", 0.6, True),
        ("axis_excess>-1", None, False),
    ],
)
def test_gate_fails_where_its_expression_is_met(text: str, score: float | None, fails: bool) -> None:
    assert parse_gate(text).fails(score) is fails


def test_gate_reads_back_what_it_writes() -> None:
    gate = Gate("axis_excess", "<=", 0.123456789)
    assert parse_gate(str(gate)) == gate


@pytest.mark.parametrize(
    "text", ["", "axis_excess", "axis_excess=1", "axis_excess>", "axis_excess>x", "axis_excess>nan", ">1", "a>1>2"]
)
def test_gate_of_bad_syntax_is_quoted_with_what_would_be_right(text: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_gate(text)
    assert repr(text) in str(caught.value)
    assert "METRIC OPERATOR NUMBER with one of > >= < <=" in str(caught.value)


def test_gate_on_an_unknown_metric_lists_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"'axis_exces' in the gate 'axis_exces>1'; did you mean axis_excess\? known"):
        parse_gate("axis_exces>1")


@pytest.mark.parametrize(("operator", "value"), [("!=", 1.0), (">", math.inf)])
def test_gate_cannot_be_built_from_nonsense(operator: str, value: float) -> None:
    with pytest.raises(InputError, match="finite number by one of"):
        Gate("axis_excess", operator, value)
