"""Every module can be imported by itself; what lacks a package of an extra names that extra."""

from __future__ import annotations

import importlib
import pkgutil
import re
from importlib.metadata import metadata

import artifactlab

MODULES = sorted(module.name for module in pkgutil.walk_packages(artifactlab.__path__, "artifactlab."))
PROGRAMS = {"artifactlab.__main__"}
"""what runs as it is imported"""
EXTRAS = set(metadata("artifactlab").get_all("Provides-Extra") or ())


def missing(name: str) -> str:
    """What Python says that a module lacks; empty where it is imported, or where it lacks an extra that it names."""
    try:
        importlib.import_module(name)
    except ImportError as error:
        extra = re.search(r"pip install '?artifactlab\[([\w-]+)\]", str(error))
        return "" if extra and extra[1] in EXTRAS else repr(error)
    return ""


def test_modules_lack_nothing_but_extras_that_they_name() -> None:
    assert len(MODULES) > 300
    assert {name: told for name in MODULES if name not in PROGRAMS and (told := missing(name))} == {}
