"""A thousand random decoders are captured, linted and diagnosed, and must be afterwards what an untouched twin is."""

from __future__ import annotations

import json
import random
import signal
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from robustness_models import COUNTERS, decoder
from robustness_processes import Tally, last_line, run
from torch import Tensor, nn
from torch.utils import _pytree

import artifactlab
from artifactlab.errors import ArtifactLabError
from artifactlab.inputs import decoding

BATCH = 50
"""decoders of one process"""
MOST_SECONDS = 120
"""of one decoder"""


def random_decoders(count: int) -> Tally:
    """The row of the table."""
    tally = Tally("random decoders: captured, linted and diagnosed, and left as they were")
    for start in range(0, count, BATCH):
        rest = list(range(start, min(start + BATCH, count)))
        while rest:
            with tempfile.TemporaryDirectory() as scratch:
                command = [sys.executable, __file__, *map(str, rest)]
                outcome = run(command, Path(scratch), most_seconds=len(rest) * MOST_SECONDS)
            done = [json.loads(line) for line in outcome.out.splitlines() if line.startswith("[")]
            for number, faults in done:
                tally.add(str(number), faults)
            rest = rest[len(done) :]
            if rest:
                tally.add(str(rest[0]), [f"ended the process with {outcome.code}: {last_line(outcome.err)}"])
                rest = rest[1:]
            elif outcome.faults():
                tally.add(f"batch {start}", outcome.faults())
    return tally


def faults_of(number: int) -> list[str]:
    """What went wrong with one decoder."""
    return [*_captured(number), *_examined(number, "lint", _lint), *_examined(number, "diagnose", _diagnose)]


def _captured(number: int) -> Iterator[str]:
    """One forward pass and one backward under `capture`, against a twin's that nobody watches."""
    model, image = decoder(number)
    twin, _ = decoder(number)
    expected, random_then = _passed(twin, image, number, lambda: twin(image))
    before = _identity(model), _surroundings()

    def watched() -> Any:
        with artifactlab.capture(model):
            return model(image)

    found, random_now = _passed(model, image, number, watched)
    if isinstance(expected, Exception) or isinstance(found, Exception):
        if repr(found) != repr(expected):
            yield f"capture: raised {found!r:.100}, the plain pass {expected!r:.100}"
    elif not _equal(found, expected):
        yield "capture: another output"
    if random_now != random_then:
        yield "capture: another random state"
    yield from (f"capture: {what}" for what in _differences(model, twin))
    if _lasting(before[0]) - _lasting(_identity(model)):
        yield "capture: modules or weights are other objects"
    yield from (f"capture: {what} was not put back" for what in _changed(before[1], _surroundings()))


def _passed(model: nn.Module, image: Tensor, number: int, call: Callable[[], Any]) -> tuple[Any, bytes]:
    """The output, or what was raised, and the random state then; weights have their gradients afterwards."""
    torch.manual_seed(number)
    try:
        output = call()
        for leaf in _tensors(output):
            if leaf.requires_grad and leaf.ndim == 4:
                leaf.double().square().mean().backward()
    except Exception as error:
        output = error
    return output, torch.get_rng_state().numpy().tobytes()


def _examined(number: int, name: str, examine: Callable[[nn.Module, Tensor, int], None]) -> Iterator[str]:
    """A function that must leave the model and all around it untouched."""
    model, image = decoder(number)
    twin, given = decoder(number)
    before = _identity(model), {**_surroundings(), **_random_state()}
    try:
        examine(model, image, number)
    except ArtifactLabError:
        pass
    except Exception as error:
        yield f"{name}: raw {type(error).__name__}: {last_line(str(error))}"
    yield from (f"{name}: {what}" for what in _differences(model, twin, COUNTERS))
    if not torch.equal(image, given):
        yield f"{name}: the input was changed"
    if _identity(model) != before[0]:
        yield f"{name}: modules, weights or hooks are other objects"
    after = {**_surroundings(), **_random_state()}
    yield from (f"{name}: {what} was not put back" for what in _changed(before[1], after))


def _lint(model: nn.Module, image: Tensor, number: int) -> None:
    artifactlab.lint(model, trained=True)


def _diagnose(model: nn.Module, image: Tensor, number: int) -> None:
    rng = random.Random(number)
    fast, calls, verify_all = (rng.random() < 0.25 for _ in range(3))
    artifactlab.diagnose(
        model, image, data_range=rng.choice((None, 1.0)), fast=fast, calls=calls, verify_all=verify_all
    )


def _differences(model: nn.Module, twin: nn.Module, apart_from: tuple[str, ...] = ()) -> Iterator[str]:
    """What a model is, has and holds that its twin does not."""
    ours, theirs = dict(model.named_modules()), dict(twin.named_modules())
    if list(ours) != list(theirs):
        yield f"modules came or went: {', '.join(sorted(ours.keys() ^ theirs.keys()))}"
    for name in ours.keys() & theirs.keys():
        one, other = ours[name], theirs[name]
        for what in sorted(one.__dict__.keys() | other.__dict__.keys()):
            if what not in (*apart_from, "_modules") and not _alike(one.__dict__.get(what), other.__dict__.get(what)):
                yield f"{what} of a {type(one).__name__}"


def _alike(one: Any, other: Any) -> bool:
    """Whether two attributes of modules hold the same; hooks and functions are the same number of them."""
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        grads = (one.grad, other.grad) if one.is_leaf and other.is_leaf else (None, None)
        return _equal(one, other) and one.requires_grad == other.requires_grad and _alike(*grads)
    if isinstance(one, dict) and isinstance(other, dict):
        if all(isinstance(key, int) for key in (*one, *other)):  # hooks, by handles that no two modules share
            return len(one) == len(other)
        return list(one) == list(other) and all(map(_alike, one.values(), other.values()))
    if isinstance(one, (int, float, str, bool, type(None))):
        return one == other
    return type(one) is type(other)


def _identity(model: nn.Module) -> list[tuple[str, int]]:
    """Every module, weight, buffer and hook by the object that it is."""
    found = []
    for name, part in model.named_modules():
        found.append((name, id(part)))
        for kind, entries in part.__dict__.items():
            if isinstance(entries, dict):
                found += [(f"{name} {kind} {key}", id(entry)) for key, entry in entries.items()]
    return found


def _lasting(identity: list[tuple[str, int]]) -> set[tuple[str, int]]:
    """Those that a pass of the model's own does not make anew."""
    return {entry for entry in identity if "_forward" not in entry[0] or "hooks" in entry[0]}


def _surroundings() -> dict[str, Any]:
    """What is everybody's: torch's functions and modes, global hooks, settings, signals, OpenCV's log."""
    hooks = {
        name: list(value)
        for name, value in vars(nn.modules.module).items()
        if name.startswith("_global") and isinstance(value, dict)
    }
    functions = {
        f"{where.__name__}.{name}": id(value)
        for where in (F_, torch, Tensor, nn.Module)
        for name, value in vars(where).items()
        if callable(value)
    }
    return {
        **functions,
        "global hooks": hooks,
        "gradient mode": torch.is_grad_enabled(),
        "autocast": torch.is_autocast_enabled("cpu"),
        "default dtype": torch.get_default_dtype(),
        "threads": torch.get_num_threads(),
        "function modes": torch._C._len_torch_function_stack(),
        "dispatch modes": torch._C._len_torch_dispatch_stack(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "warnings": len(warnings.filters),
        "Ctrl-C": signal.getsignal(signal.SIGINT),
        "OpenCV's log": decoding.LOG.getLogLevel(),
    }


F_ = nn.functional


def _random_state() -> dict[str, Any]:
    return {
        "torch's random state": torch.get_rng_state().numpy().tobytes(),
        "numpy's random state": np.random.get_state()[1].tobytes(),
        "Python's random state": random.getstate(),
    }


def _changed(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    return [name for name in before if before[name] != after.get(name)]


def _tensors(output: Any) -> list[Tensor]:
    output = vars(output) if hasattr(output, "__dataclass_fields__") else output
    output = dict(output) if isinstance(output, dict) else output
    return [leaf for leaf in _pytree.tree_leaves(output) if isinstance(leaf, Tensor)]


def _equal(one: Any, other: Any) -> bool:
    """Whether all tensors are equal, bit for bit; NaN is NaN."""
    pairs = list(zip(_tensors(one), _tensors(other), strict=False))
    return len(_tensors(one)) == len(_tensors(other)) and all(
        a.dtype == b.dtype and a.shape == b.shape and torch.equal(a.nan_to_num(7), b.nan_to_num(7)) for a, b in pairs
    )


def _surroundings_settle() -> None:
    """Let torch import what it imports late: its compiler puts wrappers around some functions, for good."""
    model, image = nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(1, 1, 3)), torch.rand(1, 1, 64, 64)
    _lint(model, image, 0)
    artifactlab.diagnose(model, image)


def main() -> None:
    """In a process of its own: a line for each of the decoders whose numbers are given."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # torch's own, of what users' models do
    _surroundings_settle()
    for number in map(int, sys.argv[1:]):
        signal.alarm(MOST_SECONDS)
        print(json.dumps([number, list(dict.fromkeys(faults_of(number)))]), flush=True)


if __name__ == "__main__":
    main()
