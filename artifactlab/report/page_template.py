"""Templates of pages that need nothing else: style, script and pictures are inside, and nothing is fetched."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from importlib import resources
from typing import TYPE_CHECKING, Any

from artifactlab.attribution.verdict_text import plain, signed

if TYPE_CHECKING:
    from jinja2 import Environment


def rendered(template: str, styles: Sequence[str], scripts: Sequence[str], **values: Any) -> str:
    """A page of the folder `page/` with its styles and scripts inside.

    Args:
        template: name of the template.
        styles, scripts: names of the files, which become one style and one script.
        values: what the template shows, by name.
    """
    style, script = _together(styles), _together(scripts)
    text = (
        _environment()
        .get_template(template)
        .render(**values, style=style, script=script, policy=_policy(style, script))
    )
    return text.encode(errors="backslashreplace").decode()  # a file's name need not be UTF-8


def _together(names: Sequence[str]) -> str:
    folder = resources.files("artifactlab.report").joinpath("page")
    return "".join(folder.joinpath(name).read_text() for name in names)


def _environment() -> Environment:
    """Templates in which all text is escaped, and a name that is missing is an error."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("artifactlab.report", "page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["signed"] = signed
    environment.filters["plain"] = plain
    return environment


def _policy(style: str, script: str) -> str:
    """What the page may do: show its own pictures, style and script, known by their digests."""
    digests = [base64.b64encode(hashlib.sha256(part.encode()).digest()).decode() for part in (style, script)]
    return (
        f"default-src 'none'; img-src data:; style-src 'sha256-{digests[0]}'; script-src 'sha256-{digests[1]}';"
        " base-uri 'none'; form-action 'none'"
    )
