"""Public names that are imported when they are used: torch takes a second, which `--help` need not wait for."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from types import ModuleType
from typing import Any


class LazyPackage(ModuleType):
    """A package whose public names are imported on first use.

    What lies in it may have one of these names, as the package `artifactlab.lint` has that of the function. Python
    makes whatever it imports an attribute of the package around it; here that does not hide the public name.
    """

    @classmethod
    def made_of(cls, name: str, places: Mapping[str, str], packages: tuple[str, ...] = ()) -> None:
        """Make a package lazy that is being imported.

        Args:
            name: of the package.
            places: the modules of its public names.
            packages: the public modules in it that have none of these names.
        """
        package = sys.modules[name]
        package.__dict__.update(_places=places, _packages=packages)
        package.__class__ = cls

    def __getattr__(self, name: str) -> Any:
        if name in self._places:
            value = getattr(importlib.import_module(self._places[name]), name)
        elif name in self._packages:
            value = importlib.import_module(f"{self.__name__}.{name}")
        else:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        setattr(self, name, value)
        return value

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in self._places or value is not sys.modules.get(f"{self.__name__}.{name}"):
            super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        return sorted([*self._places, *self._packages])
