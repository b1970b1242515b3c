"""Hundreds of diagnoses in one process, of models that come and go: nothing of them may stay."""

from __future__ import annotations

import ctypes
import gc
import json
import os
import sys
import tempfile
import threading
from pathlib import Path

import torch
from robustness_models import decoder
from robustness_processes import PAGE, Tally, last_line, run
from torch import Tensor, nn

import artifactlab
from artifactlab.errors import ArtifactLabError

SETTLING = 40
"""diagnoses after which torch and the allocator hold what they hold for good"""
MODELS = 20
"""decoders that come in turn, new objects each time; SETTLING has them all twice"""
MOST_GROWTH = 8 << 20
"""bytes; a diagnosis that kept one activation of 100 kB would have gone beyond them after eighty"""
Held = dict[str, int]


def leaks(count: int) -> Tally:
    """The row of the table."""
    tally = Tally("diagnoses in one process: no growth of memory, descriptors, threads, tensors, modules")
    if not count:
        return tally
    with tempfile.TemporaryDirectory() as scratch:
        outcome = run([sys.executable, __file__, str(count)], Path(scratch), most_seconds=30 * (count + SETTLING))
    tally.tried = count - 1
    try:
        first, last = (json.loads(line) for line in outcome.out.splitlines())
    except ValueError:
        tally.add("all", [*outcome.faults(), f"ended with {outcome.code}: {last_line(outcome.err)}"])
        return tally
    growth = {name: last[name] - first[name] for name in first}
    tally.note = f"memory {growth['bytes'] / 2**20:+.1f} MiB, descriptors {growth['descriptors']:+d}"
    grown = [f"{name} {by:+d}" for name, by in growth.items() if by > (MOST_GROWTH if name == "bytes" else 0)]
    tally.add("all", [*outcome.faults(), *(f"growth: {what}" for what in grown)])
    return tally


def held() -> Held:
    """What the process holds now, after everything is collected that can be."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    objects = gc.get_objects()
    return {
        "bytes": int(Path("/proc/self/statm").read_text().split()[1]) * PAGE,
        "descriptors": len(os.listdir("/proc/self/fd")),
        "threads": threading.active_count(),
        "tensors": sum(issubclass(type(each), Tensor) for each in objects),
        "modules": sum(issubclass(type(each), nn.Module) for each in objects),
    }


def main() -> None:
    """In a process of its own: what it holds after SETTLING diagnoses, and after so many more, in whole rounds."""
    torch.set_num_threads(1)
    rounds = -(-int(sys.argv[1]) // MODELS)  # whole ones: caches of the last sizes hold more after some models
    for number in range(SETTLING + rounds * MODELS):
        if number == SETTLING:
            print(json.dumps(held()), flush=True)
        try:
            artifactlab.diagnose(*decoder(number % MODELS), data_range=1.0)
        except ArtifactLabError:
            continue
    print(json.dumps(held()), flush=True)


if __name__ == "__main__":
    main()
