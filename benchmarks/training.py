"""Does the edge-aware loss train stair-steps and grids away, and what does it cost? Ten losses and ours, five tasks,
three seeds.

About an hour on one core, in parts with `--only TASK`. Trained nets are kept in `benchmarks/.cache/training`, or where
the environment variable `TRAINING_CACHE` says, by the source of task and loss: after a change of our loss only its own
rows are trained again.
"""

from __future__ import annotations

from pathlib import Path

import torch
from publish import arguments, publish
from training_costs import loss_cost, step_times
from training_picture import draw
from training_runs import AIMED, BOTH, OTHERS, ROWS, results, tuned
from training_story import story
from training_tables import Results, explanation, report, separation, verdicts
from training_tasks import tasks


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--only", choices=tasks(), help="one task, and print its table alone")
    parser.add_argument("--others", action="store_true", help="leave out the rows of EdgeAwareLoss")
    parser.add_argument("--picture", type=Path, help="a file for outputs and trade-offs of all losses")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = OTHERS if options.others else ROWS
    timed = [row for row in rows if row != BOTH]
    made = {name: make() for name, make in tasks().items() if options.only in (None, name)}
    found: dict[str, Results] = {}
    parts = []
    for name, task in made.items():
        found[name] = {row: results(name, task, row) for row in rows}
        parts.append(report(name, task, found[name], step_times(task, timed)))
        if not options.others:
            parts += [verdicts(name, task, found[name]), story(name, task, found[name][AIMED][0])]
    if options.picture:
        tried = {name: {row: tuned(name, task, row) for row in rows} for name, task in made.items()}
        draw(made, found, tried, options.picture)
    text = "\n\n".join([*parts, separation(found), loss_cost(timed), explanation()])
    publish("training", text, options.publish and not (options.only or options.others))


if __name__ == "__main__":
    main()
