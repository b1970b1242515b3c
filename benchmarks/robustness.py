"""Does anything break, leak or let anybody in? `python benchmarks/robustness.py`; for Linux, as it looks into /proc.

Damaged files, random decoders, kills, full disks and hostile files, all under 2 GB. What a fault is, exit codes, files,
/proc and torch.equal say; no measure of artifactlab has a say in it.
"""

from __future__ import annotations

import sys
import warnings
from collections import defaultdict
from pathlib import Path

from publish import arguments, markdown_table, publish
from robustness_decoders import random_decoders
from robustness_hostile import hostile
from robustness_kills import full_disks, killed
from robustness_leaks import leaks
from robustness_processes import Tally
from robustness_scores import mutated_images

MOST_NAMED = 3
"""cases that are named for each kind of fault"""
PARTS = {
    "images": (100_000, "damaged image files"),
    "decoders": (1000, "random decoders"),
    "kills": (200, "kills of each command that writes"),
    "disks": (20, "disks that fill under each of them"),
    "hostile": (100, "hostile files"),
    "leak": (300, "diagnoses in one process"),
}
"""option -> (how many, of what); 0 leaves a part out"""


def main() -> None:
    parser = arguments(__doc__)
    for name, (count, what) in PARTS.items():
        parser.add_argument(f"--{name}", type=int, default=count, metavar="N", help=f"{what} (default: {count})")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="copy damaged images there that show a fault")
    options = parser.parse_args()
    if options.publish and any(vars(options)[name] != count for name, (count, _) in PARTS.items()):
        raise SystemExit(f"the published table has all of them: leave out --{', --'.join(PARTS)}")
    warnings.simplefilter("ignore")  # torch's own, of what hostile files are made by
    tallies = [
        *mutated_images(options.images, options.keep),
        random_decoders(options.decoders),
        *killed(options.kills),
        *full_disks(options.disks),
        hostile(options.hostile),
        leaks(options.leak),
    ]
    publish("robustness", table([tally for tally in tallies if tally.tried]), options.publish)
    print(kinds(tallies), file=sys.stderr)


def table(tallies: list[Tally]) -> str:
    """A row of each, and one of all."""
    rows = [
        (tally.claim, f"{tally.tried:,}", f"{tally.broken:,}" + (f" ({tally.note})" if tally.note else ""))
        for tally in tallies
    ]
    faults = sum(tally.broken for tally in tallies)
    return markdown_table(("what", "tried", "faults"), [*rows, ("all; must reach 0", "", f"**{faults:,}**")])


def kinds(tallies: list[Tally]) -> str:
    """Every kind of fault, how often, and some of the cases, by which each can be had again."""
    lines = []
    for tally in tallies:
        cases = defaultdict(list)
        for what, case in tally.faults:
            cases[what].append(case)
        for what, names in sorted(cases.items(), key=lambda item: -len(item[1])):
            lines.append(f"{tally.claim}\n    {len(names)} x {what}: {', '.join(names[:MOST_NAMED])}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
