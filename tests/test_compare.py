"""What `compare` promises: pairs, intervals, verdicts, and what it refuses to compare."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import cv2
import jsonschema
import numpy as np
import pytest
import torch
from torch import Tensor, nn

import artifactlab
from artifactlab import Diagnosis, InputError, compare
from artifactlab.changes import MIN_CHANGED, MIN_CROPS
from artifactlab.measures import METRICS
from artifactlab.score import ImageScore, ScoreReport

SCHEMA = json.loads((files("artifactlab") / "schemas" / "compare.json").read_text())
BAD = [0.5, 0.6, 0.4, 0.5, 0.6, 0.5]
GOOD = [0.1, 0.0, 0.0, 0.1, 0.0, 0.0]


def report(folder: str = "a", errors: Sequence[str] = (), **scores: Sequence[float | None]) -> ScoreReport:
    """A score report with these columns; images are 0.png, 1.png, ..."""
    rows = [
        ImageScore(f"{folder}/{n}.png", dict(zip(scores, row, strict=True)), "unreadable" if str(n) in errors else None)
        for n, row in enumerate(zip(*scores.values(), strict=True))
    ]
    paths = {"paths": [folder], "reference": None, "recursive": False, "gates": []}
    return ScoreReport(tuple(rows), {}, None, {**paths, "metrics": list(scores), "periods": [2, 16]})


class Grid(nn.Module):
    """Bilinear x2 as a transposed convolution; one of its four phases is brighter by `strength`."""

    def __init__(self, strength: float) -> None:
        super().__init__()
        ramp = torch.tensor([0.25, 0.75, 0.75, 0.25])
        self.up = nn.ConvTranspose2d(1, 1, 4, 2, 1, bias=False)
        self.up.weight = nn.Parameter(torch.outer(ramp, ramp)[None, None].contiguous())
        with torch.no_grad():
            self.up.weight[..., 1::2, 1::2] *= 1 + strength

    def forward(self, x: Tensor) -> Tensor:
        return self.up(x)


def diagnosed(strength: float, side: int = 128, seed: int = 0, content: int = 0) -> Diagnosis:
    image = torch.rand(1, 1, 8, 8, generator=torch.Generator().manual_seed(content))
    image = nn.functional.interpolate(image, size=(side, side), mode="bicubic").clamp(0, 1)
    return artifactlab.diagnose(Grid(strength), image, data_range=1.0, seed=seed)


@pytest.fixture(scope="module")
def bad() -> Diagnosis:
    return diagnosed(0.1)


@pytest.fixture(scope="module")
def healthy() -> Diagnosis:
    return diagnosed(0.0)


def test_lower_scores_are_better_and_the_sentence_says_so_with_numbers() -> None:
    outcome = compare(report(edge_jaggedness=BAD), report(edge_jaggedness=GOOD))
    (metric,) = outcome.metrics
    assert outcome.verdict == metric.verdict == "better"
    assert metric.before == pytest.approx(statistics.mean(BAD))
    assert metric.after == pytest.approx(statistics.mean(GOOD))
    assert metric.change == pytest.approx(metric.after - metric.before)
    assert metric.low < metric.change < metric.high < 0
    assert outcome.text.startswith("Better: edge_jaggedness fell from 0.517 to 0.0333 (by 0.483, 90% interval ")


def test_the_same_two_the_other_way_round_are_worse() -> None:
    assert compare(report(edge_jaggedness=GOOD), report(edge_jaggedness=BAD)).verdict == "worse"


def test_a_metric_of_which_higher_is_better_is_judged_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(METRICS, "axis_excess", replace(METRICS["axis_excess"], better="higher"))
    assert compare(report(axis_excess=BAD), report(axis_excess=GOOD)).verdict == "worse"


def test_pairs_count_not_the_spread_between_images() -> None:
    before = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]
    after = [score + 0.01 + 0.001 * n for n, score in enumerate(before)]
    assert compare(report(edge_jaggedness=before), report(edge_jaggedness=after)).verdict == "worse"
    shuffled = [after[(n * 3) % 8] for n in range(8)]
    assert compare(report(edge_jaggedness=before), report(edge_jaggedness=shuffled)).verdict == "cannot tell"


def test_images_are_paired_by_stem_whatever_their_order_and_suffix() -> None:
    before, after = report("a", edge_jaggedness=BAD), report("b", edge_jaggedness=GOOD)
    turned = [replace(image, path=image.path.replace(".png", ".jpg")) for image in reversed(after.images)]
    assert compare(before, replace(after, images=tuple(turned))).metrics == compare(before, after).metrics


def test_what_got_worse_weighs_more_than_what_got_better() -> None:
    before = report(edge_jaggedness=BAD, axis_excess=GOOD)
    outcome = compare(before, report(edge_jaggedness=GOOD, axis_excess=BAD))
    assert outcome.verdict == "worse"
    assert outcome.text.startswith("Worse: axis_excess rose from")
    assert "; but edge_jaggedness fell from" in outcome.text
    assert compare(before, before).verdict == "cannot tell"


def test_more_metrics_widen_each_interval() -> None:
    alone = compare(report(edge_jaggedness=BAD), report(edge_jaggedness=GOOD)).metrics[0]
    five = {name: BAD for name in METRICS if name != "direction_divergence"}
    among = compare(report(**five), report(**{**five, "edge_jaggedness": GOOD})).metrics[0]
    assert among.low < alone.low
    assert among.high > alone.high
    assert among.change == alone.change


def test_too_few_changed_images_cannot_be_told_and_the_reason_is_given() -> None:
    before = [0.5] * 20
    after = [0.0] * (MIN_CHANGED - 1) + [0.5] * (21 - MIN_CHANGED)
    outcome = compare(report(edge_jaggedness=before), report(edge_jaggedness=after))
    assert outcome.verdict == "cannot tell"
    assert "it changed in 4 of 20 images, 5 are needed" in outcome.text
    assert outcome.metrics[0].low is None


def test_what_two_machines_differ_by_is_no_change() -> None:
    after = [score * (1 + 1e-6) for score in BAD]
    outcome = compare(report(edge_jaggedness=BAD), report(edge_jaggedness=after))
    assert (outcome.verdict, outcome.metrics[0].reason) == ("cannot tell", "it is the same in every image")


def test_images_without_a_score_are_left_out_and_counted() -> None:
    outcome = compare(
        report(edge_jaggedness=[*BAD, 9.0, None], axis_excess=[None] * 8),
        report(edge_jaggedness=[*GOOD, None, 1.0], axis_excess=GOOD + GOOD[:2]),
    )
    jaggedness, axes = outcome.metrics
    assert (jaggedness.pairs, jaggedness.left_out, jaggedness.verdict) == (6, 2, "better")
    assert (axes.pairs, axes.left_out, axes.before, axes.reason) == (0, 8, None, "no image has this score in both")
    jsonschema.validate(json.loads(outcome.to_json()), SCHEMA)


def test_unreadable_images_are_named() -> None:
    broken = report("b", errors=["6"], edge_jaggedness=[*GOOD, None])
    assert compare(report(edge_jaggedness=[*BAD, 0.5]), broken).unreadable == ("b/6.png",)


def test_named_metrics_are_compared_alone() -> None:
    two = report(edge_jaggedness=BAD, axis_excess=GOOD)
    assert [metric.name for metric in compare(two, two, metrics=["axis_excess"]).metrics] == ["axis_excess"]


def test_results_are_the_same_for_a_seed_and_move_with_it() -> None:
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
        InputError, match=r"both sides need images of the same names; missing before, in '.*stairs': zero"
    ):
        compare(tmp_path / "stairs", tmp_path / "smooth")


def test_a_cured_diagnosis_is_better_and_nothing_is_left(bad: Diagnosis, healthy: Diagnosis) -> None:
    outcome = compare(bad, healthy)
    assert (outcome.kind, outcome.verdict) == ("diagnoses", "better")
    assert [metric.name for metric in outcome.metrics] == ["severity", "lattice_amplitude", "edge_jaggedness"]
    severity = outcome.metrics[0]
    assert (severity.before, severity.after) == (bad.output["severity"], healthy.output["severity"])
    assert severity.pairs == bad.config["crops"] >= MIN_CROPS
    assert outcome.text.endswith("Nothing is left that shows.")
    assert (outcome.offenders_gone, outcome.offenders_new) == (("up/conv_transpose2d#0",), ())
    jsonschema.validate(json.loads(outcome.to_json()), SCHEMA)


def test_the_amplitude_of_halves_is_in_the_units_of_all_of_it(bad: Diagnosis, healthy: Diagnosis) -> None:
    amplitude = compare(bad, healthy).metrics[1]
    assert amplitude.verdict == "better"
    assert amplitude.low < amplitude.change < amplitude.high
    assert amplitude.high - amplitude.low < abs(amplitude.change)


def test_a_new_defect_is_worse_and_its_site_named(bad: Diagnosis, healthy: Diagnosis) -> None:
    outcome = compare(healthy, bad)
    assert outcome.verdict == "worse"
    assert outcome.offenders_new == ("up/conv_transpose2d#0",)


def test_most_of_a_cure_is_better_without_being_gone(bad: Diagnosis) -> None:
    outcome = compare(bad, diagnosed(0.06))
    assert outcome.verdict == "better"
    assert "Nothing is left" not in outcome.text


def test_two_clean_outputs_cannot_be_told_apart(healthy: Diagnosis) -> None:
    outcome = compare(healthy, diagnosed(0.002))
    assert outcome.verdict == "cannot tell"
    assert "shows in neither" in outcome.text


def test_half_samples_spread_as_the_error_of_all_crops_does(bad: Diagnosis) -> None:
    assert len(bad.half_samples["grid"]) == len(bad.half_samples["steps"]) == 200
    total = np.add(bad.half_samples["grid"], bad.half_samples["steps"])
    assert total.mean() == pytest.approx(bad.output["severity"], rel=0.1)
    assert [set(row) for row in bad.per_input] == [{"severity", "lattice_amplitude", "edge_jaggedness"}]
    assert bad.per_input[0]["severity"] == pytest.approx(bad.output["severity"])


def test_few_crops_cannot_be_told_and_the_reason_is_given() -> None:
    before, after = diagnosed(0.1, side=40), diagnosed(0.0, side=40)
    assert before.half_samples == {"grid": (), "steps": ()}
    outcome = compare(before, after)
    assert outcome.verdict == "cannot tell"
    assert "1 crops of outputs, 8 are needed" in outcome.text


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"inputs_sha256": "0" * 64}, "different inputs: diagnose both models on the same images"),
        ({"crops": 18}, r"different numbers of crops \(9 and 18\)"),
        ({"output": "aux"}, r"different outputs of the model \(None and aux\): diagnose both with the same --output"),
        ({"seed": 1}, r"different seeds \(0 and 1\): diagnose both with the same --seed"),
        ({"period": [4, 4]}, "different lattices"),
        ({"data_range": 2.0}, r"different data ranges \(1 and 2\)"),
    ],
)
def test_diagnoses_that_were_not_made_alike_are_refused(bad: Diagnosis, changed: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        compare(bad, replace(bad, config={**bad.config, **changed}))


def test_other_inputs_have_another_digest_and_the_same_ones_the_same(bad: Diagnosis, healthy: Diagnosis) -> None:
    assert bad.config["inputs_sha256"] == healthy.config["inputs_sha256"]
    assert diagnosed(0.0, side=40).config["inputs_sha256"] != diagnosed(0.0, side=40, content=1).config["inputs_sha256"]


def test_files_compare_as_what_they_were_written_from(tmp_path: Path, bad: Diagnosis, healthy: Diagnosis) -> None:
    for name, result in (("bad", bad), ("good", healthy)):
        (tmp_path / f"{name}.json").write_text(result.to_json())
    from_files = compare(tmp_path / "bad.json", tmp_path / "good.json")
    assert replace(from_files, config={}) == replace(compare(bad, healthy), config={})


def test_csv_compares_as_json_does(tmp_path: Path) -> None:
    from artifactlab.report.score_table import RENDER

    before = report(edge_jaggedness=[*BAD, None], axis_excess=[*GOOD, 0.25])
    (tmp_path / "a.csv").write_text(RENDER["csv"](before))
    after = report(edge_jaggedness=[*GOOD, 1.0], axis_excess=[*GOOD, 0.25])
    assert compare(tmp_path / "a.csv", after).metrics == compare(before, after).metrics


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "it is no JSON"),
        ("[" * 100_000, "it is no JSON"),
        ('{"x": NaN}', "NaN is no JSON number"),
        ("[]", "neither a diagnosis nor scores"),
        ('{"images": []}', "neither a diagnosis nor scores"),
        ('{"tool": {"name": "artifactlab"}, "sites": [], "schema_version": "1.1"}', "diagnose again with this version"),
        ('{"tool": {"name": "artifactlab"}, "images": [], "schema_version": "0.9"}', "score again with this version"),
        ('{"tool": {"name": "artifactlab"}, "images": 3, "schema_version": "2.0"}', "is damaged"),
    ],
)
def test_a_file_that_is_none_of_ours_is_one_clear_error(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(InputError, match=message):
        compare(tmp_path / "a.json", tmp_path / "a.json")


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("half_samples", None),
        ("half_samples", {"grid": [1.0], "steps": []}),
        ("output", None),
        ("config", {"crops": 9}),
    ],
)
def test_a_diagnosis_that_lacks_something_is_damaged(tmp_path: Path, bad: Diagnosis, place: str, value: object) -> None:
    data = {**bad.to_dict(), place: value}
    (tmp_path / "a.json").write_text(json.dumps(data))
    with pytest.raises(InputError, match="is damaged"):
        compare(tmp_path / "a.json", bad)


def test_mistakes_are_named(bad: Diagnosis) -> None:
    scores = report(edge_jaggedness=BAD)
    for before, after, options, message in [
        (bad, scores, {}, "cannot compare a diagnosis with scores"),
        (scores, report(axis_excess=BAD), {}, "no metric that both have"),
        (scores, scores, {"metrics": ["jag"]}, "unknown metric 'jag'"),
        (scores, scores, {"metrics": ["severity"]}, "severity is not in both; they have edge_jaggedness"),
        (scores, scores, {"reference": "ref"}, "a reference is for folders"),
        (scores, report(edge_jaggedness=BAD[:-1]), {}, "missing after, in 'this ScoreReport': 5"),
        (scores, 3, {}, "cannot compare a int"),
        (scores, "nowhere.json", {}, "cannot read 'nowhere.json': No such file"),
    ]:
        with pytest.raises(InputError, match=message):
            compare(before, after, **options)


def test_few_images_are_called_few_and_chance_is_not_blamed() -> None:
    columns = {"edge_jaggedness": [0.0, 0.0, 0.0, 0.1], "axis_excess": [0.1, 0.1, 0.2, 0.2]}
    worse = {name: [4 * score + 0.3 for score in scores] for name, scores in columns.items()}
    text = compare(report(**columns), report(**worse)).text
    assert "chance" not in text
    assert "5 are needed" in text
    mixed = compare(report(**columns), report(edge_jaggedness=[0.4] * 4, axis_excess=columns["axis_excess"])).text
    assert "chance" not in mixed
    assert "too few images changed" in mixed


def test_a_score_that_shows_in_no_image_is_neither_better_nor_worse() -> None:
    faint = [0.00002, 0.00003, 0.00002, 0.00001, 0.00003, 0.00002]
    outcome = compare(report(lattice_amplitude=faint), report(lattice_amplitude=[2 * x for x in faint]))
    assert outcome.verdict == "cannot tell"
    assert "it shows in neither" in outcome.text
    one = [*faint[:-1], 0.02]
    seen = compare(report(lattice_amplitude=one), report(lattice_amplitude=[1.5 * x for x in one]))
    assert "shows in neither" not in seen.text


def test_a_small_change_is_told_in_as_many_digits_as_it_takes() -> None:
    before = [0.5, 0.51, 0.52, 0.53, 0.54, 0.55, 0.56, 0.57]
    text = compare(report(edge_jaggedness=before), report(edge_jaggedness=[x - 0.0002 for x in before])).text
    assert text.startswith("Better: edge_jaggedness fell from 0.535 to 0.5348")


def test_several_intervals_are_said_to_hold_at_once() -> None:
    columns = {"edge_jaggedness": BAD, "axis_excess": BAD}
    better = compare(report(**columns), report(edge_jaggedness=GOOD, axis_excess=GOOD))
    assert better.text.endswith("The intervals hold for all 2 metrics at once.")
    assert "at once" not in compare(report(edge_jaggedness=BAD), report(edge_jaggedness=GOOD)).text


def test_a_severity_that_differs_by_rounding_is_the_same(bad: Diagnosis) -> None:
    nudged = replace(bad, output={**bad.output, "severity": bad.output["severity"] * (1 + 5e-5)})
    row = compare(bad, nudged).metrics[0]
    assert (row.change, row.low, row.reason) == (0.0, None, "it is the same")


def test_the_folder_of_a_report_is_its_diagnosis(tmp_path: Path, bad: Diagnosis, healthy: Diagnosis) -> None:
    for name, result in (("report", bad), ("after", healthy)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "diagnosis.json").write_text(result.to_json())
        (tmp_path / name / "diagnosis.png").write_bytes(b"a picture that is no output")
    outcome = compare(tmp_path / "report", tmp_path / "after")
    assert (outcome.kind, outcome.verdict) == ("diagnoses", "better")


def test_scores_against_other_references_are_refused_where_it_matters() -> None:
    columns = {"edge_jaggedness": BAD, "direction_divergence": BAD}
    first, second = report(**columns), report(**columns)
    first.config["reference"], second.config["reference"] = "r1", "r2"
    with pytest.raises(InputError, match="direction_divergence was scored against 'r1' and 'r2'"):
        compare(first, second)
    assert compare(first, second, metrics=["edge_jaggedness"]).verdict == "cannot tell"
    second.config["reference"] = "./r1/"
    assert len(compare(first, second).metrics) == 2


def test_images_of_one_name_are_called_that_and_not_damage(tmp_path: Path) -> None:
    rows = (
        ImageScore("A/x.png", {"edge_jaggedness": 0.1}, None),
        ImageScore("B/x.png", {"edge_jaggedness": 0.1}, None),
    )
    twice = replace(report(edge_jaggedness=[0.1, 0.1]), images=rows)
    (tmp_path / "twice.json").write_text(twice.to_json())
    for given in (twice, tmp_path / "twice.json"):
        with pytest.raises(InputError, match="share one") as caught:
            compare(given, given)
        assert "damaged" not in str(caught.value)
