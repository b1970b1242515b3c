"""The small decoders of `decoders.py`, which the command line is given by path and the tests as a module."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

DECODERS = Path(__file__).with_name("decoders.py")


@pytest.fixture(scope="session")
def decoders() -> ModuleType:
    """`decoders.py`, imported."""
    spec = importlib.util.spec_from_file_location("fix_decoders", DECODERS)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def decoders_file() -> Path:
    """Where it is."""
    return DECODERS
