"""Hooks of `make docs`: what lies outside of docs/ and is linked from there becomes part of the site.

Links are written as they hold in the repository, `../notebooks/1_what_a_stair_step_is.ipynb` for instance, so that they
work where files are browsed. Here they are turned into those of the site, whose strict mode finds the broken ones.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.plugins import event_priority
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
INSTALLED = ROOT / "build" / "api" / "artifactlab"
OUTSIDE = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "integrations/comfyui/README.md": "how-to/comfyui.md",
    "examples/aim_the_loss.py": "examples/aim_the_loss.py",
    **{f"notebooks/{path.name}": f"notebooks/{path.name}" for path in sorted((ROOT / "notebooks").glob("*.ipynb"))},
}
"""Path in the repository -> path in the site."""
LINK = re.compile(r"(?<=\]\()(?![a-z]+:|[#/])([^)#\s]+)")
"""A relative link's path, without its anchor."""


@event_priority(100)  # before mkdocstrings looks for the folder
def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Copy the packages as they are installed, for the API to be read from: metrics/ is `artifactlab.metrics`."""
    shutil.rmtree(INSTALLED, ignore_errors=True)
    for source, place in (("artifactlab", INSTALLED), ("metrics", INSTALLED / "metrics")):
        shutil.copytree(ROOT / source, place, ignore=shutil.ignore_patterns("__pycache__", "metrics"))
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what lies outside."""
    for path, place in OUTSIDE.items():
        files.append(File.generated(config, place, abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links of a page as they hold in the site."""
    source = Path(page.file.abs_src_path or "").resolve().relative_to(ROOT)
    here = os.path.dirname(page.file.src_uri)

    def in_site(link: re.Match[str]) -> str:
        path = os.path.normpath(source.parent / link[1])
        place = OUTSIDE.get(path, path.removeprefix("docs/"))
        return os.path.relpath(place, here or ".")

    return LINK.sub(in_site, markdown)
