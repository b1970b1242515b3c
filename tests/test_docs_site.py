"""The docs as a whole: links lead somewhere, nothing has been forgotten, and README's numbers are those of the tables.

Nothing of the site's tools is needed here; `make docs` builds it, and takes every warning for an error.
"""

from __future__ import annotations

import ast
import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from artifactlab import errors
from artifactlab.attribution.records import FindingKind
from artifactlab.attribution.records import Verdict as SiteVerdict
from artifactlab.cli.main import main
from artifactlab.comparing.changes import Change
from artifactlab.comparing.model_comparison import Parting
from artifactlab.lint import RULES
from artifactlab.scoring.measures import METRICS
from artifactlab.scoring.verdict import Verdict as ImageVerdict

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
README = ROOT / "README.md"
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "integrations/comfyui/README.md")),
    *sorted(DOCS.rglob("*.md")),
]
API = "\n".join(page.read_text(encoding="utf-8") for page in sorted((DOCS / "api").glob("*.md")))
QUOTE = re.compile(r"`([^`]+)`")
BLOCK = re.compile(r"<!-- (\w+) -->\n(.*?)<!-- /\1 -->", re.DOTALL)
sys.path.insert(0, str(ROOT / "benchmarks"))
publish = importlib.import_module("publish")
sys.path.pop(0)
PACKAGES = re.findall(r'^    "(artifactlab[\w.]*)",$', (ROOT / "tests/test_docs.py").read_text(), re.MULTILINE)
"""Whose docstrings tests/test_docs.py holds to be complete."""


def prose(page: Path) -> str:
    """A page without its code."""
    return re.sub(r"^```.*?^```|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def slug(heading: str) -> str:
    """The anchor of a heading, as Python-Markdown and GitHub make it."""
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", heading.replace("`", "")).strip().lower())


def headings(page: Path) -> Iterator[tuple[str, str]]:
    """Anchor of each heading, and what stands below it."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    parts = re.split(r"^#+ (.*)$", text, flags=re.MULTILINE)
    yield from zip(map(slug, parts[1::2]), parts[2::2], strict=True)


def anchors(name: str) -> set[str]:
    return {anchor for anchor, _ in headings(DOCS / name)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_anchor_and_picture_leads_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        path, _, anchor = link.partition("#")
        if "://" in link:
            continue
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not path or target.is_relative_to(ROOT), link
        assert not anchor or anchor in {name for name, _ in headings(target)}, link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_heading_is_said_once_on_its_page_so_that_its_anchor_is_no_other_s(page: Path) -> None:
    names = [name for name, _ in headings(page)]
    assert sorted(set(names)) == sorted(names)


def test_readme_has_at_most_150_lines() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 150


def rows() -> list[tuple[str, str, str]]:
    """What README's two tables of what it can and cannot tell measure, and which heading of which page they name."""
    found = re.findall(
        r"^\| [^|]+ \| ([^|]*\d[^|]*) \| \[[^]]+\]\((docs/benchmarks/[^)#]+)#([^)]+)\) \|$",
        README.read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    return [(measured, page, anchor) for measured, page, anchor in found]


def test_readme_says_in_six_rows_what_it_can_and_cannot_tell() -> None:
    assert len(rows()) == 6


@pytest.mark.parametrize(("measured", "page", "anchor"), rows())
def test_a_number_of_readme_is_in_the_table_that_it_links_to(measured: str, page: str, anchor: str) -> None:
    block = BLOCK.search(dict(headings(ROOT / page))[anchor])
    assert block, f"no published block right below {anchor}"
    (number,) = re.findall(r"[\d.]+(?: of \d+|%)?", measured)
    assert re.search(rf"(?<![\d.]){re.escape(number)}(?![\d.])", block[2]), f"{number} is not in <!-- {block[1]} -->"


@pytest.mark.parametrize(
    "word", [*get_args(SiteVerdict), *get_args(ImageVerdict), *get_args(Change), *get_args(Parting)]
)
def test_every_verdict_has_a_section(word: str) -> None:
    assert slug(word) in anchors("reference/verdicts.md")


@pytest.mark.parametrize("kind", get_args(FindingKind))
def test_every_kind_of_finding_has_a_section(kind: str) -> None:
    assert slug(kind) in anchors("reference/findings.md")


@pytest.mark.parametrize("rule", [rule.name for rule in RULES])
def test_every_lint_rule_has_a_section(rule: str) -> None:
    assert slug(rule) in anchors("reference/lint.md")


@pytest.mark.parametrize("name", [name for name, value in vars(errors).items() if isinstance(value, type)])
def test_every_class_of_errors_has_a_section(name: str) -> None:
    assert slug(name) in anchors("reference/errors.md")


@pytest.mark.parametrize("name", sorted(main.commands))
def test_every_command_has_a_section(name: str) -> None:
    assert slug(name) in anchors("reference/commands.md")


@pytest.mark.parametrize("name", list(METRICS))
def test_every_metric_has_a_section_with_formula_unit_picture_and_limits(name: str) -> None:
    section = dict(headings(DOCS / "reference/metrics.md"))[slug(name)]
    for part in (f"](../images/metric_{name}.png)", "**Formula.**", "**Unit.**", "**When it lies.**"):
        assert part in section
    assert (DOCS / f"images/metric_{name}.png").stat().st_size < 60_000


def test_what_an_error_page_says_has_symptom_cause_and_remedy() -> None:
    text = (DOCS / "reference/errors.md").read_text(encoding="utf-8")
    sections = re.split(r"^### ", text, flags=re.MULTILINE)[1:]
    assert len(sections) >= 30
    for section in sections:
        assert re.findall(r"^\*\*(.*?)\.\*\*", section, re.MULTILINE) == ["Symptom", "Cause", "What to do"], section


def messages() -> Iterator[str]:
    """All texts in the code, with an ellipsis where something is put in."""
    for file in [*(ROOT / "artifactlab").rglob("*.py"), *(ROOT / "metrics").glob("*.py")]:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                yield "".join(str(v.value) if isinstance(v, ast.Constant) else "..." for v in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def test_the_messages_on_the_error_page_are_those_of_the_code() -> None:
    said = "\n".join(messages())
    text = (DOCS / "reference/errors.md").read_text(encoding="utf-8")
    quoted = [
        quote for line in re.findall(r"^\*\*Symptom\.\*\* (.*)", text, re.MULTILINE) for quote in QUOTE.findall(line)
    ]
    assert len(quoted) > 30
    pieces = [piece.strip() for quote in quoted for piece in quote.split("...")]
    assert [piece for piece in pieces if piece not in said] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_package_is_on_an_api_page(package: str) -> None:
    assert f"::: {package}\n" in API


@pytest.mark.parametrize("package", PACKAGES)
def test_a_function_that_is_named_like_its_module_is_on_an_api_page(package: str) -> None:
    """The API pages are read from the source, in which the module of that name stands in its way."""
    module = importlib.import_module(package)
    folder = Path(module.__file__ or "").parent
    modules = (
        {path.stem for path in folder.iterdir()} if module.__spec__ and module.__spec__.parent == package else set()
    )
    for name in modules & set(module.__all__):
        value = getattr(module, name)
        assert f"::: {value.__module__}.{name}\n" in API or f"`{package}.{name}` is [" in API


@pytest.mark.parametrize(
    "name",
    sorted({n for f in (ROOT / "benchmarks").glob("*.py") for n in re.findall(r'publish\(\s*"(\w+)"', f.read_text())}),
)
def test_every_published_table_has_one_place(name: str) -> None:
    assert publish.page_of(name).is_relative_to(DOCS)


def test_a_table_is_published_into_the_page_that_has_its_block(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "benchmarks" / "one.md"
    page.parent.mkdir()
    page.write_text("before\n<!-- mine -->\nold\n<!-- /mine -->\nafter\n")
    (tmp_path / "other.md").write_text("nothing\n")
    publish.publish("mine", "| new |", True, tmp_path)
    assert "| new |" in capsys.readouterr().out
    assert re.fullmatch(
        r"before\n<!-- mine -->\n\| new \|\n\n\*`benchmarks/mine.py`, .*\*\n<!-- /mine -->\nafter\n", page.read_text()
    )
    with pytest.raises(SystemExit, match="no page"):
        publish.publish("yours", "| new |", True, tmp_path)
