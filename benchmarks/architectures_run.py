"""What is measured of one architecture."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from architectures_match import match
from architectures_operations import tensors_of
from architectures_records import Architecture, typed
from architectures_truth import Growths

import artifactlab
from artifactlab.errors import ArtifactLabError

LARGER = 4
"""times as large as for all else is the image that costs are taken with: 256 pixels a side instead of 64"""
REPEATS = 3
"""passes of which the fastest counts"""


@dataclass(frozen=True)
class Result:
    """What became of one architecture."""

    name: str
    error: str = ""
    """what broke, where something did"""
    counted: int = 0
    """enlargements that the instrument counts"""
    truth: int | None = None
    """those read from the source"""
    match: dict[str, Any] | None = None
    identical: bool = False
    """whether the outputs have the same bits with capture as without"""
    capture: float = 0.0
    """CPU time with capture over that without, of a larger image"""
    diagnose: float = 0.0
    """CPU time of the command over that of the forward pass"""
    line: str = ""
    """what a user types"""
    refused: str = ""
    """what the command said where it did not work"""
    grown: tuple[str, ...] = ()
    """the enlargements, for reading"""


def measured(architecture: Architecture, quick: bool) -> Result:
    """Everything about one architecture; an error of the library's or ours is a result."""
    step = "build"
    fields: dict[str, Any] = {"name": architecture.name, "truth": architecture.truth}
    try:
        model = architecture.build()
        args, kwargs = architecture.call()
        step = "forward"
        plain, forward = _run(lambda: model(*args, **kwargs))
        step = "instrument"
        grown = Growths(model, (args, kwargs)).watch(lambda: _seeded(lambda: model(*args, **kwargs)))
        grown = [one for one in grown if one.op not in architecture.lookups]
        fields["grown"] = tuple(f"{g.module}/{g.op} {g.before}->{g.after}{'' if g.counts else ' (-)'}" for g in grown)
        fields["counted"] = sum(one.counts for one in grown)
        step = "capture"
        sites, watched, _ = _captured(lambda: model(*args, **kwargs), model)
        fields["match"] = asdict(match(sites, grown))
        fields["identical"] = _same(plain, watched)
        if not quick:
            fields["capture"] = _cost(architecture, model)
            step = "diagnose"
            fields |= _diagnosed(architecture, model, forward)
    except Exception as error:  # whatever a library raises is a row of the table
        fields["error"] = f"{step}: {type(error).__name__}: {str(error)[:300]}"
    return Result(**fields)


def _cost(architecture: Architecture, model: torch.nn.Module) -> float:
    """CPU time of a pass that is watched over one that is not; on a larger image where the model takes one.

    What watching costs beside a pass that takes milliseconds is no use to know.
    """
    args, kwargs = architecture.call(LARGER)
    try:
        _run(lambda: model(*args, **kwargs))
    except Exception:  # sizes are fixed by a position embedding, or by another argument
        args, kwargs = architecture.call()
    watched = min(_captured(lambda: model(*args, **kwargs), model)[2] for _ in range(REPEATS))
    return watched / min(_run(lambda: model(*args, **kwargs))[1] for _ in range(REPEATS))


def _captured(run: Callable[[], Any], model: torch.nn.Module) -> tuple[list[Any], Any, float]:
    """Sites, output and CPU time of a pass that is watched."""
    with artifactlab.capture(model) as found:
        result, seconds = _run(run)
    try:
        return [one.site for one in found.sites], result, seconds
    except ArtifactLabError as error:
        if "no upsampling was seen" not in str(error):
            raise
        return [], result, seconds


def _run(run: Callable[[], Any]) -> tuple[Any, float]:
    start = time.process_time()
    with torch.no_grad():
        result = _seeded(run)
    return result, time.process_time() - start


def _seeded(run: Callable[[], Any]) -> Any:
    torch.manual_seed(2)
    return run()


def _same(first: Any, second: Any) -> bool:
    return all(
        torch.equal(one, other) or (one.is_floating_point() and torch.equal(one.nan_to_num(), other.nan_to_num()))
        for one, other in zip(tensors_of(first), tensors_of(second), strict=True)
    )


def _diagnosed(architecture: Architecture, model: torch.nn.Module, forward: float) -> dict[str, Any]:
    """The command line, run in this process."""
    from click.testing import CliRunner

    from artifactlab.cli.main import main as command

    with TemporaryDirectory() as folder:
        line = architecture.command(Path(folder), model)
        start = time.process_time()
        done = CliRunner().invoke(command, line)
        seconds = time.process_time() - start
    said = "" if done.exit_code == 0 else (done.output.strip().splitlines() or [repr(done.exception)])[-1]
    return {"line": typed(line), "refused": said[:300], "diagnose": seconds / max(forward, 1e-9)}
