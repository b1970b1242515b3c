"""Scores compared in pairs: intervals and verdicts."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import cv2
import jsonschema
import numpy as np
import pytest

from artifactlab import InputError, compare
from artifactlab.comparing.changes import MIN_CHANGED
from artifactlab.report.score_table import RENDER
from artifactlab.scoring.measures import METRICS
from artifactlab.scoring.score_report import ScoreReport

SCHEMA = json.loads((files("artifactlab") / "schemas" / "compare.json").read_text())

BAD = [0.5, 0.6, 0.4, 0.5, 0.6, 0.5]

GOOD = [0.1, 0.0, 0.0, 0.1, 0.0, 0.0]


def test_lower_scores_are_better_and_the_sentence_says_so_with_numbers(report: Callable[..., ScoreReport]) -> None:
    outcome = compare(report(edge_jaggedness=BAD), report(edge_jaggedness=GOOD))
    (metric,) = outcome.metrics
    assert outcome.verdict == metric.verdict == "better"
    assert metric.before == pytest.approx(statistics.mean(BAD))
    assert metric.after == pytest.approx(statistics.mean(GOOD))
    assert metric.change == pytest.approx(metric.after - metric.before)
    assert metric.low < metric.change < metric.high < 0
    assert outcome.text.startswith("Better: edge_jaggedness fell from 0.517 to 0.0333 (by 0.483, 90% interval ")


def test_the_same_two_the_other_way_round_are_worse(report: Callable[..., ScoreReport]) -> None:
    assert compare(report(edge_jaggedness=GOOD), report(edge_jaggedness=BAD)).verdict == "worse"


def test_a_metric_of_which_higher_is_better_is_judged_so(
    report: Callable[..., ScoreReport], monkeypatch: pytest.MonkeyPatch
) -> None:
    metrics = {**METRICS, "axis_excess": replace(METRICS["axis_excess"], better="higher")}
    monkeypatch.setattr("artifactlab.comparing.changes.METRICS", metrics)
    assert compare(report(axis_excess=BAD), report(axis_excess=GOOD)).verdict == "worse"


def test_pairs_count_not_the_spread_between_images(report: Callable[..., ScoreReport]) -> None:
    before = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]
    after = [score + 0.01 + 0.001 * n for n, score in enumerate(before)]
    assert compare(report(edge_jaggedness=before), report(edge_jaggedness=after)).verdict == "worse"
    shuffled = [after[(n * 3) % 8] for n in range(8)]
    assert compare(report(edge_jaggedness=before), report(edge_jaggedness=shuffled)).verdict == "cannot tell"


def test_images_are_paired_by_stem_whatever_their_order_and_suffix(report: Callable[..., ScoreReport]) -> None:
    before, after = report("a", edge_jaggedness=BAD), report("b", edge_jaggedness=GOOD)
    turned = [replace(image, path=image.path.replace(".png", ".jpg")) for image in reversed(after.images)]
    assert compare(before, replace(after, images=tuple(turned))).metrics == compare(before, after).metrics


def test_what_got_worse_weighs_more_than_what_got_better(report: Callable[..., ScoreReport]) -> None:
    before = report(edge_jaggedness=BAD, axis_excess=GOOD)
    outcome = compare(before, report(edge_jaggedness=GOOD, axis_excess=BAD))
    assert outcome.verdict == "worse"
    assert outcome.text.startswith("Worse: axis_excess rose from")
    assert "; but edge_jaggedness fell from" in outcome.text
    assert compare(before, before).verdict == "cannot tell"


def test_more_metrics_widen_each_interval(report: Callable[..., ScoreReport]) -> None:
    alone = compare(report(edge_jaggedness=BAD), report(edge_jaggedness=GOOD)).metrics[0]
    others = {name: BAD for name in METRICS if name != "direction_divergence"}
    compared = compare(report(**others), report(**{**others, "edge_jaggedness": GOOD}))
    (among,) = (metric for metric in compared.metrics if metric.name == "edge_jaggedness")
    assert among.low < alone.low
    assert among.high > alone.high
    assert among.change == alone.change


@pytest.mark.parametrize("metric", ["severity", "worst_window"])
def test_what_shows_nowhere_is_neither_better_nor_worse(report: Callable[..., ScoreReport], metric: str) -> None:
    faint = compare(report(**{metric: GOOD}), report(**{metric: BAD})).metrics[0]
    loud = compare(report(**{metric: GOOD}), report(**{metric: [10 * score for score in BAD]})).metrics[0]
    assert (faint.verdict, loud.verdict) == ("cannot tell", "worse")


def test_too_few_changed_images_cannot_be_told_and_the_reason_is_given(report: Callable[..., ScoreReport]) -> None:
    before = [0.5] * 20
    after = [0.0] * (MIN_CHANGED - 1) + [0.5] * (21 - MIN_CHANGED)
    outcome = compare(report(edge_jaggedness=before), report(edge_jaggedness=after))
    assert outcome.verdict == "cannot tell"
    assert "it changed in 4 of 20 images, 5 are needed" in outcome.text
    assert outcome.metrics[0].low is None


def test_what_two_machines_differ_by_is_no_change(report: Callable[..., ScoreReport]) -> None:
    after = [score * (1 + 1e-6) for score in BAD]
    outcome = compare(report(edge_jaggedness=BAD), report(edge_jaggedness=after))
    assert (outcome.verdict, outcome.metrics[0].reason) == ("cannot tell", "it is the same in every image")


def test_images_without_a_score_are_left_out_and_counted(report: Callable[..., ScoreReport]) -> None:
    outcome = compare(
        report(edge_jaggedness=[*BAD, 9.0, None], axis_excess=[None] * 8),
        report(edge_jaggedness=[*GOOD, None, 1.0], axis_excess=GOOD + GOOD[:2]),
    )
    jaggedness, axes = outcome.metrics
    assert (jaggedness.pairs, jaggedness.left_out, jaggedness.verdict) == (6, 2, "better")
    assert (axes.pairs, axes.left_out, axes.before, axes.reason) == (0, 8, None, "no image has this score in both")
    jsonschema.validate(json.loads(outcome.to_json()), SCHEMA)


def test_unreadable_images_are_named(report: Callable[..., ScoreReport]) -> None:
    broken = report("b", errors=["6"], edge_jaggedness=[*GOOD, None])
    assert compare(report(edge_jaggedness=[*BAD, 0.5]), broken).unreadable == ("b/6.png",)


def test_named_metrics_are_compared_alone(report: Callable[..., ScoreReport]) -> None:
    two = report(edge_jaggedness=BAD, axis_excess=GOOD)
    assert [metric.name for metric in compare(two, two, metrics=["axis_excess"]).metrics] == ["axis_excess"]


def test_results_are_the_same_for_a_seed_and_move_with_it(report: Callable[..., ScoreReport]) -> None:
    before, after = report(edge_jaggedness=BAD), report(edge_jaggedness=[0.5, 0.5, 0.3, 0.0, 0.5, 0.4])
    first, second, other = (compare(before, after, seed=seed) for seed in (0, 0, 1))
    assert first.to_json() == second.to_json()
    assert first.metrics[0].high != other.metrics[0].high or first.metrics[0].low != other.metrics[0].low


def test_folders_are_scored_and_compared(tmp_path: Path) -> None:
    for n in range(MIN_CHANGED):
        steps = np.tri(24, k=n - 2, dtype=np.uint8).repeat(4, 0).repeat(4, 1) * 255
        for folder, image in (("stairs", steps), ("smooth", cv2.GaussianBlur(steps, (0, 0), 4))):
            (tmp_path / folder).mkdir(exist_ok=True)
            (tmp_path / folder / f"{n}.png").write_bytes(cv2.imencode(".png", image)[1])
    seen: list[tuple[int, int]] = []
    outcome = compare(
        tmp_path / "stairs",
        tmp_path / "smooth",
        metrics=["edge_jaggedness"],
        progress=lambda done, total: seen.append((done, total)),
    )
    assert (outcome.kind, outcome.verdict, len(seen)) == ("scores", "better", 2 * MIN_CHANGED)
    (tmp_path / "smooth" / "0.png").rename(tmp_path / "smooth" / "zero.png")
    with pytest.raises(
        InputError, match=r"both sides need images of the same names \(.*\); missing before, in '.*stairs': zero"
    ):
        compare(tmp_path / "stairs", tmp_path / "smooth")
    seen.clear()
    outcome = compare(
        tmp_path / "stairs",
        tmp_path / "smooth",
        metrics=["edge_jaggedness"],
        common=True,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert (outcome.metrics[0].pairs, len(seen)) == (MIN_CHANGED - 1, 2 * (MIN_CHANGED - 1))


def test_a_metric_of_a_package_that_is_not_installed_is_named(report: Callable[..., ScoreReport]) -> None:
    two = report(edge_jaggedness=BAD, darkness=BAD)
    with pytest.raises(InputError, match=r"unknown metric 'darkness', which both .* have: install the package"):
        compare(two, two)
    assert len(compare(two, two, metrics=["edge_jaggedness"]).metrics) == 1


def test_few_images_are_called_few_and_chance_is_not_blamed(report: Callable[..., ScoreReport]) -> None:
    columns = {"edge_jaggedness": [0.0, 0.0, 0.0, 0.1], "axis_excess": [0.1, 0.1, 0.2, 0.2]}
    worse = {name: [4 * score + 0.3 for score in scores] for name, scores in columns.items()}
    text = compare(report(**columns), report(**worse)).text
    assert "chance" not in text
    assert "5 are needed" in text
    mixed = compare(report(**columns), report(edge_jaggedness=[0.4] * 4, axis_excess=columns["axis_excess"])).text
    assert "chance" not in mixed
    assert "too few images changed" in mixed


def test_a_score_that_shows_in_no_image_is_neither_better_nor_worse(report: Callable[..., ScoreReport]) -> None:
    faint = [0.00002, 0.00003, 0.00002, 0.00001, 0.00003, 0.00002]
    outcome = compare(report(lattice_amplitude=faint), report(lattice_amplitude=[2 * x for x in faint]))
    assert outcome.verdict == "cannot tell"
    assert "it shows in neither" in outcome.text
    one = [*faint[:-1], 0.02]
    seen = compare(report(lattice_amplitude=one), report(lattice_amplitude=[1.5 * x for x in one]))
    assert "shows in neither" not in seen.text


def test_a_small_change_is_told_in_as_many_digits_as_it_takes(report: Callable[..., ScoreReport]) -> None:
    before = [0.5, 0.51, 0.52, 0.53, 0.54, 0.55, 0.56, 0.57]
    text = compare(report(edge_jaggedness=before), report(edge_jaggedness=[x - 0.0002 for x in before])).text
    assert text.startswith("Better: edge_jaggedness fell from 0.535 to 0.5348")


def test_several_intervals_are_said_to_hold_at_once(report: Callable[..., ScoreReport]) -> None:
    columns = {"edge_jaggedness": BAD, "axis_excess": BAD}
    better = compare(report(**columns), report(edge_jaggedness=GOOD, axis_excess=GOOD))
    assert better.text.endswith("The intervals hold for all 2 metrics at once.")
    assert "at once" not in compare(report(edge_jaggedness=BAD), report(edge_jaggedness=GOOD)).text


def test_scores_against_other_references_are_refused_where_it_matters(report: Callable[..., ScoreReport]) -> None:
    columns = {"edge_jaggedness": BAD, "direction_divergence": BAD}
    first, second = report(**columns), report(**columns)
    first.config["reference"], second.config["reference"] = "r1", "r2"
    with pytest.raises(InputError, match="direction_divergence was scored against 'r1' and 'r2'"):
        compare(first, second)
    assert compare(first, second, metrics=["edge_jaggedness"]).verdict == "cannot tell"
    second.config["reference"] = "./r1/"
    assert len(compare(first, second).metrics) == 2


def test_of_reports_what_both_have_is_compared_where_that_is_asked_for(report: Callable[..., ScoreReport]) -> None:
    whole = report(edge_jaggedness=BAD)
    part = replace(whole, images=whole.images[1:])
    with pytest.raises(InputError, match="both sides need images of the same names"):
        compare(whole, part)
    assert compare(whole, part, common=True).metrics[0].pairs == len(BAD) - 1


def test_json_lines_are_read_as_the_json_is(report: Callable[..., ScoreReport], tmp_path: Path) -> None:
    before, after = (
        report(edge_jaggedness=BAD, axis_excess=BAD),
        report(edge_jaggedness=[x / 2 for x in BAD], axis_excess=BAD),
    )
    (tmp_path / "after.jsonl").write_text(RENDER["jsonl"](after))
    assert compare(before, tmp_path / "after.jsonl").metrics == compare(before, after).metrics
    for text in ("", "{", "[]", '{"path": "a.png"}'):
        (tmp_path / "bad.jsonl").write_text(text)
        with pytest.raises(InputError, match=r"holds no scores|is damaged"):
            compare(before, tmp_path / "bad.jsonl")
