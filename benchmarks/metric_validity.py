"""Do the metrics mean what they say, on content nobody tuned them to?

Truth comes from what was done to the content, or from a published model of seeing, never from a metric. `--split
development` is what they were tuned on; `--only` runs one claim, and several if it is given several times.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator

import cv2
import torch
from publish import arguments, markdown_table, publish
from validity_alarms import a_real_replica_is_named, photos_are_not_accused, regular_texture_is_not_accused
from validity_content import PHOTOS, Split
from validity_decoders import decoders_are_told
from validity_grids import grids_are_told
from validity_intervals import intervals_hold_the_truth
from validity_invariance import metrics_are_invariant, metrics_are_selective, replication_is_named
from validity_pixels import factors_are_in_order, half_planes_are_in_pixels, photos_are_in_pixels, readings_are_linear
from validity_readings import Row
from validity_steps import filtered_steps_are_told, steps_are_told

CLAIMS: dict[str, Callable[[Split], Iterator[Row]]] = {
    "steps": steps_are_told,
    "filtered": filtered_steps_are_told,
    "linear": readings_are_linear,
    "half-planes": half_planes_are_in_pixels,
    "pixels": photos_are_in_pixels,
    "order": factors_are_in_order,
    "decoders": decoders_are_told,
    "grids": grids_are_told,
    "texture": regular_texture_is_not_accused,
    "photos": photos_are_not_accused,
    "moon": a_real_replica_is_named,
    "intervals": intervals_hold_the_truth,
    "selective": metrics_are_selective,
    "replication": replication_is_named,
    "invariant": metrics_are_invariant,
}


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--split", choices=list(PHOTOS), default="test")
    parser.add_argument("--only", choices=list(CLAIMS), action="append", help="run this claim alone")
    options = parser.parse_args()
    if options.publish and options.only:
        parser.error("--publish needs the whole table: leave --only out")
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    split = Split(options.split)
    rows = [row for name in options.only or CLAIMS for row in timed(name, split)]
    table = markdown_table(("claim", "target", "measured", ""), [as_cells(row) for row in rows])
    publish("metric_validity", f"{split.described()}\n\n{table}", options.publish)


def timed(name: str, split: Split) -> list[Row]:
    """The rows of a claim; how long it took goes to stderr."""
    start = time.perf_counter()
    rows = list(CLAIMS[name](split))
    print(f"{name}: {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
    return rows


def as_cells(row: Row) -> tuple[str, str, str, str]:
    """As a line of the table."""
    verdict = {True: "reached", False: "**missed**", None: ""}[row.reached]
    return row.claim, row.target, row.measured, verdict


if __name__ == "__main__":
    main()
