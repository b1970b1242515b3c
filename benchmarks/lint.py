"""What `artifactlab lint` says of the demo, and how unequal phases are in nets whose output shows no grid.

`python benchmarks/lint.py`
"""

from __future__ import annotations

import os
import subprocess
import sys

from planted_nets import COMPENSATED, NETS, trained
from publish import arguments, publish

import artifactlab
from artifactlab.demo.unet import broken, healthy
from artifactlab.lint.rules import UNEQUAL_SHUFFLE, UNEQUAL_SUMS


def main() -> None:
    options = arguments(__doc__).parse_args()
    command = ["artifactlab", "lint", "artifactlab.demo.unet:broken", "--trained"]
    run = [sys.executable, "-m", *command]
    shown = subprocess.run(run, env={**os.environ, "COLUMNS": "110"}, check=True, capture_output=True, text=True).stdout
    lines = "\n".join(line.rstrip() for line in shown.splitlines())
    clean, bad = (
        [share for split in nets for name in nets[split] for share in unequal(trained(split, name))]
        for nets in (NETS, COMPENSATED)
    )
    text = (
        f"```text\n$ {' '.join(command)}\n{lines}\n```\n\n"
        f"Unequal sums and shuffles named in trained nets that show no grid: {spread(clean)}, in the demo's healthy"
        f" net {spread(unequal(healthy()))}; where kernels of 2 or 3 were trained along, and are compensated:"
        f" {spread(bad)}; in the demo's broken layer {max(unequal(broken())):.2f}."
    )
    publish("lint", text, options.publish)


def unequal(model: object) -> list[float]:
    """The numbers of the findings about unequal phases."""
    rules = (UNEQUAL_SUMS.name, UNEQUAL_SHUFFLE.name)
    return [found.number[0] for found in artifactlab.lint(model, trained=True) if found.rule in rules]


def spread(shares: list[float]) -> str:
    return f"{min(shares):.2f} to {max(shares):.2f} ({len(shares)} layers)"


if __name__ == "__main__":
    main()
