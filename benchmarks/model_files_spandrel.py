"""Files of weights of spandrel's architectures, opened by the commands as by whoever downloaded them.

`python benchmarks/model_files_spandrel.py`, with spandrel (`[bench-models]`) and artifactlab installed. Random weights
of every architecture are saved, and `lint FILE` and `diagnose FILE --probe zone-plate` are run in processes of their
own. That the right model was opened is shown by its sites: they must be those of the module itself, without a file.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from architectures_records import Architecture
from architectures_spandrel import ARCHITECTURES
from architectures_torchvision import provide_operators
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
RUN = """
import sys
sys.path.insert(0, sys.argv.pop(1))
from architectures_torchvision import provide_operators
provide_operators()
from artifactlab.cli.main import main
main(prog_name="artifactlab")
"""
"""The command line, also beside a torch that torchvision was not built for."""
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
    lint, found, _ = _run("lint", str(file))
    started = time.perf_counter()
    code, data, said = _run("diagnose", str(file), "--probe", "zone-plate", "--size", SIZE, "--fast")
    own, there = (
        _sites(model, file),
        [f"{one['name']}/{one['op']}#{one['call']}".lstrip("/") for one in data.get("sites", [])],
    )
    return Opened(
        architecture.name.removeprefix("spandrel "),
        file.stat().st_size / 1e6,
        f"{lint}, {len(found.get('findings', []))} found",
        f"{len(set(own) & set(there))} of {len(own)}",
        code == 0 and sorted(own) == sorted(there),
        time.perf_counter() - started,
        said,
    )


def _sites(model: torch.nn.Module, file: Path) -> list[str]:
    """Keys of the sites that reach the output of a model that was never a file, on an image of the size it takes."""
    needs = needs_of(artifactlab.load_model(str(file)))
    assert needs is not None
    rows, columns = needs.sides(*map(int, SIZE.split("x")))
    probe = artifactlab.make_probe("zone-plate", max(rows, columns))[..., :rows, :columns]
    return [one.site.key for one in artifactlab.diagnose(model, [probe], fast=True).sites]


def _run(command: str, *options: str) -> tuple[int, dict[str, Any], str]:
    """Exit code, data, and the last line on stderr of a command."""
    code = [sys.executable, "-c", RUN, str(Path(__file__).parent), command, *options, "--format", "json"]
    done = subprocess.run(code, capture_output=True, text=True, check=False)
    said = done.stderr.strip().splitlines()
    return done.returncode, json.loads(done.stdout) if done.stdout else {}, said[-1] if said else ""


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--all", action="store_true", help="every architecture, and not ten of them")
    asked = parser.parse_args()
    provide_operators()
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
