"""The commands by name, each imported when it is used: what one of them fails for does not concern the others."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, MutableMapping

import click

from artifactlab.cli.config import config_option
from artifactlab.cli.exits import begin_work
from artifactlab.cli.verbosity import verbosity_options

SUMMARIES = {
    "demo": "See it work: a trained U-Net with one bad upsampler.",
    "lint": "What a model's weights and structure show without data.",
    "diagnose": "Which layer of a model draws stair-steps or checkerboards.",
    "fix": "Replace that layer, keep the model, check that it worked.",
    "score": "How bad image files are.",
    "compare": "Whether a remedy worked: before and after, in pairs.",
    "metrics": "What the numbers mean: units, and which way is better.",
    "init-config": "Write a commented file of every option, for --config.",
}
"""What each command is for, in the order of work. A command `a-name` is the function `a_name` of `a_name.py`."""


class Commands(MutableMapping[str, click.Command]):
    """All commands; one is imported when it is looked up."""

    def __init__(self) -> None:
        self._loaded: dict[str, click.Command] = {}

    def __getitem__(self, name: str) -> click.Command:
        if name not in SUMMARIES:
            raise KeyError(name)
        if name not in self._loaded:
            self._loaded[name] = _imported(name)
        return self._loaded[name]

    def __setitem__(self, name: str, command: click.Command) -> None:
        raise TypeError(f"commands are listed in {__name__}.SUMMARIES; {name} is to be added there")

    def __delitem__(self, name: str) -> None:
        raise TypeError(f"commands are listed in {__name__}.SUMMARIES; {name} is to be removed there")

    def __iter__(self) -> Iterator[str]:
        return iter(SUMMARIES)

    def __len__(self) -> int:
        return len(SUMMARIES)


def _imported(name: str) -> click.Command:
    word = name.replace("-", "_")
    command: click.Command = getattr(importlib.import_module(f"artifactlab.cli.{word}"), word)
    begin_work()
    command.short_help = SUMMARIES[name]
    command.params += [config_option(), *verbosity_options()]
    return command
