"""The word for an image, the gates that it is made of, and the order from the worst on."""

from __future__ import annotations

import pytest

from artifactlab.errors import InputError
from artifactlab.scoring import ImageScore, ScoreReport
from artifactlab.scoring.verdict import DEFAULT_GATES, verdict_of


def row(path: str, error: str | None = None, **scores: float | None) -> ImageScore:
    return ImageScore(path, scores, error)


@pytest.mark.parametrize(
    ("scores", "word"),
    [
        ({"severity": 0.0, "worst_window": 0.0}, "clean"),
        ({"severity": 1.0, "worst_window": 1.0}, "clean"),
        ({"severity": 1.1, "worst_window": 1.1}, "shows"),
        ({"severity": 0.1, "worst_window": 1.1}, "shows"),
        ({"severity": None, "worst_window": 1.1}, "shows"),
        ({"severity": None, "worst_window": 0.9}, "cannot tell"),
        ({"severity": None, "worst_window": None}, "cannot tell"),
        ({"severity": 1.1}, "shows"),
        ({"severity": 0.9}, "clean"),
        ({"axis_excess": 0.9}, None),
    ],
)
def test_word_for_an_image(scores: dict[str, float | None], word: str | None) -> None:
    assert verdict_of(scores) == word


def test_default_gates_are_where_severity_begins_to_show() -> None:
    assert [str(gate) for gate in DEFAULT_GATES] == ["severity>1.0", "worst_window>1.0"]


def test_nothing_is_said_of_an_image_that_could_not_be_read() -> None:
    assert row("a.png", "broken", severity=None, worst_window=None).verdict is None


def report(*rows: ImageScore) -> ScoreReport:
    return ScoreReport(rows, {name: {} for name in rows[0].scores}, None, {})  # type: ignore[typeddict-item]


def test_worst_come_first_those_without_a_score_last_and_equals_stay_in_order() -> None:
    rows = [row(name, severity=value) for name, value in zip("abcd", (0.5, None, 2.0, 0.5), strict=True)]
    assert [image.path for image in report(*rows).worst_first("severity").images] == ["c", "a", "d", "b"]


@pytest.mark.parametrize("metric", ["period", "axis_excess", "nothing"])
def test_what_was_not_measured_or_is_neither_better_nor_worse_is_no_order(metric: str) -> None:
    with pytest.raises(InputError, match=f"cannot sort by '{metric}'; sort by one of severity"):
        report(row("a", severity=1.0, period=2.0)).worst_first(metric)
