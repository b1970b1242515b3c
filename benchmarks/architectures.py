"""Does it find every layer that enlarges, in the architectures that people use? `python benchmarks/architectures.py`

In a venv of its own, as these libraries bring their own versions of everything:

    python -m venv .venv-models && .venv-models/bin/pip install -c constraints.txt -e '.[bench-models]'
    .venv-models/bin/python benchmarks/architectures.py

Random weights, small configurations, nothing is downloaded. Each architecture runs in a process of its own. What truly
enlarges is counted by an instrument that shares nothing with artifactlab (`architectures_truth.py`), and by reading the
source where `truth` says a number. `--split dev` is for development, `--split test` for one look at the end.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from architectures_list import ARCHITECTURES
from architectures_records import Architecture
from architectures_table import summary, table
from publish import arguments, publish

SECONDS = 240
"""after which one architecture is given up: the slowest take a quarter of it"""
HERE = Path(__file__).resolve().parent


def main() -> None:
    options = _options(arguments(__doc__))
    chosen = [
        architecture
        for architecture in ARCHITECTURES
        if options.split in ("all", architecture.split) and fnmatch(architecture.name, options.only)
    ]
    if not chosen:
        raise SystemExit(f"no architecture matches {options.only!r}")
    results = []
    for result in _measured(chosen, options.quick, options.jobs):
        results.append(result)
        print(json.dumps(result), file=options.json, flush=True)
    publish("architectures", table(results) + "\n\n" + summary(results), options.readme)


def _options(parser: ArgumentParser) -> Namespace:
    parser.add_argument("--only", default="*", metavar="GLOB", help="architectures by name, such as 'monai *'")
    parser.add_argument("--split", choices=["all", "dev", "test"], default="all")
    parser.add_argument("--quick", action="store_true", help="sites only: neither times nor command lines")
    parser.add_argument("--jobs", type=int, default=1, help="processes at once; times are only right with one")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write a line of JSON for each, too")
    options = parser.parse_args()
    options.json = open(options.json or os.devnull, "w", encoding="utf-8")  # noqa: SIM115  # closed with the process
    return options


def _measured(chosen: list[Architecture], quick: bool, jobs: int) -> Iterator[dict[str, Any]]:
    """The results in the list's order, each as soon as it and those before it are there."""
    with ThreadPoolExecutor(jobs) as pool:
        yield from pool.map(lambda architecture: _result(architecture, quick), chosen)


def _result(architecture: Architecture, quick: bool) -> dict[str, Any]:
    """That of one architecture, in a process that may crash or hang."""
    line = [sys.executable, str(HERE / "architectures_run.py"), architecture.name, *(["--quick"] if quick else [])]
    offline = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    try:
        done = subprocess.run(line, capture_output=True, text=True, timeout=SECONDS, env=offline)
        return json.loads(done.stdout.splitlines()[-1])
    except subprocess.TimeoutExpired:
        return {"name": architecture.name, "error": f"not ready after {SECONDS} s"}
    except (IndexError, ValueError):
        return {"name": architecture.name, "error": f"ended with {done.returncode}: {done.stderr.strip()[-200:]}"}


if __name__ == "__main__":
    main()
