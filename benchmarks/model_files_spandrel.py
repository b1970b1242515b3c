"""Files of weights of spandrel's architectures, opened by the commands as by whoever downloaded them.

`python benchmarks/model_files_spandrel.py`, with spandrel (`[bench-models]`) and artifactlab installed. Random weights
of every architecture are saved, and `lint FILE` and `diagnose FILE --probe zone-plate` are run in processes of their
own. That the right model was opened is shown by its sites: they must be those of the module itself, without a file.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from architectures_records import Architecture
from architectures_spandrel import ARCHITECTURES
from model_files import prepare, run
from publish import arguments, markdown_table, stamp

import artifactlab
from artifactlab.models.image_needs import needs_of

NAMES = (
    "spandrel SwinIR",
    "spandrel HAT",
    "spandrel RRDBNet",
    "spandrel UpCunet2x_fast",
    "spandrel SAFMN",
    "spandrel CRAFT",
    "spandrel NAFNet",
    "spandrel SRVGGNetCompact",
    "spandrel RealPLKSR dysample",
    "spandrel SPAN",
)
"""by default: ten that differ in how they enlarge, and in what sizes they take"""
SIZE = "61x72"
"""Of the probe: few sizes are a multiple of 8 by chance."""


@dataclass(frozen=True)
class Opened:
    """What the two commands made of a file."""

    name: str
    megabytes: float
    lint: str
    """What `lint` exits with and finds."""
    sites: str
    """How many of the module's own sites `diagnose` has, of how many."""
    same: bool
    seconds: float
    said: str
    """What was done to the probe, or what went wrong."""


def opened(architecture: Architecture, folder: Path) -> Opened:
    """Save random weights, and run the commands on them."""
    model = architecture.build()
    file = folder / "4x-foo.pth"
    torch.save({"params_ema": model.state_dict()}, file)
    lint = run("lint", str(file), "--format", "json")
    done = run("diagnose", str(file), "--probe", "zone-plate", "--size", SIZE, "--fast", "--format", "json")
    own, there = _sites(model, file), done.keys()
    return Opened(
        architecture.name.removeprefix("spandrel "),
        file.stat().st_size / 1e6,
        f"{lint.code}, {len(lint.data.get('findings', []))} found",
        f"{len(set(own) & set(there))} of {len(own)}",
        done.code == 0 and sorted(own) == sorted(there),
        done.seconds,
        done.said,
    )


def _sites(model: torch.nn.Module, file: Path) -> list[str]:
    """Keys of the sites that reach the output of a model that was never a file, on an image of the size it takes."""
    needs = needs_of(artifactlab.load_model(str(file)))
    assert needs is not None
    rows, columns = needs.sides(*map(int, SIZE.split("x")))
    probe = artifactlab.make_probe("zone-plate", max(rows, columns))[..., :rows, :columns]
    return [one.site.key for one in artifactlab.diagnose(model, [probe], fast=True).sites]


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--all", action="store_true", help="every architecture, and not ten of them")
    asked = parser.parse_args()
    prepare()
    chosen = [one for one in ARCHITECTURES if asked.all or one.name in NAMES]
    rows: list[Opened] = []
    print(markdown_table(["file of", "MB", "lint: exit code", "its own sites", "same", "s", "said"], []))
    with TemporaryDirectory() as folder:
        for one in chosen:  # each is printed when it is there: all of them take minutes
            rows.append(r := opened(one, Path(folder)))
            same = "yes" if r.same else "**no**"
            line = (r.name, f"{r.megabytes:.1f}", r.lint, r.sites, same, f"{r.seconds:.0f}", r.said)
            print("| " + " | ".join(line) + " |", flush=True)
    print(f"\n{sum(r.same for r in rows)} of {len(rows)} files give the sites of their module. {stamp()}")
    if not all(r.same for r in rows):
        sys.exit(1)


if __name__ == "__main__":
    main()
