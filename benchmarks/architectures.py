"""Does it find every layer that enlarges, in the architectures that people use? `python benchmarks/architectures.py`

In an environment of its own, which `make architectures` builds, as these libraries bring half of PyPI:

    python -m venv build/models && build/models/bin/pip install -c constraints.txt -e '.[bench-models]'
    build/models/bin/python benchmarks/architectures.py

Random weights, small configurations, nothing is downloaded. Each architecture runs in a process of its own. What truly
enlarges is counted by an instrument that shares nothing with artifactlab (`architectures_truth.py`), and by reading the
source where `truth` says a number. `--split dev` is for development, `--split test` for one look at the end.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import warnings
from argparse import ArgumentParser, Namespace
from contextlib import suppress
from dataclasses import asdict
from fnmatch import fnmatch
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

os.environ |= {"HF_HUB_OFFLINE": "1", "TORCHDYNAMO_DISABLE": "1"}  # read at import; torchvision compiles its fallbacks

import architectures_torchvision
import torch
from architectures_list import ARCHITECTURES
from architectures_records import Architecture
from architectures_run import measured
from architectures_table import by_library, failures, table
from publish import arguments, publish

SECONDS = 240
"""after which one architecture is given up: the slowest take a quarter of it"""
FORK = multiprocessing.get_context("fork")


def main() -> None:
    options = _options(arguments(__doc__))
    if options.publish and (options.split, options.only, options.quick) != ("all", "*", False):
        raise SystemExit("the published table has all of them: leave out --split, --only and --quick")
    if options.kept:  # the halves are run apart: that for development often, the other once
        publish("architectures", by_library(_read(options.kept)), options.publish)
        return
    chosen = [
        architecture
        for architecture in ARCHITECTURES
        if options.split in ("all", architecture.split) and fnmatch(architecture.name, options.only)
    ]
    if not chosen:
        raise SystemExit(f"no architecture matches {options.only!r}")
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    results = []
    architectures_torchvision.provide_operators()
    for architecture in chosen:
        result = _result(architecture, options.quick)
        results.append(result)
        print(json.dumps(result), file=options.json, flush=True)
    print(table(results), failures(results), sep="\n\n", end="\n\n")
    publish("architectures", by_library(results), options.publish)


def _read(files: list[Path]) -> list[dict[str, Any]]:
    """Results that were written before, of every architecture once."""
    results = [json.loads(line) for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    if sorted(result["name"] for result in results) != sorted(known.name for known in ARCHITECTURES):
        raise SystemExit(f"{', '.join(map(str, files))} do not hold every architecture once")
    return results


def _options(parser: ArgumentParser) -> Namespace:
    parser.add_argument("--only", default="*", metavar="GLOB", help="architectures by name, such as 'monai *'")
    parser.add_argument("--split", choices=["all", "dev", "test"], default="all")
    parser.add_argument("--quick", action="store_true", help="sites only: neither times nor command lines")
    parser.add_argument("--kept", type=Path, nargs="+", metavar="FILE", help="what --json wrote, instead of runs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write a line of JSON for each, too")
    options = parser.parse_args()
    options.json = open(options.json or os.devnull, "w", encoding="utf-8")  # noqa: SIM115  # closed with the process
    return options


def _result(architecture: Architecture, quick: bool) -> dict[str, Any]:
    """That of one architecture, in a process that may crash or hang; libraries are imported before it is forked."""
    with suppress(Exception):  # the process says what is wrong
        architecture.factory()
    receiver, sender = FORK.Pipe(duplex=False)
    process = FORK.Process(target=_send, args=(sender, architecture, quick))
    process.start()
    sender.close()
    try:
        if not receiver.poll(SECONDS):
            return {"name": architecture.name, "error": f"not ready after {SECONDS} s"}
        return asdict(receiver.recv())
    except EOFError:
        process.join()
        return {"name": architecture.name, "error": f"ended with {process.exitcode}"}
    finally:
        process.kill()
        process.join()


def _send(sender: Connection, architecture: Architecture, quick: bool) -> None:
    sender.send(measured(architecture, quick))


if __name__ == "__main__":
    main()
