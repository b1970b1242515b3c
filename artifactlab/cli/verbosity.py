"""How much is said on stderr: `--quiet` nothing but errors, `--verbose` what is being done and how long it takes."""

from __future__ import annotations

import logging
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, redirect_stdout, suppress
from typing import TYPE_CHECKING, Literal, TextIO

import click

from artifactlab.printable import printable

if TYPE_CHECKING:
    from torch import Tensor, nn

    from artifactlab.models.calls import Call

_KEY = "artifactlab.verbosity"
"""Key in the contexts' `meta`, which the group and its commands share, so that both positions of an option count."""


def verbosity() -> Literal["quiet", "normal", "verbose"]:
    """What the command that is running was asked for."""
    context = click.get_current_context(silent=True)
    return context.meta.get(_KEY, "normal") if context else "normal"


def complain(text: str) -> None:
    """Say what is wrong, in one line, however little is to be said; what stderr does not take changes no exit code."""
    with suppress(OSError):
        click.echo(printable(text), err=True)


def note(text: str) -> None:
    """Say something useful that is neither data nor an error."""
    if verbosity() != "quiet":
        complain(text)


def detail(text: str) -> None:
    """Say what is being done."""
    if verbosity() == "verbose":
        complain(text)


@contextmanager
def timed(title: str) -> Iterator[None]:
    """Say how long a stage took."""
    started = time.perf_counter()
    yield
    detail(f"{title}: {time.perf_counter() - started:.1f} s")


def prints_to_stderr() -> AbstractContextManager[TextIO]:
    """Send what a model prints to stderr, so that it does not mix with the data on stdout."""
    return redirect_stdout(sys.stderr)


def describe_model(model: nn.Module, target: str) -> None:
    """Say what was loaded."""
    if verbosity() != "verbose":
        return
    from torch.nn.parameter import is_lazy

    from artifactlab.models.image_needs import needs_of

    parameters = sum(parameter.numel() for parameter in model.parameters() if not is_lazy(parameter))
    detail(f"model: {target}, a {type(model).__name__} with {parameters:,} parameters")
    needs = needs_of(model)
    if needs is not None:
        detail(f"takes: {needs}")


def describe_inputs(calls: Sequence[Call], use: str = "inputs") -> None:
    """Say how many there are of which size."""
    sizes = Counter(" + ".join(map(_size, _tensors_of(call))) or "no tensors" for call in calls)
    detail(f"{use}: {', '.join(f'{count} of {size}' for size, count in sizes.items())}")


def _tensors_of(call: Call) -> list[Tensor]:
    from artifactlab.models.outputs import tensors

    return [tensor for _, tensor in tensors((call.args, dict(call.kwargs)))]


def _size(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape[1:] if tensor.ndim > 1 else tensor.shape)) or "1"


def describe_sites(keys: Sequence[str]) -> None:
    """Say which upsampling sites were found."""
    detail(f"sites: {len(keys)} ({', '.join(keys)})")


def verbosity_options() -> list[click.Option]:
    """`--quiet` and `--verbose`, for the group and for every command of it."""
    return [
        click.Option(
            ["-q", "--quiet"],
            is_flag=True,
            expose_value=False,
            callback=_choose,
            help="Nothing but the data and errors.",
        ),
        click.Option(
            ["-v", "--verbose"],
            is_flag=True,
            expose_value=False,
            callback=_choose,
            help="Say on stderr what is being done.",
        ),
    ]


def _choose(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if not value:
        return
    if ctx.meta.setdefault(_KEY, param.name) != param.name:
        raise click.UsageError("--quiet and --verbose contradict each other; give one of them", ctx)


def _is_wanted(record: logging.LogRecord) -> bool:
    """Whether to pass on what the library says, of a model that it opened for instance.

    A filter asks the command that is running; a level would have to be set back, and who ends while options are read
    closes no context.
    """
    return record.levelno >= logging.ERROR or verbosity() != "quiet"


logging.getLogger("artifactlab").addFilter(_is_wanted)
