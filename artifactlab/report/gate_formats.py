"""Gates that failed, as build servers read them: annotations on GitHub, JUnit's XML nearly everywhere else."""

from __future__ import annotations

from pathlib import PurePath
from xml.etree import ElementTree

from artifactlab.printable import printable
from artifactlab.scoring.gates import GateFailure
from artifactlab.scoring.score_report import ImageScore, ScoreReport

ESCAPES = {"%": "%25", "\r": "%0D", "\n": "%0A"}
"""What a message of a workflow command cannot hold, as GitHub's toolkit writes it (`core/src/command.ts`)."""
OF_PROPERTIES = {**ESCAPES, ":": "%3A", ",": "%2C"}
"""... and what its properties, such as `file=`, cannot hold."""
NAME = "artifactlab score"
"""What the results are titled."""


def render_github(report: ScoreReport) -> str:
    """A line `::error file=PATH,title=...::MESSAGE` per gate and image that failed, or image that has no scores.

    GitHub shows ten of a step beside the files, and all of them in the log.
    """
    lines = [_annotation(failure.path, str(failure.gate), _words(failure)) for failure in report.failures]
    lines += [_annotation(image.path, "not scored", image.error or "") for image in report.unreadable]
    return "".join(f"{line}\n" for line in lines)


def _annotation(path: str, title: str, message: str) -> str:
    properties = {"file": path, "title": f"{NAME}: {title}"}
    listed = ",".join(f"{name}={_escaped(value, OF_PROPERTIES)}" for name, value in properties.items())
    return f"::error {listed}::{_escaped(message, ESCAPES)}"


def _escaped(text: str, escapes: dict[str, str]) -> str:
    return "".join(escapes.get(character, character) for character in text)


def render_junit(report: ScoreReport) -> str:
    """A testcase per image, with a failure per gate that it met, or an error where it could not be scored."""
    failures: dict[str, list[GateFailure]] = {}
    for failure in report.failures:
        failures.setdefault(failure.path, []).append(failure)
    failed = [image for image in report.images if image.error is None and image.path in failures]
    counts = {"tests": len(report.images), "failures": len(failed), "errors": len(report.unreadable)}
    suites = ElementTree.Element("testsuites")
    suite = ElementTree.SubElement(suites, "testsuite", {"name": NAME, **{k: str(n) for k, n in counts.items()}})
    for image in report.images:
        _add_case(suite, image, failures.get(image.path, []))
    ElementTree.indent(suites)
    text = ElementTree.tostring(suites, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def _add_case(suite: ElementTree.Element, image: ImageScore, failures: list[GateFailure]) -> None:
    """One testcase; XML 1.0 has no word for control characters, so that names are printable ones."""
    path = PurePath(image.path)
    attributes = {"classname": printable(str(path.parent)), "name": printable(path.name)}
    case = ElementTree.SubElement(suite, "testcase", attributes)
    if image.error is not None:
        ElementTree.SubElement(case, "error", {"message": printable(image.error)})
        return
    for failure in failures:
        ElementTree.SubElement(case, "failure", {"type": str(failure.gate), "message": _words(failure)})


def _words(failure: GateFailure) -> str:
    return f"{failure.gate.metric} is {failure.score:.4g}, and {failure.gate} fails"
