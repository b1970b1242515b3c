"""What each cure of `fix --suggest` does: `python benchmarks/fix_menu.py`, on the development split alone.

The cases are those of `fix.py`: one defect is planted at a site of a trained net, so that the healthy net is known,
which no cure has seen. Each is made as `fix` makes it where no images are given: on synthetic ones.
"""

from __future__ import annotations

import copy
import math
import os
import time
from collections.abc import Sequence
from functools import partial
from multiprocessing import get_context
from statistics import median
from typing import Any

import torch
from fix import planted, psnr, shows, sites
from planted_cases import Plan, plans
from publish import arguments, markdown_table, publish

from artifactlab.errors import FixError
from artifactlab.fix import check_fix, replace_upsampler
from artifactlab.fix.options import JudgingOptions, TrainingOptions
from artifactlab.fix.pipeline import by_mode, fit
from artifactlab.fix.post_filter import post_filter
from artifactlab.fix.start_kept import with_start_kept
from artifactlab.fix.suggest import TRIED
from artifactlab.fix.synthetic_inputs import STEPS, synthetic_inputs
from artifactlab.fix.teacher import sites_at
from artifactlab.fix.timing import pass_times
from artifactlab.fix.training import copied
from artifactlab.models.calls import as_calls

ROUNDS = 2
"""cases per site, as in `fix.py`"""


def run(plan: Plan) -> dict[str, Any] | None:
    """What each cure does to one case; None where what was planted does not show."""
    torch.set_num_threads(1)
    case, healthy, old = planted(plan)
    judged = list(case.images(0).split(1))
    if not shows(old, healthy, case.images(0), case.periods[plan.guilty]):
        return None
    site = next(iter(sites_at(sites(old, judged[0]), [f"ups.{plan.guilty}"])))
    judging = JudgingOptions(data_range=1.0)
    truth = check_fix(old, healthy, site, judged, judging=judging)
    taught = synthetic_inputs(old, as_calls(judged), judging.seed)
    record: dict[str, Any] = {"truth": truth, "before": psnr(old, healthy, judged), "cures": {}}
    for name in TRIED:
        begun, new = time.perf_counter(), copy.deepcopy(old)
        try:
            if name == "post":
                _, new = post_filter(new, [site], taught, judging)
            else:
                swap = replace_upsampler(new, site, name)
                start = copied(dict(new.named_parameters()))
                fit(new, old, [swap], taught, by_mode(TrainingOptions(steps=STEPS), name), judging)
                with_start_kept(new, start, partial(check_fix, old, new, site, judged, judging=judging))
        except FixError:
            continue
        seconds = time.perf_counter() - begun
        record["cures"][name] = {
            "check": check_fix(old, new, site, judged, judging=judging),
            "healthy": psnr(new, healthy, judged),
            "times": pass_times(old, new, as_calls(judged[0])[0], judging),
            "seconds": seconds,
        }
    return record


def table(records: Sequence[dict[str, Any]]) -> str:
    """A row per cure."""
    rows = []
    for name in TRIED:
        done = [(record, record["cures"][name]) for record in records if name in record["cures"]]
        if not done:
            continue
        checks = [result["check"] for _, result in done]
        slower = [after / before for before, after in (result["times"] for _, result in done)]
        rows.append(
            [
                f"`{name}`",
                str(len(done)),
                f"{sum(check.cured for check in checks)}",
                f"{sum((check.energy_drop or 0.0) >= 0.8 for check in checks)}",
                f"{median(check.energy_drop or 0.0 for check in checks):.1%}",
                f"{median(check.severity[1] for check in checks):.2f}",
                f"{median(check.psnr for check in checks):.1f} dB",
                f"{median(result['healthy'] for _, result in done):.1f} dB",
                f"{sum(result['healthy'] > record['before'] for record, result in done)}",
                f"{median(slower):.2f}",
                f"{median(result['seconds'] for _, result in done):.1f}",
            ]
        )
    header = [
        *("cure", "cases", "cured", "80% of the grid gone", "median gone", "severity left, median"),
        *("to the old output, lattice aside", "to the healthy net", "nearer to it than before"),
        *("time of a pass, times the old one's", "seconds to make"),
    ]
    return markdown_table(header, rows)


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--every", type=int, default=1, help="only every so manieth case; not to be published")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    options = parser.parse_args()
    start = time.perf_counter()
    chosen = [plan for plan in plans("development", ROUNDS) if plan.kind == "planted"][:: options.every]
    with get_context("spawn").Pool(options.workers) as processes:
        found = list(processes.imap(run, chosen))
    records = [record for record in found if record is not None]
    if not records:
        raise SystemExit(f"what was planted shows in none of these {len(chosen)} cases")
    severities = [record["truth"].severity[0] for record in records]
    healthy = [record["truth"] for record in records]
    minutes = math.ceil((time.perf_counter() - start) / 60)
    text = (
        f"Development split: {len(records)} cases that show, of {len(chosen)} (severity {min(severities):.1f} to"
        f" {max(severities):.0f}, median {median(severities):.1f}); {minutes} minutes. The healthy net is"
        f" {median(one.psnr for one in healthy):.1f} dB from the old output, lattice aside, and called a cure in"
        f" {sum(one.cured for one in healthy)}.\n\n" + table(records)
    )
    publish("fix_menu", text, options.publish)


if __name__ == "__main__":
    main()
