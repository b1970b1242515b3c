"""Lint's table: places that could not be followed for one reason are one row; everything else is a row of its own."""

from __future__ import annotations

import pytest

from artifactlab.lint import NOT_SEEN, RULES, LintFinding, Rule
from artifactlab.report.lint_table import lint_data, lint_table
from artifactlab.report.terminal import as_text


def finding(rule: Rule, site: str, detail: str) -> LintFinding:
    return LintFinding(site, rule.name, rule.level, (), rule.unit, detail, rule.why, rule.advice)


BLOCKS = [finding(NOT_SEEN, f"block{index}", "it branches on values") for index in range(5)]
OTHERS = [finding(NOT_SEEN, "head", "it is a ScriptModule"), *(finding(RULES[0], f"up{n}", "same") for n in range(2))]


@pytest.mark.parametrize("width", [120, 40])
def test_what_is_not_seen_for_one_reason_is_one_row(width: int) -> None:
    text = " ".join(as_text(lint_table([*OTHERS, *BLOCKS]), width).split())
    assert "it branches on values (and 4 more places)" in text
    assert [f"block{index}" in text for index in range(5)] == [True, False, False, False, False]
    assert all(name in text for name in ("head", "up0", "up1"))
    assert text.endswith("2 warnings, 6 notes. Not everything could be seen: 6 places not followed.")


def test_the_data_holds_them_all() -> None:
    data = lint_data(BLOCKS, source="net.py:Net", sha256=None, trained=True)
    assert [found["site"] for found in data["findings"]] == [found.site for found in BLOCKS]


def test_a_finding_is_one_short_line_where_a_notebook_prints_it() -> None:
    said = repr(LintFinding("dec.up", "border", "note", (1.0,), "px", "zeros beyond the border", "why", "advice"))
    assert said == "LintFinding(dec.up, note border: zeros beyond the border)"
