"""Tables in narrow terminals, and nothing but text where nobody looks."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from types import SimpleNamespace
from typing import Any

import by_hand
import pytest
import torch
from rich.console import Console, RenderableType

from artifactlab.attribution.diagnosis import Diagnosis
from artifactlab.attribution.records import Effect, OutputMeasures, SiteDiagnosis
from artifactlab.attribution.sites.records import Evidence, Site
from artifactlab.attribution.verdict_text import share_text
from artifactlab.cli import progress
from artifactlab.lint import RULES, LintFinding
from artifactlab.report.diagnosis_table import diagnosis_table
from artifactlab.report.fix_report import fix_table
from artifactlab.report.glossary import GLOSSARY, VERDICTS
from artifactlab.report.lint_table import lint_table, rules_table
from artifactlab.report.metrics_table import metrics_table
from artifactlab.report.terminal import as_text, print_out

LONG = "model.decoder.the_second_stage_of_it.blocks.11.upsample.upsampling_convolution"
EFFECT = Effect(-1234.5, -23456.7, -1001.2, -0.123, "checkerboard")


def diagnosis() -> Diagnosis:
    site = Site(LONG, "conv_transpose2d", 0, (2, 2), (16, 8), (1, 512, 8, 8), (1, 256, 16, 16))
    found = SiteDiagnosis(site, Evidence(0.12, 0.0, 0.34), EFFECT, "compensated", 1, 1)
    return Diagnosis(
        (found,), f"Leave {LONG} alone.", OutputMeasures(1.0, 0.004, 0.0, 0.0, 0.0), SimpleNamespace(layout="NCHW")
    )


def lint_findings() -> list[LintFinding]:
    return [
        LintFinding(
            LONG, rule.name, rule.level, (0.123, 0.456), rule.unit, "kernel 3x3, stride 2x2", rule.why, rule.advice
        )
        for rule in RULES
    ]


@cache
def fix() -> Any:
    """What `fix_table` reads of a fix, with the longest of everything."""
    model = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3, padding=1), torch.nn.PixelShuffle(2))
    from artifactlab.fix import fix_site

    torch.manual_seed(0)
    made = fix_site(model, torch.rand(1, 1, 64, 64), "1")
    return SimpleNamespace(**{**vars(made), "warnings": (f"{LONG} is shared by two sites, which both changed",)})


def a_diagnosis_table() -> RenderableType:
    return diagnosis_table(diagnosis())


def a_lint_table() -> RenderableType:
    return lint_table(lint_findings())


def a_fix_table() -> RenderableType:
    return fix_table(fix())


TABLES: dict[str, Callable[[], RenderableType]] = {
    "diagnosis": a_diagnosis_table,
    "lint": a_lint_table,
    "rules": rules_table,
    "metrics": metrics_table,
    "fix": a_fix_table,
}
NUMBERS = {
    "diagnosis": ["16x8", "0.34 / 0.12", "-1234 [-23457, -1001]", "0%", "compensated"],
    "lint": ["0.12 x 0.46", "uneven-overlap"],
}
"""What must not be broken by a new line."""


def rendered(table: RenderableType, width: int) -> list[str]:
    text = io.StringIO()
    Console(file=text, width=width, color_system=None).print(table)
    return text.getvalue().splitlines()


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("name", TABLES)
def test_tables_fit_and_nothing_is_cut_off(name: str, width: int) -> None:
    lines = rendered(TABLES[name](), width)
    assert max(map(len, lines)) <= width
    assert not any("…" in line for line in lines)
    for number in NUMBERS.get(name, []):
        assert any(number in line for line in lines), number


@pytest.mark.parametrize("width", [60, 80])
def test_a_long_name_is_folded_and_can_be_put_together_again(width: int) -> None:
    lines = [line.strip() for line in rendered(diagnosis_table(diagnosis()), width)]
    first = next(k for k, line in enumerate(lines) if LONG[:20] in line)
    assert f"{LONG}/conv_transpose2d#0" in "".join(lines[first : first + 2])


def test_short_names_stand_in_the_table_and_the_full_ones_below_it() -> None:
    lines = rendered(diagnosis_table(by_hand.a_volume()), 100)
    assert lines[-1].strip() == by_hand.REMARK.strip(), "a remark has a paragraph of its own"
    assert lines[-2].strip() == ""
    text = "\n".join(lines)
    for rank, block in ((1, 1), (2, 0)):
        key = f"generator.backbone.decoder.up_blocks.{block}.upsamplers.0.conv/interpolate#0"
        assert [line for line in lines if key in line] == [f"{rank}  {key}"]
    assert "4x2x2" in text
    assert "period: along z, y, x." in text
    assert "...up_blocks.1.upsamplers.0.conv/interpolate#0 causes the output's grid" in text.replace("\n", " ")


def test_the_severity_that_effects_are_drops_of_is_told_for_the_output_and_each_input() -> None:
    made = by_hand.a_video()
    text = as_text(diagnosis_table(made), 120)
    times = f"{made.output.severity**0.5:.1f} times what just shows"
    assert f"severity of the output: {made.output.severity:.2f}, {times}  (grid " in text
    assert "each input" not in text
    two = replace(made, per_input=(made.output, replace(made.output, severity=7.25)))
    assert f"of each input alone: {made.output.severity:.2f}, 7.25" in as_text(diagnosis_table(two), 160)


def test_a_doubt_stands_before_the_finding_which_may_mean_nothing_then() -> None:
    made = by_hand.a_video()
    doubted = replace(made, verdict=f"Check the range first. As given: {made.verdict}")
    lines = [line.strip() for line in rendered(diagnosis_table(doubted), 200)]
    assert lines.index("Check the range first. As given:") == lines.index(made.handles.shorten(made.heading)) - 1
    assert "Check the range first. As given:" in doubted.to_html()
    assert repr(doubted).partition(": ")[2].startswith("Check the range first.")


def test_a_site_whose_repair_makes_it_worse_causes_no_share_of_it() -> None:
    assert (share_text(-2.12), share_text(0.93), share_text(None)) == ("0%", "93%", "-")


def test_explained_each_word_of_the_table_has_a_line_in_the_order_it_is_read() -> None:
    made = by_hand.a_video()
    lines = rendered(diagnosis_table(made, explain=True), 100)
    said = {site.verdict for site in made.sites}
    words = [*list(GLOSSARY)[:5], *(word for word in VERDICTS if word in said), *list(GLOSSARY)[5:]]
    starts = [line.split()[0] for line in lines if line.split() and line.split()[0] in {**GLOSSARY, **VERDICTS}]
    assert [word for word in starts if word in words][-len(words) :] == words
    assert "evidence: lattice share" not in " ".join(lines)


def test_piped_there_are_no_colours(capsys: pytest.CaptureFixture[str]) -> None:
    print_out(diagnosis_table(diagnosis()))
    text = capsys.readouterr().out
    assert "compensated" in text
    assert "\x1b" not in text


class Terminal(io.StringIO):
    """A stderr that somebody looks at."""

    def isatty(self) -> bool:
        return True


def drawn(monkeypatch: pytest.MonkeyPatch, stderr: io.StringIO, then: str | None = None) -> str:
    console = Console
    monkeypatch.setattr(
        progress, "Console", lambda **_: console(file=stderr, width=100, force_terminal=stderr.isatty())
    )
    with progress.progress_bar("diagnosing", then) as move:
        move(1, 4)
        move(4, 4)
    return stderr.getvalue()


def test_a_bar_says_how_much_is_done_and_left(monkeypatch: pytest.MonkeyPatch) -> None:
    text = drawn(monkeypatch, Terminal())
    assert "diagnosing" in text
    assert "100%" in text
    assert "left" in text


def test_work_after_the_counted_passes_has_a_name_and_no_full_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    text = drawn(monkeypatch, Terminal(), then="repairing together")
    assert "repairing together" in text
    assert "100%" not in text


def test_where_nobody_looks_there_is_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    assert drawn(monkeypatch, io.StringIO()) == ""


@pytest.mark.parametrize("no_color", [True, False])
def test_no_color_is_respected(monkeypatch: pytest.MonkeyPatch, no_color: bool) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    if no_color:
        monkeypatch.setenv("NO_COLOR", "1")
    text = io.StringIO()
    Console(file=text, force_terminal=True, width=100).print(diagnosis_table(diagnosis()))
    assert bool(re.search(r"\x1b\[[0-9;]*3[0-7]m", text.getvalue())) is not no_color
