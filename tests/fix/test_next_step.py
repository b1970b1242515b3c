"""A fix that did not work says what to try next."""

from __future__ import annotations

from dataclasses import replace

import pytest

from artifactlab.fix import Distilled, FixCheck, TrainingOptions
from artifactlab.fix.next_step import next_step
from artifactlab.fix.training import CONVERGED, TIME_RAN_OUT

CHECK = FixCheck(
    ("up",), (2, 2), (0.1, 0.1), (0.0, 0.0), (9.0, 8.0), 0.1, None, 40.0, False, "Not fixed: 10% of the grid went."
)
DONE, CUT = (Distilled(("up",), 300, 1.0, (0.1, 0.1), (), ended) for ended in (CONVERGED, TIME_RAN_OUT))
TRAINING = TrainingOptions()
STEPS = replace(CHECK, steps_drop=0.1, edge_jaggedness=(0.5, 0.5))
CHANGED = replace(CHECK, verdict="Not fixed: the image changed (31.0 dB).")


@pytest.mark.parametrize(
    ("check", "distilled", "mode", "training", "others", "words"),
    [
        (CHECK, None, "interpolate_conv", TRAINING, [], "--distil IMAGES/"),
        (CHECK, None, "interpolate_conv", TRAINING, ["b"], "--site up --site b"),
        (CHANGED, None, "interpolate_conv", TRAINING, ["b"], "--distil IMAGES/"),
        (CHECK, CUT, "interpolate_conv", TRAINING, [], "--budget 1200"),
        (CHECK, DONE, "interpolate_conv", TRAINING, [], "--with subpixel"),
        (CHECK, DONE, "subpixel", TRAINING, [], "--neighbours"),
        (STEPS, DONE, "subpixel", TRAINING, [], "--with interpolate_conv"),
        (STEPS, DONE, "interpolate_conv", TRAINING, [], "--neighbours"),
        (CHECK, DONE, "subpixel", TrainingOptions(neighbours=True), [], "--lattice-weight 4"),
        (CHANGED, DONE, "subpixel", TrainingOptions(neighbours=True), [], "--lattice-weight 1"),
    ],
)
def test_what_was_not_tried_yet_is_next(
    check: FixCheck, distilled: Distilled | None, mode: str, training: TrainingOptions, others: list[str], words: str
) -> None:
    found = next_step(check, distilled, mode, training, others)
    assert found is not None
    assert " ".join(found.options) == words
    assert str(found).endswith(f"{words}, in Python {found.arguments}.")


@pytest.mark.parametrize(
    "check",
    [
        replace(CHECK, cured=True, verdict="Fixed: 100% of the grid went, and the image is the same."),
        replace(CHECK, verdict="Nothing to fix: the output showed neither."),
    ],
)
def test_where_there_is_nothing_left_to_do_nothing_is_next(check: FixCheck) -> None:
    assert next_step(check, None, "interpolate_conv", TRAINING) is None
