"""A gate: a metric, an operator and a number, read from text and written back."""

from __future__ import annotations

import math

import pytest

from artifactlab.errors import InputError
from artifactlab.scoring.gates import Gate, failure_lines, gate_failures, parse_gate


@pytest.mark.parametrize(
    ("text", "score", "fails"),
    [
        ("axis_excess>0.5", 0.5, False),
        ("axis_excess>=0.5", 0.5, True),
        ("axis_excess<0.5", 0.5, False),
        (" axis_excess <= 5e-1 ", 0.5, True),
        ("lattice_amplitude>1/255", 1.1 / 255, True),
        ("lattice_amplitude > 2 / 255", 1.1 / 255, False),
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
    "text",
    [
        "",
        "axis_excess",
        "axis_excess=1",
        "axis_excess>",
        "axis_excess>x",
        "axis_excess>nan",
        ">1",
        "a>1>2",
        "axis_excess>1/0",
        "axis_excess>1/2/3",
    ],
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


def test_a_gate_that_failed_is_one_line_with_the_worst_images_first() -> None:
    gates = [parse_gate("severity>1"), parse_gate("direction_divergence<0.5")]
    rows = [(f"{n}.png", {"severity": float(n), "direction_divergence": 0.1 * n}) for n in range(9)]
    first, second = failure_lines(gate_failures(rows, gates), 300)
    assert first == (
        "gate severity>1.0 failed in 7 of 300 images, worst first: 8 in 8.png, 7 in 7.png, 6 in 6.png, 5 in 5.png,"
        " 4 in 4.png and 2 more"
    )
    assert second.startswith("gate direction_divergence<0.5 failed in 5 of 300 images, worst first: 0 in 0.png, 0.1 in")
    assert failure_lines([], 300) == []
