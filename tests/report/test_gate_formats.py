"""Gates that failed, read back as GitHub's runner and JUnit's readers read them."""

from __future__ import annotations

from xml.etree import ElementTree

from artifactlab.report.gate_formats import render_github, render_junit
from artifactlab.scoring import GateFailure, ImageScore, ScoreReport, parse_gate

UGLY = "a,b:c%0A\r\n::error::x=y/&<\"'>\x1b[2J\udcff.png"
GATES = (parse_gate("severity>1"), parse_gate("worst_window>1"))


def report(*failing: str, broken: tuple[str, ...] = (), fine: tuple[str, ...] = ()) -> ScoreReport:
    rows = [ImageScore(path, {"severity": 1.23456}, None) for path in (*failing, *fine)]
    rows += [ImageScore(path, {"severity": None}, "no image, or a\nbroken one: 100%") for path in broken]
    failures = tuple(GateFailure(gate, path, 1.23456) for gate in GATES for path in failing)
    return ScoreReport(tuple(rows), {}, not failing, {"metrics": ["severity"]}, failures)  # type: ignore[typeddict-item]


def commands(text: str) -> list[tuple[dict[str, str], str]]:
    """Properties and messages, taken apart and put right in the order in which GitHub's runner does."""
    found = []
    for line in text.removesuffix("\n").split("\n"):
        assert line.startswith("::error ")
        listed, message = line.removeprefix("::error ").split("::", 1)
        properties = {}
        for pair in listed.split(","):
            name, value = pair.split("=", 1)
            for code, character in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
                value = value.replace(code, character)
            properties[name] = value
        for code, character in (("%0D", "\r"), ("%0A", "\n"), ("%25", "%")):
            message = message.replace(code, character)
        found.append((properties, message))
    return found


def test_github_gets_a_line_per_gate_and_image_with_the_files_name() -> None:
    assert render_github(report("out/a.png", fine=("out/b.png",))).splitlines() == [
        "::error file=out/a.png,title=artifactlab score%3A severity>1.0::severity is 1.235, and severity>1.0 fails",
        "::error file=out/a.png,title=artifactlab score%3A worst_window>1.0"
        "::worst_window is 1.235, and worst_window>1.0 fails",
    ]


def test_github_reads_back_any_name_and_any_message() -> None:
    *failed, broken = commands(render_github(report(UGLY, broken=("x.png",))))
    assert [properties["file"] for properties, _ in failed] == [UGLY, UGLY]
    assert broken == (
        {"file": "x.png", "title": "artifactlab score: not scored"},
        "no image, or a\nbroken one: 100%",
    )


def test_github_gets_nothing_where_nothing_failed() -> None:
    assert render_github(report(fine=("a.png",))) == ""


def test_junit_has_a_testcase_per_image_and_a_failure_per_gate() -> None:
    suites = ElementTree.fromstring(render_junit(report("out/a.png", broken=("c.png",), fine=("out/b.png",))))
    (suite,) = suites
    assert suite.attrib == {"name": "artifactlab score", "tests": "3", "failures": "1", "errors": "1"}
    assert [(case.get("classname"), case.get("name")) for case in suite] == [
        ("out", "a.png"),
        ("out", "b.png"),
        (".", "c.png"),
    ]
    assert [[child.tag for child in case] for case in suite] == [["failure", "failure"], [], ["error"]]
    assert suite[0][1].attrib == {
        "type": "worst_window>1.0",
        "message": "worst_window is 1.235, and worst_window>1.0 fails",
    }
    assert "broken one: 100%" in str(suite[2][0].get("message"))


def test_junit_is_xml_whatever_images_are_called() -> None:
    text = render_junit(report(UGLY, broken=(UGLY,)))
    (suite,) = ElementTree.fromstring(text.encode("utf-8"))
    assert [case.get("name") for case in suite] == ["&<\"'>\\x1b[2J\\udcff.png"] * 2
