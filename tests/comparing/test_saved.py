"""Results compared from files: what is read back, and what is refused."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from artifactlab import Diagnosis, InputError, compare
from artifactlab.comparing.saved import SavedScores, saved
from artifactlab.report.score_table import RENDER
from artifactlab.scoring.score_report import ImageScore, ScoreReport

BAD = [0.5, 0.6, 0.4, 0.5, 0.6, 0.5]

GOOD = [0.1, 0.0, 0.0, 0.1, 0.0, 0.0]


def test_files_compare_as_what_they_were_written_from(tmp_path: Path, bad: Diagnosis, healthy: Diagnosis) -> None:
    for name, result in (("bad", bad), ("good", healthy)):
        (tmp_path / f"{name}.json").write_text(result.to_json())
    from_files = compare(tmp_path / "bad.json", tmp_path / "good.json")
    assert replace(from_files, config={}) == replace(compare(bad, healthy), config={})


def test_csv_compares_as_json_does(report: Callable[..., ScoreReport], tmp_path: Path) -> None:
    before = report(edge_jaggedness=[*BAD, None], axis_excess=[*GOOD, 0.25])
    (tmp_path / "a.csv").write_text(RENDER["csv"](before))
    after = report(edge_jaggedness=[*GOOD, 1.0], axis_excess=[*GOOD, 0.25])
    assert compare(tmp_path / "a.csv", after).metrics == compare(before, after).metrics


ODD_NAMES = (
    *("=cmd|calc!A0.png", "+1.png", "-1.png", "@SUM(A1).png", "\t=1.png", " =1.png", "\uff1d1.png", "|x.png", "%x.png"),
    *("a\rb.png", "b\nc.png", "c\r\nd.png", "d\u2028x.png", "e\u2029x.png", "f\x85x.png", "g\x0bx.png", "h\x1ex.png"),
    *('i".png', "j,=1.png", "k;=1.png", "l\udcffx.png", "'m.png", "n.png"),
)


def test_csv_gives_every_name_back_and_holds_no_formula(tmp_path: Path) -> None:
    rows = tuple(ImageScore(name, {"axis_excess": 0.5}, None) for name in ODD_NAMES)
    written = ScoreReport(rows, {}, None, {"metrics": ["axis_excess"], "periods": [2, 16]})
    text = RENDER["csv"](written)
    (tmp_path / "a.csv").write_bytes(text.encode("utf-8", "surrogateescape"))
    read = saved(tmp_path / "a.csv")
    assert isinstance(read, SavedScores)
    assert set(read.images) == {Path(name).stem for name in ODD_NAMES}
    cells = [row[0] for row in csv.reader(io.StringIO(text, newline=""))]
    assert not [cell for cell in cells if cell.lstrip()[:1] in "=+-@|%\uff1d"]
    assert {str(Path(cell)) for cell in cells[1:]} == set(ODD_NAMES)


def test_csv_with_a_cell_that_no_path_fills_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(f"path,axis_excess,error\n{'a' * 200_000}.png,0.1,\n")
    with pytest.raises(InputError, match="is damaged"):
        saved(tmp_path / "a.csv")


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
        ('{"tool": {"name": "artifactlab"}, "images": 3, "schema_version": "3.0"}', "is damaged"),
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


def test_mistakes_are_named(report: Callable[..., ScoreReport], bad: Diagnosis) -> None:
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


def test_the_folder_of_a_report_is_its_diagnosis(tmp_path: Path, bad: Diagnosis, healthy: Diagnosis) -> None:
    for name, result in (("report", bad), ("after", healthy)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "diagnosis.json").write_text(result.to_json())
        (tmp_path / name / "diagnosis.png").write_bytes(b"a picture that is no output")
    outcome = compare(tmp_path / "report", tmp_path / "after")
    assert (outcome.kind, outcome.verdict) == ("diagnoses", "better")


def test_images_of_one_name_are_called_that_and_not_damage(report: Callable[..., ScoreReport], tmp_path: Path) -> None:
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
