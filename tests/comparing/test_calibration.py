"""Gates that are chosen from good and bad images, and what is promised of them."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev

import pytest
from scipy.stats import beta, binomtest

from artifactlab.comparing import calibrate
from artifactlab.comparing.calibration import images_needed
from artifactlab.comparing.intervals import share_interval
from artifactlab.errors import InputError
from artifactlab.scoring import ImageScore, ScoreReport, parse_gate
from artifactlab.scoring.gate_files import gates_toml, read_gates

Column = Sequence[float | None]


def report(columns: Mapping[str, Column], broken: int = 0) -> ScoreReport:
    rows = [
        ImageScore(f"{number}.png", dict(zip(columns, scores, strict=True)), None)
        for number, scores in enumerate(zip(*columns.values(), strict=True))
    ]
    rows += [ImageScore(f"broken{n}.png", dict.fromkeys(columns), "no image") for n in range(broken)]
    return ScoreReport(tuple(rows), {}, None, {"metrics": list(columns)})  # type: ignore[typeddict-item]


def drawn(count: int, seed: int, scale: float = 1.0) -> list[float]:
    generator = random.Random(seed)
    return [scale * generator.expovariate(1) for _ in range(count)]


@pytest.mark.parametrize(("count", "images"), [(0, 7), (7, 7), (3, 100), (99, 100), (1, 1)])
def test_share_interval_is_scipys_exact_one(count: int, images: int) -> None:
    low, high = binomtest(count, images).proportion_ci(0.9, method="exact")
    assert share_interval(count, images, 0.9) == pytest.approx((low, high), abs=1e-9)


@pytest.mark.parametrize("wanted", [0.01, 0.03, 0.1, 1 / 3])
def test_it_takes_as_many_images_as_order_statistics_need(wanted: float) -> None:
    needed = images_needed(wanted)
    setting = (needed + 1) // 2
    assert beta.mean(1, setting) <= wanted + 1e-12  # chance to lie above the largest of them
    assert beta.mean(1, setting - 1) > wanted or needed == 4
    with pytest.raises(InputError, match=f"takes {needed} good images"):
        calibrate(report({"severity": drawn(needed - 1, 0)}), report({"severity": [9.0] * 4}), wanted)
    calibrate(report({"severity": drawn(needed, 0)}), report({"severity": [9.0] * 4}), wanted)


@pytest.mark.parametrize(("wanted", "images"), [(0.1, 120), (0.01, 198)])
def test_gates_on_average_accuse_no_more_than_is_wanted_of_all_there_could_be(wanted: float, images: int) -> None:
    names = ("severity", "worst_window", "edge_jaggedness")
    rates, counted, gates = [], [], 0
    for seed in range(0, 1000, 10):
        good = report({name: drawn(images, seed + place) for place, name in enumerate(names)})
        bad = report({name: drawn(60, seed + 5 + place, 4) for place, name in enumerate(names)})
        found = calibrate(good, bad, wanted, seed)
        rates.append(1 - math.prod(1 - math.exp(-chosen.gate.value) for chosen in found.gates))
        counted.append(found.accused.count / found.accused.images)
        gates += len(found.gates)
    error = stdev(rates) / math.sqrt(len(rates))
    assert wanted / 2 < fmean(rates) < wanted + 2 * error
    assert fmean(counted) == pytest.approx(fmean(rates), abs=3 * stdev(counted) / math.sqrt(len(rates)))
    assert gates > (150 if wanted == 0.1 else 99)


def test_what_is_printed_is_counted_on_images_that_had_no_say() -> None:
    good, bad = report({"severity": drawn(200, 1)}), report({"severity": drawn(50, 2, 3)})
    found = calibrate(good, bad, 0.05)
    assert (found.accused.images, found.caught.images) == (50, 25)
    (chosen,) = found.gates
    everywhere = [image for image in good.images if chosen.gate.fails(image.scores["severity"])]
    assert found.accused.count < len(everywhere)


def test_bad_images_of_two_kinds_get_a_gate_each_and_a_metric_that_tells_nothing_gets_none() -> None:
    good = {"severity": drawn(200, 1), "edge_jaggedness": drawn(200, 2), "axis_excess": drawn(200, 3)}
    kinds = [50.0 if n % 2 else 0.0 for n in range(60)]
    bad = {"severity": kinds, "edge_jaggedness": [50.0 - kind for kind in kinds], "axis_excess": [0.0] * 60}
    found = calibrate(report(good), report(bad), 0.02)
    assert {chosen.gate.metric for chosen in found.gates} == {"severity", "edge_jaggedness"}
    assert found.caught.count == found.caught.images == 30
    assert sum(chosen.caught.count for chosen in found.gates) == 30


def test_a_metric_that_a_good_image_lacks_gets_no_gate_as_score_would_refuse_that_image() -> None:
    good = {"severity": [None, *drawn(199, 1)], "edge_jaggedness": drawn(200, 2)}
    bad = {"severity": [50.0] * 20, "edge_jaggedness": [50.0] * 20}
    found = calibrate(report(good), report(bad))
    assert [chosen.gate.metric for chosen in found.gates] == ["edge_jaggedness"]
    assert found.left_out == ("severity",)
    with pytest.raises(InputError, match="no gate can be on severity, as some good images have no score"):
        calibrate(report({"severity": good["severity"]}), report({"severity": bad["severity"]}))


def test_thresholds_are_rounded_to_the_side_that_accuses_no_more() -> None:
    good = report({"severity": [1 + n / 1e6 + 0.00004321 for n in range(200)]})
    (chosen,) = calibrate(good, report({"severity": [5.0] * 4})).gates
    assert chosen.gate.value == 1.001
    assert chosen.accused.count == 0


def test_images_that_cannot_be_read_count_as_none() -> None:
    with pytest.raises(InputError, match="got 196 that could be scored"):
        calibrate(report({"severity": drawn(196, 0)}, broken=3), report({"severity": [9.0] * 4}))
    with pytest.raises(InputError, match="it takes 2 bad images, one to choose the gates and one to count; got 1"):
        calibrate(report({"severity": drawn(198, 0)}), report({"severity": [9.0]}, broken=3))


def test_too_few_images_are_told_what_they_would_do_for() -> None:
    bad = report({"severity": [9.0] * 4})
    good = report({"severity": drawn(150, 0)})
    with pytest.raises(InputError, match=r"got 150 .* --false-alarms 0.014 /"):
        calibrate(good, bad)
    assert calibrate(good, bad, 0.014).accused.images == 37


def test_bad_images_that_look_like_good_ones_are_an_error_and_not_a_gate_that_never_fails() -> None:
    with pytest.raises(InputError, match="none of the metrics is worse in the bad images"):
        calibrate(report({"severity": drawn(200, 0)}), report({"severity": [0.0] * 10}))


@pytest.mark.parametrize("wanted", [0.0, 1.0, -0.1, math.nan])
def test_a_share_that_is_none_is_refused(wanted: float) -> None:
    with pytest.raises(InputError, match="between 0 and 1"):
        calibrate(report({"severity": drawn(9, 0)}), report({"severity": [9.0] * 4}), wanted)


def test_good_and_bad_must_be_scored_alike() -> None:
    with pytest.raises(InputError, match="same metrics; got severity and axis_excess"):
        calibrate(report({"severity": drawn(200, 0)}), report({"axis_excess": [9.0] * 4}))


def test_file_reads_back_as_the_gates_and_says_where_they_come_from(tmp_path: Path) -> None:
    found = calibrate(report({"severity": drawn(200, 1)}), report({"severity": drawn(50, 2, 9)}), 0.05)
    (tmp_path / "gates.toml").write_text(found.to_toml())
    assert read_gates(tmp_path / "gates.toml") == tuple(chosen.gate for chosen in found.gates)
    assert f"caught = {found.caught.count}\ncaught_of = 25\n" in found.to_toml()


@pytest.mark.parametrize("text", ['"', "\\", "\n\x00\x7f\t", "grün 格 🏁", "'''", "\\u0041"])
def test_strings_of_the_file_are_what_a_toml_reader_reads(text: str, tmp_path: Path) -> None:
    from artifactlab.scoring.gate_files import tomllib

    assert tomllib.loads(gates_toml([parse_gate("severity>1")], {"by": text}))["calibration"] == {"by": text}
    tomllib.loads(gates_toml([parse_gate("severity>1")], {"by": "\udcff"}))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gates = []", "lists no gates"),
        ('gates = "severity>1"', "lists no gates"),
        ("gates = [1]", "lists no gates"),
        ("", "lists no gates"),
        ('gate = ["severity>1"]', "holds 'gate'; a file of gates has gates and calibration"),
        ('gates = ["severty>1"]', "gates.toml: unknown metric 'severty' in the gate 'severty>1'"),
        ("gates = [", "is no TOML"),
        ("gates = [" * 5000, "is no TOML"),
        ("\udcff", "not UTF-8"),
    ],
)
def test_a_file_of_gates_that_is_none_says_what_it_should_hold(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "gates.toml").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(InputError) as caught:
        read_gates(tmp_path / "gates.toml")
    assert message in str(caught.value)


def test_a_file_of_gates_that_is_not_there_is_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read the gates"):
        read_gates(tmp_path / "nowhere.toml")
