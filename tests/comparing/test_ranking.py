"""Groups of images from best to worst, and which differences are told from chance."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.resources import files

import jsonschema
import numpy as np
import pytest
from scipy.stats import ttest_ind

from artifactlab.comparing import Ranking, rank
from artifactlab.comparing.grouping import members
from artifactlab.comparing.intervals import unpaired_interval
from artifactlab.errors import InputError
from artifactlab.report.ranking_table import ranking_text
from artifactlab.scoring import ImageScore, ScoreReport

SCHEMA = json.loads((files("artifactlab") / "schemas" / "ranking.json").read_text())


def report(groups: Mapping[str, Sequence[float | None]], same_names: bool = True) -> ScoreReport:
    rows = [
        ImageScore(f"out/{group}/{n if same_names else f'{group}{n}'}.png", {"severity": score}, None)
        for group, scores in groups.items()
        for n, score in enumerate(scores)
    ]
    return ScoreReport(tuple(rows), {}, None, {"metrics": ["severity"]})  # type: ignore[typeddict-item]


def verdicts(ranking: Ranking) -> dict[tuple[str, str], str]:
    return {(d.first, d.second): d.change.verdict for d in ranking.differences}


def images(count: int, seed: int) -> np.ndarray:
    """Severities of images, some much harder than others."""
    return np.random.default_rng(seed).exponential(2.0, count)


def test_groups_come_best_first_with_means_and_those_without_a_score_last() -> None:
    ranking = rank(report({"b": [2.0] * 6, "none": [None] * 6, "a": [1.0] * 5 + [None]}))
    assert [(group.name, group.mean, group.images, group.left_out) for group in ranking.groups] == [
        ("a", 1.0, 5, 1),
        ("b", 2.0, 6, 0),
        ("none", None, 0, 6),
    ]


def test_pairs_tell_a_small_difference_that_groups_do_not() -> None:
    hard = images(30, 0)
    better = {"old": hard, "new": hard * 0.9 - 0.05}
    assert verdicts(rank(report(better))) == {("new", "old"): "worse"}
    apart = rank(report(better, same_names=False))
    assert verdicts(apart) == {("new", "old"): "cannot tell"}
    assert [difference.paired for difference in apart.differences] == [False]


def test_groups_of_other_images_are_told_apart_where_they_differ_enough() -> None:
    groups = {"good": images(40, 1), "also good": images(40, 2), "bad": 3 * images(40, 3)}
    ranking = rank(report(groups, same_names=False))
    assert ranking.surely_worse("good") == ("bad",) == ranking.surely_worse("also good")
    assert ranking.surely_worse("bad") == ()


def test_unpaired_interval_is_at_least_welchs_and_holds_what_is_there() -> None:
    held = []
    for seed in range(100):
        generator = np.random.default_rng(seed)
        first, second = generator.exponential(1, 12), generator.exponential(2, 25)
        low, high = unpaired_interval(first, second, 0.9, seed)
        welch = ttest_ind(second, first, equal_var=False).confidence_interval(0.9)
        assert low <= welch.low + 1e-9
        assert high >= welch.high - 1e-9
        held.append(low <= 1 <= high)
    assert np.mean(held) > 0.85


@pytest.mark.parametrize("same_names", [True, False])
def test_of_six_groups_that_are_alike_hardly_ever_one_is_called_better(same_names: bool) -> None:
    wrong = 0
    for seed in range(10):
        groups = {f"g{n}": images(12, 100 * seed + n) for n in range(6)}
        wrong += any(verdict != "cannot tell" for verdict in verdicts(rank(report(groups, same_names))).values())
    assert wrong <= 3  # one in ten is allowed at most: more than 3 of 10 come with a chance of 1%


def test_too_few_images_or_a_difference_that_nobody_sees_is_none() -> None:
    few = rank(report({"a": [0.0] * 4, "b": [9.0] * 4}, same_names=False))
    assert "too few images" in (few.differences[0].change.reason or "")
    assert few.groups[0].low is None
    faint = rank(report({"a": [0.0] * 40, "b": [0.1] * 40}))
    assert "it shows in neither" in (faint.differences[0].change.reason or "")


@pytest.mark.parametrize(
    ("paths", "by", "expected"),
    [
        (["x/a/1.png", "x/b/deep/1.png"], "folder", [("a", "1.png"), ("b", "deep/1.png")]),
        (["a/1.png", "b/1.png"], "folder", [("a", "1.png"), ("b", "1.png")]),
        (["/r/a/v/1.png", "/r/b/v/1.png"], "folder", [("a", "v/1.png"), ("b", "v/1.png")]),
        (["s1/k.png", "s2/k.png"], r"s\d", [("s1", "*/k.png"), ("s2", "*/k.png")]),
        (["k_step01.png", "k_step2.png"], r"step(\d+)", [("01", "k_step*.png"), ("2", "k_step*.png")]),
    ],
)
def test_paths_part_into_a_group_and_a_name(paths: list[str], by: str, expected: list[tuple[str, str]]) -> None:
    assert members(paths, by) == expected


@pytest.mark.parametrize(
    ("paths", "by", "message"),
    [
        (["x/1.png", "x/2.png"], "folder", "beside them lie: x/1.png, x/2.png"),
        (["x/1.png", "x/a/2.png"], "folder", "beside them lie: x/1.png"),
        (["a.png", "b.png"], "[", "cannot read '['"),
        (["s1.png", "b.png"], r"s(\d)", "names no group in the images: b.png"),
        (["s1.png", "s.png"], r"s(\d)?", "names no group in the images: s.png"),
        (["s1a.png", "s1b.png"], r"s(\d)", "all images are in one group, '1'"),
    ],
)
def test_what_makes_no_groups_says_why(paths: list[str], by: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        members(paths, by)
    assert message in str(caught.value)


def test_a_metric_that_was_not_measured_cannot_be_ranked_by() -> None:
    with pytest.raises(InputError, match="cannot sort by 'period'"):
        rank(report({"a": [1.0], "b": [2.0]}), metric="period")


def test_json_is_valid_and_the_table_says_who_is_best_and_how_sure_that_is() -> None:
    ranking = rank(report({"b[red]": images(20, 1) + 1, "a": images(20, 1), "c": images(20, 1) + 0.0001}))
    jsonschema.validate(json.loads(ranking.to_json()), SCHEMA)
    text = " ".join(ranking_text(ranking).split())
    assert "b[red] 20" in text
    assert "a is among the best: between a and c no difference is more than chance" in text
    assert "3 of 3 differences are of the same images in pairs; all of them hold at once at 90%" in text
